"""Operations, decided without I/O: their names, their ends, and waiting for one or for many of them."""

from __future__ import annotations

import heapq
import importlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import grpc
from google.protobuf.message import Message

from vision_grpc import v1
from vision_grpc._calls import (
    GET,
    LIST,
    WAIT,
    Call,
    Context,
    Flow,
    Gather,
    Method,
    Reauthenticate,
    Sleep,
    backoff,
    call_error,
)
from vision_grpc._gen.google.longrunning.operations_pb2 import (
    GetOperationRequest,
    ListOperationsRequest,
    ListOperationsResponse,
    WaitOperationRequest,
)
from vision_grpc.config import VERSIONS, Polling
from vision_grpc.errors import AuthError, CallError, ConfigError, OperationFailed, WaitTimeout, status_code, status_details

if TYPE_CHECKING:
    from vision_grpc import v1p1beta1, v1p4beta1

    OperationMetadata = v1.OperationMetadata | v1p4beta1.OperationMetadata | v1p1beta1.OperationMetadata
    ImagesResponse = (
        v1.AsyncBatchAnnotateImagesResponse | v1p4beta1.AsyncBatchAnnotateImagesResponse | v1p1beta1.AsyncBatchAnnotateImagesResponse
    )
    # Every version's OperationMetadata has the same fields; a callback typed with v1's serves them all.
    Progress = Callable[[v1.OperationMetadata], object]

_NAME = re.compile(r"(?:projects/[^/\s]+/)?(?:locations/[^/\s]+/)?operations/[^/\s]+\Z")
_CONCURRENT_POLLS = 64
_LIST_FROM = 4
"""From this many running operations on, one ListOperations call is taken to be cheaper than a GetOperation for each."""


def operation_name(operation: Message | str) -> str:
    """The name in or of `operation`, checked to be one of the four shapes that the service uses.

    Raises:
        ConfigError: It is no operation's name.
    """
    name = operation if isinstance(operation, str) else getattr(operation, "name", None)
    if not isinstance(name, str) or not _NAME.match(name):
        raise ConfigError(
            f"{name!r} is not an operation's name; they look like projects/PROJECT/operations/ID, "
            "projects/PROJECT/locations/LOCATION/operations/ID, locations/LOCATION/operations/ID or operations/ID"
        )
    return name


def unpack(packed: Any) -> Message | None:
    """The message in a google.protobuf.Any, by the type that it names itself; None where it is empty.

    Raises:
        ConfigError: The type is none of ours.
    """
    if not packed.type_url:
        return None
    full_name = packed.type_url.rpartition("/")[2]
    package, _, name = full_name.rpartition(".")
    version = package.removeprefix("google.cloud.vision.")
    message_class = getattr(importlib.import_module(f"vision_grpc.{version}"), name, None) if version in VERSIONS else None
    if message_class is None:
        raise ConfigError(f"the operation holds a {full_name}, which this client does not know")
    message: Message = message_class.FromString(packed.value)
    return message


def metadata_of(operation: Any) -> OperationMetadata | None:
    """The operation's metadata, None before the service has set any."""
    return unpack(operation.metadata) if operation.HasField("metadata") else None  # type: ignore[return-value]


