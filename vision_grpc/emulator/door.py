"""The front door: every call is recorded, met by the faults that are armed, parsed, answered, and refused in gRPC's terms.

gRPC's calls come in by :meth:`Door.service`, those of HTTP by :meth:`Door.answer`; behind both is the same.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, NoReturn, Protocol

import grpc
from google.protobuf.message import DecodeError, Message

from vision_grpc.emulator import connection
from vision_grpc.emulator.calls import CallLog, RecordedCall
from vision_grpc.emulator.clock import Clock
from vision_grpc.emulator.faults import Fault, Faults, Kind
from vision_grpc.emulator.refusal import Refused, invalid
from vision_grpc.emulator.rpc import Method

logger = logging.getLogger(__name__)


class Caller(Protocol):
    """What the door asks of whoever calls. A grpc.aio.ServicerContext is one."""

    def invocation_metadata(self) -> Iterable[tuple[str, str | bytes]] | None: ...

    def time_remaining(self) -> float | None: ...

    def peer(self) -> str: ...

    async def abort(
        self, code: grpc.StatusCode, details: str = "", trailing_metadata: Iterable[tuple[str, str | bytes]] = ()
    ) -> NoReturn: ...


Answer = Callable[[bytes, Caller], Awaitable[bytes]]


class Door(grpc.GenericRpcHandler):
    """Routes calls to methods by path. Unknown paths get gRPC's own UNIMPLEMENTED."""

    def __init__(self, methods: Iterable[Method], calls: CallLog, faults: Faults, clock: Clock) -> None:
        self._calls = calls
        self._faults = faults
        self._clock = clock
        self._answers = {method.path: self._answering(method) for method in methods}
        self._handlers: dict[str, Any] = {path: grpc.unary_unary_rpc_method_handler(answer) for path, answer in self._answers.items()}

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[bytes, bytes] | None":
        return self._handlers.get(handler_call_details.method)

    def answer(self, path: str) -> Answer:
        """Returns what answers calls of a method, by its gRPC path. Raises KeyError for an unknown one."""
        return self._answers[path]

    def _answering(self, method: Method) -> Answer:
        async def answer(raw: bytes, context: Caller) -> bytes:
            self._record(method, raw, context)
            faults = self._faults.for_call(method.name)
            await self._break(faults, False, context)
            try:
                outcome: bytes | Refused = await method.behaviour(_parse(method.request_type, raw), context.time_remaining())
            except Refused as refused:
                logger.info("%s: %s: %s", method.name, refused.code.name, refused.message)
                outcome = refused
            except Exception:
                logger.exception("%s failed.", method.path)
                outcome = Refused(grpc.StatusCode.INTERNAL, "The embedded server failed on this call; its log says why.")
            await self._break(faults, True, context)
            if isinstance(outcome, Refused):
                return await context.abort(outcome.code, outcome.message)
            return outcome

        return answer

    def _record(self, method: Method, raw: bytes, context: Caller) -> None:
        metadata = tuple((key, value) for key, value in context.invocation_metadata() or ())
        self._calls.add(
            RecordedCall(path=method.path, metadata=metadata, time=self._clock.time(), raw=raw, request_type=method.request_type)
        )

    async def _break(self, faults: list[Fault], accepted: bool, context: Caller) -> None:
        for fault in faults:
            if fault.accepted is not accepted:
                continue
            if fault.kind is Kind.DELAY:
                await self._clock.sleep(fault.seconds)
            elif fault.kind is Kind.FAIL:
                details = fault.status_details
                await context.abort(fault.code, fault.message, (("grpc-status-details-bin", details),) if details is not None else ())
            elif fault.kind is Kind.DROP:
                connection.cut(context.peer())
                await _for_ever()
            elif fault.kind is Kind.HANG:
                await _for_ever()


def _parse(request_type: type[Message], raw: bytes) -> Message:
    try:
        return request_type.FromString(raw)
    except DecodeError:
        # Ours: what the real service answers to malformed bytes is not published.
        raise invalid(f"The request is not a valid {request_type.DESCRIPTOR.full_name}.") from None


async def _for_ever() -> None:
    # gRPC cancels the handler when its client gives up or goes away.
    await asyncio.Event().wait()
