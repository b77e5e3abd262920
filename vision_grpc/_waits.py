"""Many operations waited for together, decided without I/O."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import grpc

from vision_grpc import v1
from vision_grpc._calls import GET, LIST, Call, Context, Flow, Gather, Reauthenticate, Sleep
from vision_grpc._gen.google.longrunning.operations_pb2 import GetOperationRequest, ListOperationsRequest, ListOperationsResponse
from vision_grpc._operations import Poll, operation_name
from vision_grpc.config import Polling, limit_of
from vision_grpc.errors import AuthError, CallError, WaitTimeout

_CONCURRENT_POLLS = 64
_FIRST_LIST = 1.0
"""Seconds, at most, to the next list after one that told of an end: one call for all may be made sooner than one for each."""
_LIST_FROM = 4
"""From this many running operations on, one ListOperations call is taken to be cheaper than a GetOperation for each."""


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
    _pending: dict[str, Poll] = field(default_factory=dict)
    _due: list[tuple[float, str]] = field(default_factory=list)
    _deadline: float | None = None
    _quiet: int = 0
    _unauthorised: int = 0
    _asked: bool = False

    def __post_init__(self) -> None:
        self.timeout = limit_of(self.timeout)
        if self.timeout is not None:
            self._deadline = self.context.clock() + self.timeout

    def add(self, names: Iterable[str]) -> None:
        for name in names:
            if name not in self._pending:
                self._pending[name] = Poll(operation_name(name))
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
        pause = self._due[0][0] - clock()
        if self._deadline is not None:
            pause = min(pause, self._deadline - clock())
        if pause > 0:
            yield Sleep(pause)
        if self._deadline is not None and clock() >= self._deadline and (self.timeout or self._asked):
            names = list(self._pending)
            first = self._pending[names[0]]
            raise WaitTimeout(names=names, timeout=self.timeout or 0.0, metadata=first.metadata, last_error=first.last_error)  # type: ignore[arg-type]
        self._asked = True
        ended: list[tuple[str, v1.Operation | CallError]] = []
        try:
            yield from self._ask(self._take_due(clock()), ended)
            self._unauthorised = 0
        except AuthError as error:
            self._unauthorised += 1
            later = clock() + self.context.retry.bound(self._unauthorised)
            self._due = [(later, name) for name in self._pending]
            for poll in self._pending.values():
                poll.last_error = error
            # What has ended is handed over first; where the credentials are bad for good, the next round says so.
            if not error.transient and not ended:
                raise
        return ended

    def _ask(self, due: list[str], ended: list[tuple[str, v1.Operation | CallError]]) -> Flow[None]:
        clock = self.context.clock
        if self.context.server_lists and len(self._pending) >= _LIST_FROM:
            running = yield from self._list_running(ended)
            if running is not None:
                # Nothing is concluded from absence but that it is worth asking.
                due = [name for name in self._pending if name not in running]
                self._due.clear()
                self._quiet = 0 if due or ended else self._quiet + 1
                polling = replace(self.polling, initial=min(self.polling.initial, _FIRST_LIST))
                later = clock() + polling.interval(self._quiet + 1, self.context.random())
                self._due.extend((later, name) for name in running)
                heapq.heapify(self._due)
        due = [name for name in due if name in self._pending]
        for start in range(0, len(due), _CONCURRENT_POLLS):
            part = due[start : start + _CONCURRENT_POLLS]
            replies = yield self._polls(part)
            if any(_unauthenticated(reply) for reply in replies):
                yield Reauthenticate()
                replies = yield self._polls(part)
            for name, reply in zip(part, replies, strict=True):
                self._settle(name, reply, ended)

    def _polls(self, names: Iterable[str]) -> Gather:
        return Gather([Call(GET, GetOperationRequest(name=name), self._limit(), self.metadata) for name in names])

    def _limit(self) -> float:
        """Seconds for a call that is made now: no longer than the whole wait, but one that asks only once."""
        limit = self.polling.call_timeout
        return limit if self._deadline is None or not self.timeout else max(0.0, min(limit, self._deadline - self.context.clock()))

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
                    page: ListOperationsResponse = yield Call(LIST, request, self._limit(), self.metadata)
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
