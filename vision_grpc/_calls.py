"""What to do next, decided without I/O: a call with its retries, and the errors that end it.

A flow is a generator. It yields a step (`Call`, `Gather`, `Connect`, `Sleep`, `Reauthenticate`), is sent what came of it, or
has the failure thrown into it, and returns the result. `run` and `arun` are the only two places where a flow meets a
transport, blocking or asyncio; both clients therefore retry, give up and raise alike.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Awaitable, Callable, Generator, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeVar

import grpc
from google.protobuf.message import DecodeError, Message
from google.rpc.status_pb2 import Status

from vision_grpc._gen.google.longrunning import operations_pb2_grpc
from vision_grpc._gen.google.longrunning.operations_pb2 import GetOperationRequest
from vision_grpc.config import Retry, limit_of
from vision_grpc.errors import AuthError, CallError, status_details

Metadata = Sequence[tuple[str, str | bytes]]
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Method:
    """One row of the RPC table.

    Attributes:
        stub: The generated stub class that has the method.
        name: The method's name.
        idempotent: Sending it twice does and costs no more than sending it once.
        routing: The request's field that travels in x-goog-request-params, None without one.
    """

    stub: type[Any]
    name: str
    idempotent: bool
    routing: str | None = None


# Steps are not frozen only because that would triple the time of making one.
@dataclass(slots=True)
class Call:
    """Send `request`; the reply is sent back into the flow, a grpc.RpcError or AuthError is thrown into it."""

    method: Method
    request: Message
    timeout: float | None
    metadata: Metadata = ()
    wait_for_ready: bool = False


@dataclass(slots=True)
class Gather:
    """Send several calls at once; a list of replies and errors, in the order of the calls, is sent back."""

    calls: Sequence[Call]


@dataclass(slots=True)
class Connect:
    """Wait until the channel is connected; None is sent back, or the words of why it is not within `timeout` seconds."""

    timeout: float


@dataclass(slots=True)
class Sleep:
    seconds: float


@dataclass(slots=True)
class Identify:
    """Find out within `timeout` seconds which project the credentials belong to; its ID or None is sent back."""

    timeout: float | None


@dataclass(slots=True)
class Reauthenticate:
    """Throw away the cached token; the next call fetches another."""


Step = Call | Gather | Connect | Sleep | Identify | Reauthenticate
Flow = Generator[Step, Any, _T]


def _draw() -> float:
    """A number in [0, 1). The module takes 2 ms to load, and only failures and waits need it."""
    import random

    return random.random()


@dataclass(slots=True)
class Context:
    """What a client's flows share: its settings, its clock and what it learned of the server.

    Attributes:
        connected: Whether the connection was seen to stand a moment ago; False says only that somebody should look.
    """

    retry: Retry = field(default_factory=Retry)
    connected: Callable[[], bool] = bool
    clock: Callable[[], float] = time.monotonic
    random: Callable[[], float] = _draw
    server_waits: bool = True
    server_lists: bool = True


GET = Method(operations_pb2_grpc.OperationsStub, "GetOperation", idempotent=True, routing="name")
WAIT = Method(operations_pb2_grpc.OperationsStub, "WaitOperation", idempotent=True, routing="name")
LIST = Method(operations_pb2_grpc.OperationsStub, "ListOperations", idempotent=True, routing="name")
CANCEL = Method(operations_pb2_grpc.OperationsStub, "CancelOperation", idempotent=True, routing="name")
DELETE = Method(operations_pb2_grpc.OperationsStub, "DeleteOperation", idempotent=True, routing="name")


@cache
def annotator(version: str, name: str) -> Method:
    """A method of ImageAnnotator. All of them are billed, so none is idempotent."""
    module = importlib.import_module(f"vision_grpc._gen.google.cloud.vision.{version}.image_annotator_pb2_grpc")
    return Method(module.ImageAnnotatorStub, name, idempotent=False, routing="parent")


def run(flow: Flow[_T], perform: Callable[[Step], Any]) -> _T:
    """Drives a flow to its end with a blocking `perform`."""
    try:
        step = next(flow)
        while True:
            try:
                outcome = perform(step)
            except (grpc.RpcError, AuthError) as failure:
                step = flow.throw(failure)
            else:
                step = flow.send(outcome)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]


async def arun(flow: Flow[_T], perform: Callable[[Step], Awaitable[Any]]) -> _T:
    """Drives a flow to its end with an asyncio `perform`."""
    try:
        step = next(flow)
        while True:
            try:
                outcome = await perform(step)
            except (grpc.RpcError, AuthError) as failure:
                step = flow.throw(failure)
            else:
                step = flow.send(outcome)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]


_REJECTED = frozenset(
    {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.ALREADY_EXISTS,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.UNIMPLEMENTED,
    }
)
"""The codes by which a server says that it did not act. After any other, it may have."""


def call(
    context: Context,
    method: Method,
    request: Message,
    *,
    timeout: float | None,
    metadata: Metadata = (),
    retry: Retry | None = None,
) -> Flow[Any]:
    """One call and the repetitions of it that can do no harm, all within `timeout` seconds.

    An idempotent method is repeated after every transient code. Any other is sent only over a connection that stands, for which it
    waits `Retry.connect` seconds each time, and is repeated only after RESOURCE_EXHAUSTED, by which the server says that it refused;
    what else befalls it ends in a CallError that says whether the service may have acted. A connection that is lost after that look
    is waited for until the deadline; without one, the call fails.

    Raises:
        ConfigError: `timeout` is no time; nothing was sent.
        CallError: The last failure.
        AuthError: No usable credentials; nothing was sent.
    """
    timeout = limit_of(timeout)
    retry = retry or context.retry
    clock = context.clock
    deadline = None if timeout is None else clock() + timeout
    once = not method.idempotent
    attempts = 0
    renewed = False
    acted = False
    while True:
        left = None if deadline is None else max(0.0, deadline - clock())
        if once and not context.connected():
            yield from connected(method, retry.connect if left is None else min(retry.connect, left), metadata, refusals=attempts)
            left = None if deadline is None else max(0.0, deadline - clock())
        if once and left == 0:
            raise CallError(
                method=method.name,
                code=grpc.StatusCode.DEADLINE_EXCEEDED,
                message=f"the {timeout:g} s had passed before anything was sent",
                attempts=attempts,
            )
        attempts += 1
        try:
            return (yield Call(method, request, left, metadata, once and left is not None))
        except grpc.RpcError as rpc_error:
            error = call_error(method, rpc_error, attempts)
            if error.code is grpc.StatusCode.UNAUTHENTICATED and not renewed:
                # A token can be revoked, or a clock can be wrong, before its time is up: one more try with another.
                renewed = True
                yield Reauthenticate()
                continue
            if method is DELETE and acted and error.code is grpc.StatusCode.NOT_FOUND:
                return None
            acted = acted or error.code not in _REJECTED
            repeatable = error.transient and (method.idempotent or error.code is grpc.StatusCode.RESOURCE_EXHAUSTED)
            pause = backoff(retry, context, attempts, error)
            left = None if deadline is None else max(0.0, deadline - clock())
            if not repeatable or attempts >= retry.attempts or (left is not None and pause >= left):
                raise error from rpc_error
        yield Sleep(pause)


_PROBE = 1.0
"""Seconds for gRPC to tell why it does not connect. It knows at once, unless the first try to connect is still under way."""


def connected(method: Method, seconds: float, metadata: Metadata = (), *, refusals: int = 0) -> Flow[None]:
    """Waits for the connection that `method` needs, which the service refused so many times before.

    Raises:
        CallError: There is none within `seconds`, with gRPC's own reason, which only a failing call tells; nothing was sent.
        AuthError: No usable credentials.
    """
    why = yield Connect(seconds)
    if why is None:
        return
    try:
        yield Call(GET, GetOperationRequest(name="operations/connection"), _PROBE, metadata)
    except grpc.RpcError as probe:
        if probe.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
            reason = probe.details() if probe.code() is grpc.StatusCode.UNAVAILABLE else "it does not answer"
            sent = "the service refused what was sent before" if refusals else "nothing was sent"
            code, attempts = grpc.StatusCode.UNAVAILABLE, max(1, refusals)
            raise CallError(method=method.name, code=code, message=f"{why}, {sent}: {reason}", attempts=attempts) from probe


_LONGEST_DELAY = 86_400.0
"""Seconds of a server's RetryInfo that are obeyed: its field holds ten thousand years."""


