"""One job as the command line runs it: its ledger, its results.jsonl as it grows, its signals, its progress."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vision_grpc._calls import annotator, arun, connected
from vision_grpc._cli.lines import Lines
from vision_grpc._cli.output import row
from vision_grpc._cli.progress import JobBar
from vision_grpc._json.encode import dumps
from vision_grpc.errors import AuthError, CallError, JobIncomplete

if TYPE_CHECKING:
    from vision_grpc.aio import AsyncClient
    from vision_grpc.job import AnnotationJob, ImageResult, Summary

_TERM_SECONDS = 25.0
"""Seconds that SIGTERM leaves for what runs; container platforms kill after 30."""

_QUIET_SECONDS = 60.0
_JOB_LOG = logging.getLogger("vision_grpc.job")


class Held(logging.Handler):
    """Says why a job cannot send, of all that its log tells; at once, and then once a minute."""

    def __init__(self, warn: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._warn = warn
        self._last = 0.0

    def emit(self, record: logging.LogRecord) -> None:
        facts = vars(record)
        if "vision_share" in facts and record.created - self._last >= _QUIET_SECONDS:
            self._last = record.created
            self._warn(f"sending is held, and tried again: {facts['vision_error']}")


class Session:
    """Runs a job to its end, or to the user's.

    Attributes:
        interrupted: The signal that ended it, None where none did.
        timed_out: The deadline passed.
        failed: Images with an error, of those handed out in this run.
    """

    def __init__(
        self,
        job: AnnotationJob,
        client: AsyncClient,
        lines: Path,
        *,
        names: Callable[[ImageResult], ImageResult],
        local: bool,
        told: Callable[[ImageResult, bytes], None],
        say: Callable[[str], None],
        warn: Callable[[str], None],
        bar: JobBar,
        timeout: float | None,
    ) -> None:
        self.interrupted: signal.Signals | None = None
        self.timed_out = False
        self._job = job
        self._client = client
        self._lines = lines
        self._names = names
        self._local = local
        self._told = told
        self._say = say
        self._held = Held(warn)
        self._unconnected: CallError | None = None
        self._bar = bar
        self._timeout = timeout
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> Summary:
        """Collects every result; returns what the job came to.

        Raises:
            VisionError: What ended the job; its ledger takes it up again. A CallError where the first connection never came: only
                one that stood once is waited for.
        """
        self._lines.touch()
        lines: Lines | None = None
        with contextlib.ExitStack() as stack, self._signals(), self._bar:
            watchers = [asyncio.create_task(self._watch()), asyncio.create_task(self._connect())]
            try:
                async with contextlib.aclosing(self._job.slices()) as slices:
                    async for results in slices:
                        if lines is None:
                            # What a crash left of the last line is cut off by who holds the ledger: another process may be writing it.
                            lines = stack.enter_context(contextlib.closing(Lines(self._lines)))
                        named = [self._names(result) for result in results]
                        encoded = [dumps(row(result, keep_context=not self._local)) + b"\n" for result in named]
                        lines.append(encoded)
                        for result, line in zip(named, encoded, strict=True):
                            self._told(result, line)
            except JobIncomplete:
                pass  # the summary says the same
            finally:
                tasks = [*watchers, *self._tasks]
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                _JOB_LOG.removeHandler(self._held)
                await self._job.close()
        summary = self._job.summary
        if self._unconnected is not None and summary.end == "stopped" and self.interrupted is None and not self.timed_out:
            raise self._unconnected
        return summary

    async def _connect(self) -> None:
        """Ends the job where the first connection does not come; says from then on whenever sending is held."""
        client = self._client
        submit = annotator(client.version, "AsyncBatchAnnotateImages")
        try:
            await arun(connected(submit, client._context.retry.connect), client._transport.perform)
        except CallError as error:
            progress = self._job.progress
            # What only has to be read needs no connection to the service.
            if progress is None or progress.planned or progress.in_flight or progress.unknown:
                self._unconnected = error
                self._job.stop()
                return
        except AuthError:
            pass  # the job meets it too, and knows whether it may pass
        _JOB_LOG.addHandler(self._held)

    async def _watch(self) -> None:
        """Draws the progress, and ends the job at its deadline."""
        loop = asyncio.get_running_loop()
        until = None if self._timeout is None else loop.time() + self._timeout
        while True:
            self._bar.show(self._job.progress)
            if until is not None and loop.time() >= until:
                self.timed_out = True
                self._job.stop()
                return
            await asyncio.sleep(0.2 if until is None else min(0.2, max(0.0, until - loop.time())))

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        before: dict[signal.Signals, Any] = {}
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):  # not the main thread, or Windows
            for number in (signal.SIGINT, signal.SIGTERM):
                handler = signal.getsignal(number)
                loop.add_signal_handler(number, self._signalled, number)
                before[number] = handler
        try:
            yield
        finally:
            for number, handler in before.items():
                loop.remove_signal_handler(number)
                # asyncio leaves the system's own, which would kill what comes after the job, and leave its temporary files.
                signal.signal(number, handler or signal.SIG_DFL)

    def _signalled(self, number: signal.Signals) -> None:
        again = self.interrupted is not None
        self.interrupted = number
        if again:
            self._job.stop()
            return
        deadline = _TERM_SECONDS if number is signal.SIGTERM else None
        # The embedded server ends with this command, and what it was about is annotated anew.
        loses = "that work is then done again" if self._local else "which loses nothing"
        limit = f" for at most {deadline:g} s" if deadline else f"; interrupt again to stop at once, {loses}"
        requests = progress.requests if (progress := self._job.progress) is not None else {}
        if requests.get("running"):
            where = "here" if self._local else "at the service"
            self._say(f"sending nothing more, and waiting for what runs {where}{limit}")
        elif requests.get("submitting"):
            self._say(f"sending nothing more, and waiting for the answer to what is being sent{limit}")
        else:
            self._say("sending nothing more")
        task = asyncio.ensure_future(self._drain(deadline))
        self._tasks.add(task)

    async def _drain(self, deadline: float | None) -> None:
        if not await self._job.drain(deadline):
            self._job.stop()
