"""A job for programs without an event loop: its loop runs in a thread, so that the job goes on while the caller is busy."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from vision_grpc._job.account import Progress, Summary, Unsettled
    from vision_grpc._results.join import ImageResult
    from vision_grpc.job import AnnotationJob

_T = TypeVar("_T")


class JobRun(Iterator["ImageResult"]):
    """The results of a job, one by one; `progress`, `drain` and `stop` may be used by any thread, and by a signal handler.

    A KeyboardInterrupt in the iteration loses nothing: iterate on, after `drain(0)` for instance, or close.
    """

    def __init__(self, job: AnnotationJob, finish: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._job = job
        self._finish = finish
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="vision-grpc-job", daemon=True)
        self._slices = self._job.slices()
        self._next: Future[Any] | None = None
        self._slice: Iterator[ImageResult] = iter(())
        self._closed = False
        self._thread.start()

    def __next__(self) -> ImageResult:
        while True:
            for result in self._slice:
                return result
            if self._closed:
                raise StopIteration
            # Kept, so that an interrupted wait is taken up again instead of asking for a second slice.
            self._next = self._next or asyncio.run_coroutine_threadsafe(_advance(self._slices), self._loop)
            try:
                results = self._next.result()
            except Exception:
                self._next = None
                self.close()
                raise
            self._next = None
            if results is None:
                self.close()
                raise StopIteration
            self._slice = iter(results)

    @property
    def job_id(self) -> str | None:
        return self._job.job_id

    @property
    def progress(self) -> Progress | None:
        """As `AnnotationJob.progress`."""
        return self._job.progress

    @property
    def summary(self) -> Summary:
        """As `AnnotationJob.summary`."""
        return self._job.summary

    @property
    def unknown(self) -> tuple[Unsettled, ...]:
        """As `AnnotationJob.unknown`."""
        return self._job.unknown

    def drain(self, timeout: float | None = None) -> bool:
        """As `AnnotationJob.drain`; with a timeout of 0 it only asks for it."""
        return self._closed or self._await(self._job.drain(timeout))

    def stop(self) -> None:
        """As `AnnotationJob.stop`."""
        if not self._closed:
            self._loop.call_soon_threadsafe(self._job.stop)

    def close(self) -> None:
        """Ends the job where it stands, and its thread. May be called twice."""
        if self._closed:
            return
        self._closed = True
        try:
            self._await(self._close())
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def __enter__(self) -> JobRun:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def _close(self) -> None:
        try:
            self._job.stop()
            if self._next is not None:
                await asyncio.wait([asyncio.wrap_future(self._next)])
            await self._slices.aclose()
            await self._job.close()
        finally:
            await self._finish()
            await self._loop.shutdown_asyncgens()
            await self._loop.shutdown_default_executor()

    def _await(self, work: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


async def _advance(slices: Any) -> Any:
    return await anext(slices, None)