def backoff(retry: Retry, context: Context, failures: int, error: CallError) -> float:
    """Seconds to wait after this many failures in a row; never less than the server's RetryInfo asks for, up to a day."""
    return max(retry.bound(failures) * context.random(), retry_after(error))


def retry_after(error: CallError) -> float:
    """Seconds that the server's RetryInfo asks to wait, up to a day; 0 where it has none."""
    pause = 0.0
    for detail in error.details:
        from google.rpc.error_details_pb2 import RetryInfo

        if isinstance(detail, RetryInfo):
            pause = max(pause, min(_LONGEST_DELAY, detail.retry_delay.seconds + detail.retry_delay.nanos / 1e9))
    return pause


_OVERSIZED = ("message larger than max", "metadata size exceeds")


def call_error(method: Method, rpc_error: grpc.RpcError, attempts: int) -> CallError:
    """The CallError for what gRPC raised, sync or aio: both have code(), details() and trailing_metadata()."""
    code: grpc.StatusCode = rpc_error.code()
    details: tuple[Message, ...] = ()
    trailing: Any = rpc_error.trailing_metadata()
    for key, value in trailing or ():
        if key == "grpc-status-details-bin":
            try:
                details = status_details(Status.FromString(value))
            except DecodeError:
                details = ()
    message = rpc_error.details() or ""
    # By the same code gRPC's core says that a message or its metadata is over a size limit: no other try fares better, and where it
    # is the reply that this side refuses, the service has done the work. Only core's words tell it from a quota.
    oversized = code is grpc.StatusCode.RESOURCE_EXHAUSTED and any(words in message for words in _OVERSIZED)
    unread = oversized and any(words in message for words in ("CLIENT: Received", "Stream removed"))
    error = CallError(
        method=method.name,
        code=code,
        message=message,
        details=details,
        attempts=attempts,
        ambiguous=not method.idempotent and (unread or code not in _REJECTED),
    )
    error.transient = error.transient and not oversized
    return error
