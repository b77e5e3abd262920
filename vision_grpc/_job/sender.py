"""Sends a job's planned requests, within the quotas and the caps, each once and with its intent written down before."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc

from vision_grpc._calls import retry_after
from vision_grpc._job.pace import Pace
from vision_grpc._job.service import Unsent
from vision_grpc._job.telemetry import trace_metadata
from vision_grpc._ledger.rows import Row, State
from vision_grpc.errors import AuthError, CallError, ConfigError

if TYPE_CHECKING:
    from vision_grpc._job.desk import Desk
    from vision_grpc._job.template import Template
    from vision_grpc.requests import AsyncRequest

_OF_THE_CALLER = (grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.UNIMPLEMENTED)
_READ_AHEAD = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What a job may use and spend.

    Attributes:
        images_in_flight: Images being sent or processed at the same time.
        requests_per_minute: Requests sent in any 60 seconds.
        max_images: Images sent in all, repetitions included; None for no cap.
        max_cost: What they may cost by `prices`; None for no cap.
        prices: For a thousand images, by feature number.
    """

    images_in_flight: int
    requests_per_minute: int
    max_images: int | None
    max_cost: float | None
    prices: Mapping[int, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Making:
    """What requests are made with."""

    template: Template
    batch_size: int
    parent: str | None
    labels: Mapping[str, str]


class Sender:
    """The task that sends, and the tasks of the calls in flight.

    Args:
        patience: Seconds for which the service may refuse or be unreachable before the job gives up.
    """

    def __init__(self, desk: Desk, limits: Limits, making: Making, patience: float) -> None:
        self._desk = desk
        self._limits = limits
        self._making = making
        self._patience = patience
        self._pace = Pace(limits.requests_per_minute)
        self._next: deque[Row] = deque()
        self._plans = -1
        self.calls: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Sends until the job drains."""
        desk = self._desk
        now = desk.clock()
        self._pace.resume(now - ago for ago in await desk.disk(desk.ledger.sent_within, 60.0))
        while not desk.draining:
            seen = desk.signal.moment
            row, pause = await self._choose()
            if row is None:
                desk.idle = pause is None
                await desk.signal.wait(seen, pause)
                desk.idle = False
            elif await self._affordable(row):
                await self._send(row)
            else:
                desk.capped = desk.draining = True
                desk.telemetry.event(
                    "a cap was reached: nothing more is sent", level=logging.WARNING, request=row.number, images=row.images
                )
                desk.signal.set()

    async def _choose(self) -> tuple[Row | None, float | None]:
        """The request to send now; or none, and the seconds after which there may be one, None where only a change can bring it."""
        desk, limits = self._desk, self._limits
        if not desk.checked:
            return None, None
        now = desk.clock()
        row = await self._planned(now)
        # A request at rest may come before those that have no room now.
        rest = max(0.0, min(desk.rests.values()) - now) if desk.rests else None
        if row is None or (desk.window and desk.window + row.images > limits.images_in_flight):
            return None, rest
        # What is processed and not collected must not pile up, unless the consumer waits for just this request.
        if desk.waiting >= limits.images_in_flight and row.first > desk.head:
            return None, rest
        pause = self._pace.wait(now)
        return (None, pause) if pause > 0 else (row, 0.0)

    async def _planned(self, now: float) -> Row | None:
        desk = self._desk
        for number in [number for number, rest in desk.rests.items() if rest <= now]:
            del desk.rests[number]
            desk.plans += 1
        if self._plans != desk.plans:
            self._plans = desk.plans
            self._next.clear()
        if not self._next and desk.account.requests[State.PLANNED]:
            self._next.extend(await desk.disk(desk.ledger.rows, State.PLANNED, limit=_READ_AHEAD, skip=list(desk.rests)))
        return self._next[0] if self._next else None

    async def _affordable(self, row: Row) -> bool:
        account, limits = self._desk.account, self._limits
        if limits.max_images is not None and account.sent + row.images > limits.max_images:
            return False
        return limits.max_cost is None or account.cost + await self._cost(row) <= limits.max_cost * (1 + 1e-12)

    async def _cost(self, row: Row) -> float:
        if self._limits.max_cost is None:
            return 0.0
        part = await self._desk.disk(self._desk.ledger.part, row.number)
        return self._making.template.cost(part, self._limits.prices)

    async def _send(self, row: Row) -> None:
        desk = self._desk
        request = await desk.disk(self._request, row)
        cost = await self._cost(row)
        row = await desk.intend(row, cost)
        self._next.popleft()
        self._pace.sent(desk.clock())
        call = asyncio.create_task(desk.guard(self._call(row, request)))
        self.calls.add(call)
        call.add_done_callback(self.calls.discard)

    def _request(self, row: Row) -> AsyncRequest:
        desk, making = self._desk, self._making
        return making.template.build(
            desk.ledger.part(row.number),
            desk.service.door,
            destination=desk.destination(row),
            batch_size=making.batch_size,
            parent=making.parent,
            labels=making.labels,
        )

    async def _call(self, row: Row, request: AsyncRequest) -> None:
        desk = self._desk
        begun = desk.clock()
        try:
            outcome = await self._submit(row, request)
        finally:
            desk.sending -= 1
            desk.signal.set()
        desk.telemetry.request(outcome, seconds=desk.clock() - begun)

    async def _submit(self, row: Row, request: AsyncRequest) -> str:
        desk = self._desk
        # Only what the call itself raises may end in a refusal: an accepted request whose name cannot be written stays in doubt.
        try:
            operation = await desk.service.submit(request, trace_metadata())
        except Unsent:
            await desk.refused(row, "it was not sent: the job was stopped before")
            raise
        except CallError as error:
            return await self._failed(row, error)
        except (AuthError, ConfigError) as error:
            await desk.refused(row, str(error))
            if isinstance(error, AuthError) and error.transient:
                self._hold(error)
            else:
                desk.fail(error)
            return "unsent"
        self._pace.accepted(desk.clock())
        await desk.accepted(row, operation)
        desk.telemetry.event("a request was accepted", request=row.number, images=row.images, operation=operation)
        return "accepted"

    async def _failed(self, row: Row, error: CallError) -> str:
        desk = self._desk
        if error.ambiguous:
            await desk.doubted(row, str(error))
            return "doubted"
        if error.transient:
            await desk.refused(row, str(error))
            self._hold(error)
            return "refused"
        if error.code in _OF_THE_CALLER or not desk.accepted_any:
            # Where nothing was ever accepted, what is wrong is more likely the job than this request: no image is given up for it.
            await desk.refused(row, str(error))
            desk.fail(error)
            return "refused"
        number: int = error.code.value[0]
        await desk.rejected(row, number, error.message)
        return "rejected"

    def _hold(self, error: CallError | AuthError) -> None:
        now = self._desk.clock()
        if isinstance(error, CallError) and error.code is grpc.StatusCode.RESOURCE_EXHAUSTED:
            self._pace.refused(now, retry_after(error))
        else:
            self._pace.held(now)
        self._desk.telemetry.event(
            "the service takes nothing now", level=logging.WARNING, share=round(self._pace.share, 3), error=str(error)
        )
        if self._pace.refused_since is not None and now - self._pace.refused_since > self._patience:
            self._desk.fail(error)