def outcome_of(operation: Any) -> Any:
    """The response of a finished operation.

    Raises:
        OperationFailed: It ended with an error.
        ConfigError: It is not finished, or its response is of a foreign type.
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
    return unpack(operation.response)


@dataclass(slots=True)
class _Poll:
    """How the waiting for one operation goes."""

    name: str
    polls: int = 0
    failures: int = 0
    renewed: bool = False
    metadata: OperationMetadata | None = None
    last_error: CallError | None = None

    def saw(self, operation: v1.Operation) -> None:
        self.polls += 1
        self.failures = 0
        self.renewed = False
        self.last_error = None
        self.metadata = metadata_of(operation) or self.metadata

    def failed(self, method: Method, failure: grpc.RpcError, context: Context) -> float:
        """Seconds to the next poll after this failure; raises its CallError where another poll cannot help."""
        error = call_error(method, failure, self.failures + 1)
        if not error.transient:
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
    """Waits for one operation to be done; polls that fail with a transient code only delay it.

    Raises:
        WaitTimeout: `timeout` seconds passed.
        CallError: A poll failed for good (NOT_FOUND, PERMISSION_DENIED and their like).
        AuthError: No usable credentials.
    """
    state = _Poll(operation_name(operation))
    if isinstance(operation, Message) and operation.done:
        return operation
    deadline = None if timeout is None else context.clock() + timeout
    while True:
        started = context.clock()
        left = None if deadline is None else deadline - started
        if left is not None and left <= 0:
            raise WaitTimeout(names=[state.name], timeout=timeout or 0.0, metadata=state.metadata, last_error=state.last_error)  # type: ignore[arg-type]
        method, hold = GET, 0.0
        if context.server_waits:
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


@dataclass(slots=True)
class Waits:
    """Many operations waited for together: `round()` is a flow that returns those which finished since the last one.

    Where the server has ListOperations, one call a page tells which operations still run, and only those that do not are asked
    for one by one; elsewhere each has its own growing interval, and those that are due are asked for at once.
    """

    context: Context
    polling: Polling
    timeout: float | None = None
    metadata: Any = ()
    _pending: dict[str, _Poll] = field(default_factory=dict)
    _due: list[tuple[float, str]] = field(default_factory=list)
    _deadline: float | None = None
    _quiet: int = 0

    def __post_init__(self) -> None:
        if self.timeout is not None:
            self._deadline = self.context.clock() + self.timeout

    def add(self, names: Iterable[str]) -> None:
        for name in names:
            if name not in self._pending:
                self._pending[name] = _Poll(operation_name(name))
                heapq.heappush(self._due, (self.context.clock(), name))

    def __len__(self) -> int:
        return len(self._pending)

    def round(self) -> Flow[list[tuple[str, v1.Operation | CallError]]]:
        """Sleeps until something is due, asks, and returns what ended: finished operations, or the CallError of a name.

        Raises:
            WaitTimeout: The deadline passed; its `names` still run.
            AuthError: No usable credentials.
        """
        clock = self.context.clock
        if self._deadline is not None and clock() >= self._deadline:
            names = list(self._pending)
            first = self._pending[names[0]]
            raise WaitTimeout(names=names, timeout=self.timeout or 0.0, metadata=first.metadata, last_error=first.last_error)  # type: ignore[arg-type]
        pause = self._due[0][0] - clock()
        if self._deadline is not None:
            pause = min(pause, self._deadline - clock())
        if pause > 0:
            yield Sleep(pause)
        due = self._take_due(clock())
        ended: list[tuple[str, v1.Operation | CallError]] = []
        if self.context.server_lists and len(self._pending) >= _LIST_FROM:
            running = yield from self._list_running(ended)
            if running is not None:
                # Nothing is concluded from absence but that it is worth asking.
                due = [name for name in self._pending if name not in running]
                self._due.clear()
                self._quiet = 0 if due or ended else self._quiet + 1
                later = clock() + self.polling.interval(self._quiet + 1, self.context.random())
                self._due.extend((later, name) for name in running)
                heapq.heapify(self._due)
        due = [name for name in due if name in self._pending]
        for start in range(0, len(due), _CONCURRENT_POLLS):
            part = due[start : start + _CONCURRENT_POLLS]
            polls = Gather([Call(GET, GetOperationRequest(name=name), self.polling.call_timeout, self.metadata) for name in part])
            replies = yield polls
            if any(_unauthenticated(reply) for reply in replies):
                yield Reauthenticate()
                replies = yield polls
            for name, reply in zip(part, replies, strict=True):
                self._settle(name, reply, ended)
        return ended

    def _take_due(self, now: float) -> list[str]:
        names = []
        while self._due and self._due[0][0] <= now:
            name = heapq.heappop(self._due)[1]
            if name in self._pending:
                names.append(name)
        return names

    def _settle(self, name: str, reply: v1.Operation | BaseException, ended: list[tuple[str, v1.Operation | CallError]]) -> None:
        state = self._pending[name]
        if isinstance(reply, grpc.RpcError):
            try:
                pause = state.failed(GET, reply, self.context)
            except CallError as error:
                del self._pending[name]
                ended.append((name, error))
                return
        elif isinstance(reply, BaseException):
            raise reply
        else:
            state.saw(reply)
            if reply.done:
                del self._pending[name]
                ended.append((name, reply))
                return
            pause = self.polling.interval(state.polls, self.context.random())
        heapq.heappush(self._due, (self.context.clock() + pause, name))

    def _list_running(self, ended: list[tuple[str, v1.Operation | CallError]]) -> Flow[set[str] | None]:
        """The pending operations that a list shows as running; the finished ones it shows go to `ended`. None: no list."""
        running: set[str] = set()
        for parent in sorted({_collection(name) for name in self._pending}):
            token = ""
            while True:
                request = ListOperationsRequest(name=parent, filter="done=false", page_size=1000, page_token=token)
                try:
                    page: ListOperationsResponse = yield Call(LIST, request, self.polling.call_timeout, self.metadata)
                except grpc.RpcError as failure:
                    if failure.code() in (
                        grpc.StatusCode.UNIMPLEMENTED,
                        grpc.StatusCode.INVALID_ARGUMENT,
                        grpc.StatusCode.PERMISSION_DENIED,
                    ):
                        self.context.server_lists = False
                    return None
                for operation in page.operations:
                    if operation.name not in self._pending:
                        continue
                    self._pending[operation.name].saw(operation)
                    if operation.done:
                        del self._pending[operation.name]
                        ended.append((operation.name, operation))
                    else:
                        running.add(operation.name)
                token = page.next_page_token
                if not token:
                    break
        return running


def _unauthenticated(reply: object) -> bool:
    return isinstance(reply, grpc.RpcError) and reply.code() is grpc.StatusCode.UNAUTHENTICATED


def _collection(name: str) -> str:
    """What ListOperations calls the parent of this operation: the name up to, not including, its collection."""
    return name.rpartition("/operations/")[0] or "operations"
