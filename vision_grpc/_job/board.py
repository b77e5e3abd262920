"""What a job's tasks share: the ledger and its thread, the running sums, and what the tasks know of each other.

All of it belongs to one event loop. The ledger is used by one thread beside the loop, in the order of the calls.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from vision_grpc._job.account import Account, End, Summary, Unsettled, summary
from vision_grpc._job.settle import Doubt
from vision_grpc._job.signal import Signal
from vision_grpc._job.standing import destination
from vision_grpc._job.telemetry import Telemetry
from vision_grpc._ledger.rows import Row, State
from vision_grpc.errors import LedgerError

if TYPE_CHECKING:
    from vision_grpc._job.service import Service
    from vision_grpc.ledger import Ledger

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Running:
    """An accepted request, and the monotonic time from which on it is known to be."""

    row: Row
    since: float


class Board:
    """The state of a job while it runs.

    Args:
        output: The prefix below which every request has its own.

    Attributes:
        running: The accepted requests, by operation.
        sending: How many are being sent.
        window: Images that count against the quota of images in processing.
        ended: Numbers of requests that ended and were not collected, in the order of their ends.
        doubts: Requests whose fate is looked for.
        given_up: Those that were given up in this run.
        unreadable: Ended requests whose results cannot all be read now.
        rests: When a request may be sent at the earliest, for those that failed lately.
        plans: Changes whenever a request is planned again, which may come before those planned already.
        head: The last index of the request that the consumer waits for, where it wants the order of the input; -1 otherwise.
        planned_all: The inputs were read to their end.
        checked: The inputs were found to be those of the ledger: sending and delivery may begin.
        draining: Nothing is sent any more.
        drained: The caller asked for that; a cap may have done it too.
        stopped: Nothing is waited for any more.
        delivered: All that was to come in this run has come, and the iteration ended by itself.
        capped: A cap on images or cost was reached.
        idle: The sender has nothing that it may send.
        starved: The consumer waits for a result.
        failure: What ends the job.
    """

    def __init__(self, ledger: Ledger, service: Service, output: str) -> None:
        loop = asyncio.get_running_loop()
        self.ledger = ledger
        self.service = service
        self.job = ledger.job
        self.clock = loop.time
        self.account = Account.of(ledger.tallies(), ledger.total, loop.time())
        self.telemetry = Telemetry(self.job)
        self.signal = Signal()
        self.running: dict[str, Running] = {}
        self.sending = 0
        self.window = 0
        self.ended: deque[int] = deque()
        self.doubts: dict[int, Doubt] = {}
        self.given_up: dict[int, Unsettled] = {}
        self.unreadable: dict[int, Unsettled] = {}
        self.rests: dict[int, float] = {}
        self.plans = 0
        self.head = -1
        self.planned_all = False
        self.checked = False
        self.draining = False
        self.stopped = False
        self.drained = False
        self.delivered = False
        self.capped = False
        self.idle = False
        self.starved = False
        self.failure: BaseException | None = None
        self.accepted_any = ledger.last_operation is not None
        self._output = output
        self._thread = ThreadPoolExecutor(1, "vision-grpc-ledger")

    def destination(self, row: Row) -> str:
        """The prefix that this request's objects, and no other's, bear."""
        return destination(self._output, self.job, row.number, row.attempt)

    async def disk(self, function: Callable[..., _T], *arguments: Any, **named: Any) -> _T:
        """Calls a method of the ledger in its thread."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, partial(function, *arguments, **named))

    async def close(self) -> None:
        """Closes the ledger after the last write, and ends its thread."""
        try:
            await self.disk(self.ledger.close)
        finally:
            self._thread.shutdown()  # it has nothing left to do

    def fail(self, error: BaseException) -> None:
        """Ends the job; the first error counts."""
        if self.failure is None:
            self.failure = error
            self.telemetry.event("the job stops", level=logging.ERROR, error=str(error))
        self.signal.set()

    def drain(self) -> None:
        """Sends nothing more; what runs is waited for."""
        self.draining = self.drained = True
        self.signal.set()

    def stop(self) -> None:
        """Ends the job without waiting for what runs."""
        self.draining = self.stopped = True
        self.signal.set()

    async def guard(self, work: Coroutine[Any, Any, None]) -> None:
        """Runs one of the job's tasks; an error in it ends the job."""
        try:
            await work
        except Exception as error:
            self.fail(error)

    async def sum_up(self) -> Summary | None:
        """The job's summary as it stands; None where the ledger cannot tell it, which is a failure of the job."""
        try:
            return await self.disk(self._sum_up)
        except LedgerError as error:
            self.fail(error)
            return None

    def _sum_up(self) -> Summary:
        unknown = list(self.given_up.values())
        unknown += [
            self.unsettled(row, row.error or "its answer was not waited for")
            for row in self.ledger.rows(State.SUBMITTING, State.UNKNOWN)
            if row.number not in self.given_up
        ]
        end: End = "stopped"
        if self.capped:
            end = "capped"
        elif self.delivered:
            end = "drained" if self.drained else "unknown" if unknown else "unreadable" if self.unreadable else "stopped"
        return summary(end, self.ledger.total, self.ledger.tallies(), self.ledger.failures(), unknown, self.unreadable.values())

    @property
    def quiet(self) -> bool:
        """Nothing moves at the service that this job knows of."""
        return not self.sending and not self.running

    @property
    def waiting(self) -> int:
        """Images that were processed, and that the consumer can take in this run."""
        ended = self.account.images[State.DONE] + self.account.images[State.FAILED]
        return ended - sum(request.images for request in self.unreadable.values())

    @property
    def over(self) -> bool:
        """No request will end any more."""
        if self.stopped:
            return True
        if not self.quiet or (self.doubts and not self.drained):
            return False
        return self.draining or (self.planned_all and not self.account.requests[State.PLANNED])

    @property
    def stuck(self) -> bool:
        """Nothing will move any more unless a doubt is settled or given up."""
        return self.quiet and (self.draining or (self.idle and self.starved))

    def unsettled(self, row: Row, reason: str) -> Unsettled:
        return Unsettled(
            request=row.number,
            first=row.first,
            images=row.images,
            destination=self.destination(row),
            operation=row.operation,
            sent=row.sent,
            reason=reason,
        )
