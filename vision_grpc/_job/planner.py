"""A job's inputs, read once and ahead of their sending, cut into requests and written into the ledger; or compared with it.

The inputs are never held: one request's worth at a time. They are read to their end at the disk's pace, not at the quota's,
so that a crash an hour later does not need them again, and the time left is known early.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable
from concurrent.futures import Executor, Future
from contextlib import aclosing
from functools import partial
from itertools import islice
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from vision_grpc._job.template import Template
from vision_grpc._ledger.part import Part
from vision_grpc.errors import LedgerError

if TYPE_CHECKING:
    from vision_grpc._job.desk import Desk
    from vision_grpc._job.template import JobInput
    from vision_grpc.ledger import Ledger

    JobInputs = Iterable[JobInput] | AsyncIterable[JobInput]


async def parts(inputs: JobInputs, size: int, template: Template) -> AsyncGenerator[Part, None]:
    """The inputs cut into parts of at most `size`. Ordinary iterables are read in a thread: they may wait for a network.

    Raises:
        ConfigError: An input is wrong; those before it have been yielded.
    """
    loop = asyncio.get_running_loop()
    thread = InputThread()
    whole = False
    try:
        first = 0
        if isinstance(inputs, AsyncIterable):
            chunks = _asynchronous(inputs, size)
        else:
            iterator = iter(inputs)
            chunks = _synchronous(lambda: list(islice(iterator, size)), thread)
        async for items in chunks:
            yield await loop.run_in_executor(thread, template.pack, first, items)
            first += len(items)
        whole = True
    finally:
        thread.shutdown(wait=whole)


class InputThread(Executor):
    """One thread for all of a job's inputs, which may be bound to it as a database's cursor is.

    It keeps neither the event loop nor the process from ending: what it waits for in the caller's code may never come.
    """

    def __init__(self) -> None:
        self._calls: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="vision-grpc-inputs", daemon=True)
        self._thread.start()

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self._calls.put((future, partial(function, *arguments, **named)))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Ends the thread after the calls that it was given, the last of which may never return."""
        self._calls.put(None)
        if wait:
            self._thread.join()

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            future, function = call
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(function())
                except BaseException as error:
                    future.set_exception(error)
            del call, future, function  # it holds no images while it waits


async def _synchronous(read: Callable[[], list[JobInput]], thread: Executor) -> AsyncGenerator[list[JobInput], None]:
    loop = asyncio.get_running_loop()
    while items := await loop.run_in_executor(thread, read):
        yield items


async def _asynchronous(inputs: AsyncIterable[JobInput], size: int) -> AsyncGenerator[list[JobInput], None]:
    items: list[JobInput] = []
    async for item in inputs:
        items.append(item)
        if len(items) == size:
            yield items
            items = []
    if items:
        yield items


async def plan_all(desk: Desk, inputs: JobInputs | None, size: int, template: Template) -> None:
    """Writes the inputs into the ledger, or compares them with it; only then is anything sent or handed out.

    Raises:
        ConfigError: An input is wrong.
        LedgerError: The ledger is of other inputs, or needs them and there are none.
    """
    ledger, total = desk.ledger, desk.account.total
    planned = await desk.disk(ledger.planned_images)
    if inputs is None:
        if total is None:
            raise LedgerError(f"the inputs of {ledger.path} were not yet read to their end: resume with the same inputs, not with None")
        read = total
    else:
        read = 0
        if not planned and total is None:
            # There is nothing to compare with.
            desk.checked = True
            desk.signal.set()
        async with aclosing(parts(inputs, size, template)) as pieces:
            async for part in pieces:
                if part.first < planned:
                    await desk.disk(_compare, ledger, part)
                elif total is None:
                    await desk.plan(part)
                read += part.images
                if read >= planned and not desk.checked and total is None:
                    desk.checked = True
                    desk.signal.set()
        if read < planned or (total is not None and read != total):
            raise LedgerError(
                f"the ledger {ledger.path} belongs to a job with other inputs: it holds {max(planned, total or 0):,} images and these are "
                f"{read:,}; resume with the same inputs in the same order, or name another ledger for another job"
            )
        if total is None:
            await desk.disk(ledger.plan_ends, read)
    desk.account.total = read
    desk.checked = desk.planned_all = True
    desk.signal.set()


def _compare(ledger: Ledger, part: Part) -> None:
    row, digest = ledger.root_at(part.first) or (None, b"")
    if row is None or (row.first, row.images, digest) != (part.first, part.images, part.digest):
        raise LedgerError(
            f"the ledger {ledger.path} belongs to a job with other inputs: images {part.first + 1} to {part.first + part.images} differ; "
            "resume with the same inputs in the same order, or name another ledger for another job"
        )
