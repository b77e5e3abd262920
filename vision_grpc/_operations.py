"""Operations, decided without I/O: their names, their ends, and waiting for one of them."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any

import grpc
from google.protobuf.message import DecodeError, Message

from vision_grpc import v1
from vision_grpc._calls import GET, WAIT, Call, Context, Flow, Method, Reauthenticate, Sleep, backoff, call_error
from vision_grpc._gen.google.longrunning.operations_pb2 import GetOperationRequest, WaitOperationRequest
from vision_grpc.config import VERSIONS, Polling, limit_of
from vision_grpc.errors import AuthError, CallError, ConfigError, OperationFailed, VisionError, WaitTimeout, status_code, status_details

if TYPE_CHECKING:
    from vision_grpc import v1p1beta1, v1p4beta1

    OperationMetadata = v1.OperationMetadata | v1p4beta1.OperationMetadata | v1p1beta1.OperationMetadata
    ImagesResponse = (
        v1.AsyncBatchAnnotateImagesResponse | v1p4beta1.AsyncBatchAnnotateImagesResponse | v1p1beta1.AsyncBatchAnnotateImagesResponse
    )
    # Every version's OperationMetadata has the same fields; a callback typed with v1's serves them all.
    Progress = Callable[[v1.OperationMetadata], object]

_PART = r"[^/\s\ud800-\udfff]+"  # halves of surrogate pairs cannot be sent
_NAME = re.compile(rf"(?:projects/{_PART}/)?(?:locations/{_PART}/)?operations/{_PART}\Z")
_LONGEST_NAME = 4096
"""Characters; gRPC carries a name in a header too, and breaks calls over some 16,000 bytes of headers again and again."""


def operation_name(operation: Message | str) -> str:
    """The name in or of `operation`, checked to be one of the four shapes that the service uses.

    Raises:
        ConfigError: It is no operation's name.
    """
    name = operation if isinstance(operation, str) else getattr(operation, "name", None)
    if not isinstance(name, str) or len(name) > _LONGEST_NAME or not _NAME.match(name):
        raise ConfigError(
            f"{name!r:.200} is not an operation's name; they look like projects/PROJECT/operations/ID, "
            "projects/PROJECT/locations/LOCATION/operations/ID, locations/LOCATION/operations/ID or operations/ID"
        )
    return name


def unpack(packed: Any) -> Message | None:
    """The message in a google.protobuf.Any, by the type that it names itself; None where it is empty.

    Raises:
        ConfigError: The type is none of ours.
        CallError: The bytes are not of that type; DATA_LOSS.
    """
    if not packed.type_url:
        return None
    full_name = packed.type_url.rpartition("/")[2]
    package, _, name = full_name.rpartition(".")
    version = package.removeprefix("google.cloud.vision.")
    message_class = getattr(importlib.import_module(f"vision_grpc.{version}"), name, None) if version in VERSIONS else None
    if message_class is None:
        raise ConfigError(f"the operation holds a {full_name}, which this client does not know")
    try:
        message: Message = message_class.FromString(packed.value)
    except DecodeError as error:
        raise CallError(method=GET.name, code=grpc.StatusCode.DATA_LOSS, message=f"the operation holds a damaged {full_name}") from error
    return message


def metadata_of(operation: Any) -> OperationMetadata | None:
    """The operation's metadata; None before the service has set any, or where this client cannot read it."""
    if not operation.HasField("metadata"):
        return None
    try:
        return unpack(operation.metadata)  # type: ignore[return-value]
    except VisionError:
        # It informs and decides nothing: an operation of a version yet unknown is waited for, fails and ends like any other.
        return None


def outcome_of(operation: Any) -> Any:
    """The response of a finished operation.

    Raises:
        OperationFailed: It ended with an error.
        ConfigError: It is not finished, or its response is of a foreign type.
        CallError: Its response is damaged or missing; DATA_LOSS.
    """
    if operation.HasField("error"):
        raise OperationFailed(
            name=operation.name,
            code=status_code(operation.error.code),
            message=operation.error.message,
            details=status_details(operation.error),
            metadata=metadata_of(operation),  # type: ignore[arg-type]
        )
    if not operation.done:
        raise ConfigError(f"operation {operation.name} still runs: wait for it with wait_operation")
    response = unpack(operation.response)
    if response is None:
        raise CallError(
            method=GET.name, code=grpc.StatusCode.DATA_LOSS, message="the operation is done, with neither a response nor an error"
        )
    return response


