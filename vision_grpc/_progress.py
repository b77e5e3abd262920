"""A progress bar on standard error where a person watches it, and nothing anywhere else."""

from __future__ import annotations

import contextlib
import sys
from types import TracebackType
from typing import Any


class Progress:
    """Counts up to `total`; draws with rich (extra ``cli``) only on a terminal.

    Args:
        total: How many there are.
        noun: What they are.
        enabled: False draws nothing.
    """

    def __init__(self, total: int, noun: str, *, enabled: bool = True) -> None:
        self._bar: Any = None
        self._task: Any = None
        if enabled and sys.stderr.isatty():
            # Without the extra the command works the same, only unwatched.
            with contextlib.suppress(ImportError):
                from rich.console import Console
                from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
                from rich.progress import Progress as RichProgress

                self._bar = RichProgress(
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

    def __enter__(self) -> Progress:
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
