"""Hands a job's results to its consumer, as requests end or in the order of the input, and notes what was taken.

A request is `collected` when the consumer asks for what comes after its last result. Until then a resume hands its results out
again: nothing is lost between the service and the consumer, and only what the consumer had of an uncollected request comes twice.
Nothing is handed out before the inputs were found to be the ledger's own: a resume with wrong ones takes nothing from the right one.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from vision_grpc._job.collect import Harvest, Slice, outcomes
from vision_grpc._ledger.rows import Row, State
from vision_grpc.errors import ResultsError

if TYPE_CHECKING:
    from vision_grpc._job.desk import Desk
    from vision_grpc._results.join import ImageResult


class _Missing(Exception):
    """A result will not come in this run.

    Attributes:
        skip: Those after it can be handed out all the same.
    """

    def __init__(self, *, skip: bool) -> None:
        self.skip = skip


class Delivery:
    """The results of a job, slice by slice.

    Args:
        attempts: How often an image is sent at most.
    """

    def __init__(self, desk: Desk, attempts: int) -> None:
        self._desk = desk
        self._attempts = attempts

    async def by_completion(self) -> AsyncGenerator[Slice, None]:
        """Each request's results once it ended; an image that is sent again comes with its last try."""
        desk = self._desk
        if not await self._checked():
            return
        while True:
            if desk.failure is not None:
                raise desk.failure
            if desk.stopped:
                return
            if not desk.ended:
                if not await self._wait(desk.signal.moment):
                    return
                continue
            harvest = await self._harvest(desk.ended.popleft())
            try:
                async with aclosing(self._outcomes(harvest)) as reading:
                    async for offset, results in reading:
                        if final := [result for place, result in enumerate(results, offset) if harvest.take(result, place)]:
                            yield final
            except ResultsError as error:
                self._unreadable(harvest.row, error)
                continue
            await desk.collected([harvest], harvest.part.select(harvest.again) if harvest.again and harvest.child is None else None)

    async def by_input(self) -> AsyncGenerator[Slice, None]:
        """The results in the order of the input; one that is sent again holds up those after it."""
        desk = self._desk
        if not await self._checked():
            return
        cursor = -1
        while True:
            seen = desk.signal.moment
            row = await desk.disk(desk.ledger.head, cursor)
            if row is None:
                if desk.planned_all or not await self._wait(seen):
                    return
                continue
            desk.head = (await desk.disk(desk.ledger.part, row.number)).indices()[-1]
            desk.signal.set()
            taken: list[Harvest] = []
            try:
                row = await self._ended(row)
                async with aclosing(self._merged(row, taken)) as merged:
                    async for results in merged:
                        yield results
                await desk.collected(taken, None)
                for harvest in taken:
                    with suppress(ValueError):  # scouted
                        desk.ended.remove(harvest.row.number)
            except _Missing as missing:
                if not missing.skip:
                    return
            except ResultsError as error:
                self._unreadable(row, error)
            cursor = row.first

    async def _checked(self) -> bool:
        """Waits until the inputs were compared with the ledger, also where the job drains; False where it was stopped before."""
        desk = self._desk
        while not (desk.checked or desk.stopped or desk.failure):
            await desk.signal.wait(desk.signal.moment)
        if desk.failure is not None:
            raise desk.failure
        return desk.checked

    async def _merged(self, row: Row, taken: list[Harvest]) -> AsyncGenerator[Slice, None]:
        """A request's results, those of images that were sent again in their places."""
        harvest = await self._harvest(row.number)
        taken.append(harvest)
        repeats: AsyncGenerator[ImageResult, None] | None = None
        async with AsyncExitStack() as stack:
            reading = await stack.enter_async_context(aclosing(self._outcomes(harvest)))
            async for offset, results in reading:
                final: Slice = []
                for place, result in enumerate(results, offset):
                    if harvest.take(result, place):
                        final.append(result)
                        continue
                    if repeats is None:
                        if final:
                            yield final
                            final = []
                        child = await self._child(harvest)
                        if child is None:
                            raise _changed(result)
                        child = await self._ended(child, scout=True)
                        repeats = await stack.enter_async_context(aclosing(self._one_by_one(child, taken)))
                    final.append(await _repeat(repeats, result))
                if final:
                    yield final
            if repeats is not None:
                async for _ in repeats:
                    pass  # to its end, where it counts what it brought

    async def _one_by_one(self, row: Row, taken: list[Harvest]) -> AsyncGenerator[ImageResult, None]:
        async with aclosing(self._merged(row, taken)) as merged:
            async for results in merged:
                for result in results:
                    yield result

    def _outcomes(self, harvest: Harvest) -> AsyncGenerator[tuple[int, Slice], None]:
        desk = self._desk
        return outcomes(desk.service, harvest.row, harvest.part, desk.destination(harvest.row))

    async def _child(self, harvest: Harvest) -> Row | None:
        """The request that sends the failed images again; planned if it is not yet, from another reading that only counts."""
        desk, row = self._desk, harvest.row
        child = await desk.disk(desk.ledger.child, row.number)
        if child is not None:
            return child
        counting = replace(harvest, ok=0, failures=[], again=[])
        async with aclosing(self._outcomes(harvest)) as reading:
            async for offset, results in reading:
                for place, result in enumerate(results, offset):
                    counting.take(result, place)
        return await desk.plan_again(row, harvest.part.select(counting.again)) if counting.again else None

    async def _ended(self, row: Row, *, scout: bool = False) -> Row:
        """Waits until the request, or what took its place, has ended; raises _Missing where it will not in this run.

        With `scout` the time is used to find what else must be sent again, so that all of that does not happen one after another.
        """
        desk = self._desk
        while True:
            seen = desk.signal.moment
            row = await desk.disk(desk.ledger.row, row.number)
            if row.state is State.COLLECTED and row.sent is None:
                # Proved never to have been accepted: its images are another request's now.
                replacement = await desk.disk(desk.ledger.child, row.number)
                assert replacement is not None
                row = replacement
                continue
            if row.state in (State.DONE, State.FAILED, State.COLLECTED):
                return row
            if row.number in desk.given_up:
                raise _Missing(skip=True)
            if scout and desk.ended and not desk.draining:
                await self._scout(desk.ended.popleft())
                continue
            if (desk.draining and row.state is State.PLANNED) or not await self._wait(seen):
                raise _Missing(skip=False)

    async def _scout(self, number: int) -> None:
        """Sends images of an ended request again before its own turn to be read has come."""
        harvest = await self._harvest(number)
        if harvest.row.state in (State.DONE, State.FAILED) and harvest.row.attempt < self._attempts:
            with suppress(ResultsError):
                await self._child(harvest)

    async def _harvest(self, number: int) -> Harvest:
        desk = self._desk
        row, child = await desk.disk(desk.ledger.row, number), await desk.disk(desk.ledger.child, number)
        again = frozenset((await desk.disk(desk.ledger.part, child.number)).indices()) if child is not None else None
        return Harvest(row, await desk.disk(desk.ledger.part, number), self._attempts, again)

    def _unreadable(self, row: Row, error: ResultsError) -> None:
        desk = self._desk
        why = str(error) if row.error is None else f"the operation failed: {row.error}; what it wrote all the same: {error}"
        desk.unreadable[row.number] = desk.unsettled(row, why)
        desk.telemetry.event("results cannot be read", level=logging.ERROR, request=row.number, error=str(error))
        desk.signal.set()

    async def _wait(self, seen: int) -> bool:
        """Waits for a change after `seen`; False where none can come. Raises what ends the job."""
        desk = self._desk
        if desk.failure is not None:
            raise desk.failure
        if desk.signal.moment != seen:
            return True
        if desk.over:
            return False
        desk.starved = True
        try:
            await desk.signal.wait(seen)
        finally:
            desk.starved = False
        return True


async def _repeat(repeats: AsyncGenerator[ImageResult, None], wanted: ImageResult) -> ImageResult:
    """The result of the image's next try; raises ResultsError where there is none, as an output changed while it was read."""
    async for result in repeats:
        if result.index == wanted.index:
            return result
        if result.index > wanted.index:
            break
    raise _changed(wanted)


def _changed(result: ImageResult) -> ResultsError:
    return ResultsError(f"the results of {result.uri} changed while they were read: resume to read them again", uri=result.uri)