@dataclass(slots=True)
class Poll:
    """How the waiting for one operation goes."""

    name: str
    polls: int = 0
    failures: int = 0
    renewed: bool = False
    metadata: OperationMetadata | None = None
    last_error: CallError | AuthError | None = None

    def saw(self, operation: v1.Operation) -> None:
        self.polls += 1
        self.failures = 0
        self.renewed = False
        self.last_error = None
        self.metadata = metadata_of(operation) or self.metadata

    def failed(self, method: Method, failure: grpc.RpcError, context: Context) -> float:
        """Seconds to the next poll after this failure; raises its CallError where another poll cannot help."""
        error = call_error(method, failure, self.failures + 1)
        # CANCELLED, where nobody here cancelled, is how gRPC tells of a server that resets its calls because it shuts down. That
        # passes; a server that goes on so is believed.
        shut_down = error.code is grpc.StatusCode.CANCELLED and self.failures + 1 < context.retry.attempts
        if not error.transient and not shut_down:
            raise error from failure
        self.failures += 1
        self.last_error = error
        # Half of the bound at least: a server in trouble is not helped by polls at once.
        return max(context.retry.bound(self.failures) / 2, backoff(context.retry, context, self.failures, error))


def wait(
    context: Context,
    operation: v1.Operation | str,
    *,
    timeout: float | None,
    polling: Polling,
    on_progress: Progress | None = None,
    metadata: Any = (),
) -> Flow[v1.Operation]:
    """Waits for one operation to be done; polls that fail with a transient code only delay it. A `timeout` of 0 asks once.

    Raises:
        ConfigError: `timeout` is no time, the name no operation's, or `on_progress` no plain function.
        WaitTimeout: `timeout` seconds passed.
        CallError: A poll failed for good (NOT_FOUND, PERMISSION_DENIED and their like).
        AuthError: No usable credentials.
    """
    timeout = limit_of(timeout)
    state = Poll(operation_name(operation))
    awaited = iscoroutinefunction(on_progress) or iscoroutinefunction(getattr(on_progress, "__call__", None))  # noqa: B004
    if on_progress is not None and (awaited or not callable(on_progress)):
        # Nobody would await what a coroutine function returns.
        raise ConfigError(
            f"on_progress must be a plain function of the metadata, which is called and not awaited, not {on_progress!r:.200}"
        )
    if isinstance(operation, Message) and operation.done:
        return operation
    deadline = None if timeout is None else context.clock() + timeout
    while True:
        started = context.clock()
        left = None if deadline is None else deadline - started
        if left is not None and left <= 0:
            if timeout or state.polls or state.failures:
                raise WaitTimeout(names=[state.name], timeout=timeout or 0.0, metadata=state.metadata, last_error=state.last_error)  # type: ignore[arg-type]
            left = polling.call_timeout
        method, hold = GET, 0.0
        if context.server_waits and timeout != 0:
            method = WAIT
            # Short of the whole rest, so that the server's answer comes before the deadline of the call.
            hold = polling.server_wait if left is None else min(polling.server_wait, left * 0.9)
        limit = hold + polling.call_timeout
        step = Call(method, _poll_request(state.name, hold, method), limit if left is None else min(limit, left), metadata)
        try:
            polled: v1.Operation = yield step
        except AuthError as error:
            if not error.transient:
                raise
            state.failures += 1
            state.last_error = error
            pause = context.retry.bound(state.failures)
        except grpc.RpcError as failure:
            if method is WAIT and failure.code() is grpc.StatusCode.UNIMPLEMENTED:
                context.server_waits = False
                continue
            if failure.code() is grpc.StatusCode.UNAUTHENTICATED and not state.renewed:
                state.renewed = True
                yield Reauthenticate()
                continue
            pause = state.failed(method, failure, context)
        else:
            state.saw(polled)
            if on_progress is not None and state.metadata is not None:
                on_progress(state.metadata)  # type: ignore[arg-type]
            if polled.done:
                return polled
            # A server may answer WaitOperation before its time: the interval keeps that from becoming a busy loop.
            pause = polling.interval(state.polls, context.random()) - (context.clock() - started if method is WAIT else 0.0)
        if deadline is not None:
            pause = min(pause, deadline - context.clock())
        if pause > 0:
            yield Sleep(pause)


def _poll_request(name: str, hold: float, method: Method) -> Message:
    if method is GET:
        return GetOperationRequest(name=name)
    request = WaitOperationRequest(name=name)
    request.timeout.seconds, request.timeout.nanos = int(hold), int(hold % 1 * 1e9)
    return request
