"""The calls that the server received, kept in memory within bounds, for tests to read back."""

import threading
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.message import Message

_MAX_BYTES = 64 * 2**20


@dataclass(frozen=True, kw_only=True)
class RecordedCall:
    """One call as it arrived, whether or not it was then answered.

    Attributes:
        path: the full gRPC path, "/google.longrunning.Operations/GetOperation".
        metadata: all that came with it, in order. It holds whatever credentials a test sent; it is never logged.
        time: seconds of the server's clock.
        raw: the request's bytes.
    """

    path: str
    metadata: tuple[tuple[str, str | bytes], ...] = field(repr=False)
    time: float
    raw: bytes = field(repr=False)
    request_type: type[Message] = field(repr=False)

    @property
    def method(self) -> str:
        """The short name of the RPC: "GetOperation"."""
        return self.path.rpartition("/")[2]

    @property
    def message(self) -> Any:
        """The request, in the API version that it came in. Raises DecodeError where it was malformed."""
        return self.request_type.FromString(self.raw)


class CallLog:
    """The last calls: at most a number of them, and at most 64 MiB of request bytes."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._calls: deque[RecordedCall] = deque()
        self._bytes = 0
        self._lock = threading.Lock()

    def add(self, call: RecordedCall) -> None:
        if not self._limit:
            return
        with self._lock:
            self._calls.append(call)
            self._bytes += len(call.raw)
            while len(self._calls) > self._limit or self._bytes > _MAX_BYTES:
                self._bytes -= len(self._calls.popleft().raw)

    def snapshot(self) -> list[RecordedCall]:
        """Returns the calls, oldest first."""
        with self._lock:
            return list(self._calls)
