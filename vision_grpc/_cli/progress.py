"""Progress on standard error where a person watches it, and nothing anywhere else."""

from __future__ import annotations

import contextlib
import sys
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vision_grpc.job import Progress


class Bar:
    """Counts up to `total`; draws with rich (extra ``cli``) only on a terminal.

    Args:
        total: How many there are, None while that is not known.
        noun: What they are.
        enabled: False draws nothing.
    """

    def __init__(self, total: int | None, noun: str, *, enabled: bool = True) -> None:
        self._bar: Any = None
        self._task: Any = None
        self._noun = noun
        if enabled and sys.stderr is not None and sys.stderr.isatty():
            # Without the extra the command works the same, only unwatched.
            with contextlib.suppress(ImportError):
                from rich.console import Console
                from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

                self._bar = Progress(
                    BarColumn(),
                    MofNCompleteColumn(),
                    TextColumn("{task.description}"),
                    TimeElapsedColumn(),
                    TextColumn("left"),
                    TimeRemainingColumn(),
                    console=Console(stderr=True),
                    transient=True,
                )
                self._task = self._bar.add_task(noun, total=total)

    def __enter__(self) -> Bar:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.stop()

    def advance(self) -> None:
        """One more is done. May be called from any thread."""
        if self._bar is not None:
            self._bar.advance(self._task)


class JobBar(Bar):
    """A job's progress: images, requests, in flight, failures and rate.

    Args:
        counted: The images are counted by `advance` as they are annotated, not by the requests that end.
    """

    def __init__(self, total: int | None, *, counted: bool, enabled: bool) -> None:
        super().__init__(total, "images", enabled=enabled)
        self._counted = counted

    def show(self, progress: Progress | None) -> None:
        """Draws the job as it is now."""
        if self._bar is None or progress is None:
            return
        requests = sum(progress.requests.values())
        words = [f"images, {requests:,} {'request' if requests == 1 else 'requests'}", f"{progress.in_flight:,} in flight"]
        words += [f"{progress.failed:,} failed"] if progress.failed else []
        words += [f"{progress.unknown:,} in doubt"] if progress.unknown else []
        words += [f"{progress.rate:,.1f}/s"] if progress.rate else []
        done = None if self._counted else progress.ok + progress.failed + progress.ended
        self._bar.update(self._task, description=", ".join(words), total=progress.total, completed=done)
