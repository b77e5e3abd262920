"""Every change of a request's state: in the ledger first, then on the board that the job's tasks look at."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from vision_grpc._job.board import Board, Running
from vision_grpc._job.settle import Doubt
from vision_grpc._ledger.rows import Row, State
from vision_grpc.errors import status_code

if TYPE_CHECKING:
    from vision_grpc._job.collect import Harvest
    from vision_grpc._job.service import Service
    from vision_grpc._ledger.part import Part
    from vision_grpc.ledger import Ledger

_LONGEST_REST = 60.0


class Desk(Board):
    """The board of a job, and all that changes it together with the ledger.

    Args:
        rest: Seconds that images wait before they are sent for the second time; doubled for each further one, to a minute.
    """

    def __init__(self, ledger: Ledger, service: Service, output: str, rest: float) -> None:
        super().__init__(ledger, service, output)
        self._rest = rest

    def restore(self) -> None:
        """Takes up what an earlier run left: running operations, doubts, results that nobody collected."""
        for row in self.ledger.rows(State.RUNNING):
            assert row.operation is not None
            self._watch(row.operation, row)
        for row in self.ledger.rows(State.UNKNOWN):
            self._doubt(row, accepted=row.operation is not None)
        ended = self.ledger.rows(State.DONE, State.FAILED)
        self.ended.extend(row.number for row in sorted(ended, key=lambda row: row.ended or 0.0))

    async def plan(self, part: Part) -> None:
        await self.disk(self.ledger.plan, [part])
        self.account.add(part.images)
        self.signal.set()

    async def plan_again(self, row: Row, part: Part) -> Row:
        """Images of a request that ended are planned once more, after a rest; the request itself stays uncollected."""
        child = await self.disk(self.ledger.plan_again, row.number, part, attempt=row.attempt + 1)
        return await self._planned_again(child, row, part.images)

    async def collected(self, taken: Sequence[Harvest], again: Part | None) -> None:
        """The consumer has taken all that these requests brought; `again` are images of the first to be sent again."""
        rows = [(harvest.row.number, harvest.ok, harvest.failures) for harvest in taken]
        child = await self.disk(self.ledger.collected, rows, again)
        for harvest in taken:
            row, repeated = harvest.row, len(harvest.again)
            if row.state is State.COLLECTED:
                continue  # in the order of completion, by an earlier run
            self.account.move(row.images, row.state, State.COLLECTED)
            self.account.ok += harvest.ok
            self.account.failed += len(harvest.failures) - repeated
            self.telemetry.images(harvest.ok, len(harvest.failures) - repeated, repeated)
        if child is not None and again is not None:
            await self._planned_again(child, taken[0].row, again.images)
        self.signal.set()

    async def _planned_again(self, child: int, row: Row, images: int) -> Row:
        rest = min(_LONGEST_REST, self._rest * 2.0 ** min(row.attempt - 1, 16))
        self.rests[child] = self.clock() + rest
        self.account.add(images)
        self.plans += 1
        self.telemetry.event("images are sent again", request=child, parent=row.number, images=images, rest=rest)
        self.signal.set()
        return await self.disk(self.ledger.row, child)

    async def intend(self, row: Row, cost: float) -> Row:
        """The request is about to be sent; returns it as it is now."""
        self.sending += 1
        try:
            await self.disk(self.ledger.intend, row.number, cost)
        except BaseException:
            self.sending -= 1
            raise
        self.window += row.images
        self.account.move(row.images, State.PLANNED, State.SUBMITTING)
        row = replace(row, state=State.SUBMITTING, cost=cost, sent=time.time())
        self.account.send(row)
        return row

    async def accepted(self, row: Row, operation: str) -> None:
        await self.disk(self.ledger.accepted, row.number, operation)
        self.accepted_any = True
        self.account.move(row.images, State.SUBMITTING, State.RUNNING)
        self.window -= row.images
        self._watch(operation, row)
        self.signal.set()

    async def refused(self, row: Row, error: str) -> None:
        await self.disk(self.ledger.refused, row.number, error)
        self.window -= row.images
        self.account.move(row.images, State.SUBMITTING, State.PLANNED)
        self.account.unsend(row)
        self.account.refusals += 1
        self.plans += 1
        self.signal.set()

    async def rejected(self, row: Row, code: int, error: str) -> None:
        """The service refused it for what it holds: each of its images gets that error."""
        await self.disk(self.ledger.ended, row.number, code, error)
        self.window -= row.images
        self.account.move(row.images, State.SUBMITTING, State.FAILED)
        self.ended.append(row.number)
        self.signal.set()

    async def doubted(self, row: Row, error: str) -> None:
        """The answer to a submit was lost."""
        await self.disk(self.ledger.doubted, row.number, error)
        self.account.move(row.images, State.SUBMITTING, State.UNKNOWN)
        self.window -= row.images
        self._doubt(row, accepted=False)
        self.telemetry.event("a request is in doubt", level=logging.WARNING, request=row.number, images=row.images, error=error)
        self.signal.set()

    async def vanished(self, operation: str, error: str) -> None:
        """An accepted operation is not known to the server any more."""
        row = self.running[operation].row
        await self.disk(self.ledger.doubted, row.number, error)
        self._unwatch(operation)
        self.account.move(row.images, State.RUNNING, State.UNKNOWN)
        self._doubt(row, accepted=True)
        self.telemetry.event("an operation is gone", level=logging.WARNING, request=row.number, operation=operation, error=error)
        self.signal.set()

    async def finished(self, operation: str, code: int | None, error: str | None) -> None:
        """A running operation ended."""
        running = self.running[operation]
        row = running.row
        # It runs until the ledger says otherwise: in between, the job must not seem to be over.
        await self.disk(self.ledger.ended, row.number, code, error)
        self._unwatch(operation)
        self._end(row, State.RUNNING, code)
        self.telemetry.operation(status_code(code).name if code is not None else "OK", self.clock() - running.since)
        self.telemetry.event("an operation ended", request=row.number, operation=operation, code=code, error=error)

    async def settled(self, doubt: Doubt, operation: str | None, code: int | None = None, error: str | None = None) -> None:
        """A doubt is over: the request was accepted, and has ended."""
        row = doubt.row
        if operation is not None:
            await self.disk(self.ledger.accepted, row.number, operation)
        await self.disk(self.ledger.ended, row.number, code, error)
        self._drop(doubt)
        self._end(row, State.UNKNOWN, code)
        self.telemetry.operation(status_code(code).name if code is not None else "OK", None)
        self.telemetry.event("a doubt is settled", request=row.number, operation=operation, error=error)

    async def absent(self, doubt: Doubt) -> None:
        """A doubt is over: the request was never accepted; its images are planned again."""
        row = doubt.row
        await self.disk(self.ledger.absent, row.number, "proved not to have been accepted")
        self._drop(doubt)
        self.account.move(row.images, State.UNKNOWN, State.COLLECTED)
        self.account.unsend(row)
        self.account.add(row.images)
        self.plans += 1
        self.telemetry.event("a doubt is settled: the request was not accepted", request=row.number)
        self.signal.set()

    def give_up(self, doubt: Doubt, reason: str) -> None:
        """A doubt outlives this run."""
        self._drop(doubt)
        self.given_up[doubt.row.number] = self.unsettled(doubt.row, reason)
        self.telemetry.event("a request stays in doubt", level=logging.WARNING, request=doubt.row.number, reason=reason)
        self.signal.set()

    def release(self, doubt: Doubt) -> None:
        """The doubt is old: it no longer takes room in the window, which it may never have taken at the service."""
        if doubt.counted:
            doubt.counted = False
            self.window -= doubt.row.images
            self.signal.set()

    def _watch(self, operation: str, row: Row) -> None:
        self.running[operation] = Running(replace(row, state=State.RUNNING, operation=operation), self.clock())
        self.window += row.images
        self.service.watch(operation)

    def _unwatch(self, operation: str) -> None:
        self.window -= self.running.pop(operation).row.images

    def _doubt(self, row: Row, *, accepted: bool) -> None:
        self.doubts[row.number] = Doubt(row, self.destination(row), self.clock(), accepted)
        self.window += row.images

    def _drop(self, doubt: Doubt) -> None:
        self.release(doubt)
        del self.doubts[doubt.row.number]

    def _end(self, row: Row, before: State, code: int | None) -> None:
        self.account.move(row.images, before, State.DONE if code is None else State.FAILED)
        self.account.end(row.images, self.clock())
        self.ended.append(row.number)
        self.signal.set()
