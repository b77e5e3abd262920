"""Hears of operations that ended, and settles doubts by the evidence that the server and the objects give."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import grpc

from vision_grpc._job.service import list_operations
from vision_grpc._job.settle import Doubt, Listing, Verdict, judge
from vision_grpc.errors import AuthError, CallError, ResultsError, VisionError

if TYPE_CHECKING:
    from vision_grpc._job.desk import Desk

_LONGEST_PAUSE = 20.0
_UNKNOWN, _ABORTED = 2, 10

_ENDED = {
    Verdict.BROKEN: "the operation is gone without having written this result",
    Verdict.OVER: "the request was not accepted, or its operation failed",
}
_RESUBMIT = "say resubmit_unknown=True to send it again"
_REASONS = {
    Verdict.ABSENT: f"neither an operation nor an object of it was found; {_RESUBMIT}",
    Verdict.BROKEN: f"it was accepted, but its operation is gone and not all of its results were written; {_RESUBMIT}",
    Verdict.OVER: f"no object of it was found, and an operation failed that may have been its own; {_RESUBMIT}",
    Verdict.UNDECIDED: "the server lists no operations, and no object of it was found yet; resume later to look again",
}


async def watch(desk: Desk) -> None:
    """Waits for running operations as long as the job lasts."""
    while True:
        seen = desk.signal.moment
        if not desk.running:
            await desk.signal.wait(seen)
            continue
        for name, outcome in await desk.service.ended():
            if name not in desk.running:
                continue
            if not isinstance(outcome, CallError):
                error = outcome.error if outcome.HasField("error") else None
                await desk.finished(name, None if error is None else error.code or _UNKNOWN, None if error is None else error.message)
            elif outcome.code is grpc.StatusCode.NOT_FOUND:
                await desk.vanished(name, str(outcome))
            else:
                desk.fail(outcome)


class Settler:
    """The task that looks for the fate of doubtful requests.

    Args:
        grace: Seconds that the service may take to show what it has accepted.
        patience: Seconds for which looks may fail before a doubt is given up, once nothing else moves.
        resubmit: Whether what was proved absent, or broken off, may be sent again.
    """

    def __init__(self, desk: Desk, grace: float, patience: float, resubmit: bool) -> None:
        self._desk = desk
        self._grace = grace
        self._patience = patience
        self._resubmit = resubmit
        self._lists = True

    async def run(self) -> None:
        desk = self._desk
        first = min(1.0, max(0.02, self._grace / 4))
        pause, known = first, 0
        while True:
            seen = desk.signal.moment
            if not desk.doubts:
                pause, known = first, 0
                await desk.signal.wait(seen)
                continue
            pause = first if len(desk.doubts) > known else min(_LONGEST_PAUSE, pause * 1.5)
            known = len(desk.doubts)
            await self._look()
            await asyncio.sleep(pause)

    async def _look(self) -> None:
        desk = self._desk
        now = desk.clock()
        doubts = list(desk.doubts.values())
        for doubt in doubts:
            if now - doubt.since >= self._grace:
                desk.release(doubt)
        try:
            listing = await self._list()
        except (CallError, AuthError) as error:
            desk.telemetry.event("the operations cannot be listed now", level=logging.WARNING, error=str(error))
            for doubt in doubts:
                self._looked_in_vain(doubt, error)
            return
        for doubt in doubts:
            try:
                shards = await desk.service.shards(doubt.prefix)
            except ResultsError as error:
                desk.telemetry.event("a prefix cannot be listed now", level=logging.WARNING, error=str(error))
                self._looked_in_vain(doubt, error)
                continue
            doubt.blind = None
            verdict = judge(doubt, now=now, grace=self._grace, listing=listing, shards=shards, last=desk.stuck)
            await self._act(doubt, verdict, listing)

    def _looked_in_vain(self, doubt: Doubt, error: VisionError) -> None:
        """Nothing is concluded from a look that failed; but the job does not wait for ever for one that does not."""
        desk, now = self._desk, self._desk.clock()
        if doubt.blind is None:
            doubt.blind = now
        elif desk.stuck and now - doubt.blind >= self._patience:
            desk.give_up(doubt, f"it could not be looked for: {error}")

    async def _act(self, doubt: Doubt, verdict: Verdict, listing: Listing | None) -> None:
        desk = self._desk
        if verdict is Verdict.FINISHED and listing is not None:
            await desk.settled(doubt, listing.finished[doubt.prefix])
        elif verdict is Verdict.WRITTEN:
            await desk.settled(doubt, None)
        elif verdict is Verdict.ABSENT and self._resubmit:
            await desk.absent(doubt)
        elif verdict in _ENDED and self._resubmit:
            await desk.settled(doubt, None, _ABORTED, _ENDED[verdict])
        elif verdict is not Verdict.OPEN:
            desk.give_up(doubt, _REASONS[verdict])

    async def _list(self) -> Listing | None:
        desk = self._desk
        if not self._lists:
            return None
        wanted = {doubt.prefix for doubt in desk.doubts.values()}
        known = await desk.disk(lambda: desk.ledger.last_operation)
        try:
            listing = await list_operations(desk.service, known, wanted.__contains__)
        except CallError as error:
            if error.transient:
                raise
            desk.telemetry.event("the server lists no operations", error=str(error))
            self._lists = False
            return None
        return listing.without(await desk.disk(desk.ledger.own_operations, [*listing.running, *listing.failed]))
