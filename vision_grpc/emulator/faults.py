"""What is to go wrong, said in advance: faults by call, by operation and by bucket. No I/O here.

A test arms faults at construction (``Emulator(faults=[...])``) or while the server runs (``server.faults.add(...)``).
Calls and operations are counted from the moment a fault is armed.
"""

import concurrent.futures
import enum
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import grpc

from vision_grpc.emulator.arguments import check_bucket, check_kind, check_number, listed

METHODS = frozenset(
    {
        "AsyncBatchAnnotateFiles",
        "AsyncBatchAnnotateImages",
        "BatchAnnotateFiles",
        "BatchAnnotateImages",
        "CancelOperation",
        "DeleteOperation",
        "GetOperation",
        "ListOperations",
        "WaitOperation",
    }
)


class Kind(enum.Enum):
    """What a fault does."""

    FAIL = "fail"
    DROP = "drop"
    HANG = "hang"
    DELAY = "delay"
    STALL = "stall"
    LAST = "last"
    SLOW = "slow"
    FAIL_OPERATION = "fail_operation"
    UNREADABLE = "unreadable"
    UNWRITABLE = "unwritable"


_OF_CALLS = frozenset({Kind.FAIL, Kind.DROP, Kind.HANG, Kind.DELAY})
_WANTED = "a list of Fault, as [Fault.stall()]"
_OF_BUCKETS = frozenset({Kind.UNREADABLE, Kind.UNWRITABLE})


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One thing that goes wrong. Make it by one of the constructors below.

    Wherever they appear: ``method`` is the RPC's short name, the same for all API versions ("GetOperation"); ``nth`` is the
    first call (or operation) that is hit, 1 being the next one; ``times`` is how many in a row are hit, None for all
    from there on; ``accepted=True`` lets the server do the work first, so that only the reply is lost.
    """

    kind: Kind
    method: str = ""
    nth: int = 1
    times: int | None = 1
    accepted: bool = False
    code: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE
    message: str = ""
    status_details: bytes | None = None
    seconds: float = 0.0
    bucket: str = ""

    def __post_init__(self) -> None:
        if self.kind in _OF_CALLS and self.method not in METHODS:
            raise ValueError(f"Fault: no method {self.method!r}; the server has {', '.join(sorted(METHODS))}.")
        check_number("Fault: nth", self.nth, 1)
        if self.times is not None:
            check_number("Fault: times", self.times, 1)
        check_number("Fault: seconds", self.seconds, 0, 1e9, whole=False)
        check_kind("Fault: code", self.code, grpc.StatusCode, "a grpc.StatusCode, as grpc.StatusCode.UNAVAILABLE")
        check_kind("Fault: message", self.message, str, "a string")
        if self.status_details is not None:
            check_kind("Fault: status_details", self.status_details, bytes, "a serialised google.rpc.Status")
        if self.kind in (Kind.FAIL, Kind.FAIL_OPERATION) and self.code is grpc.StatusCode.OK:
            raise ValueError("Fault: OK is not a failure; give another status code.")
        if self.kind in _OF_BUCKETS:
            check_bucket("Fault: bucket is", self.bucket)

    @classmethod
    def fail(
        cls,
        method: str,
        code: grpc.StatusCode,
        message: str = "A scripted fault.",
        *,
        nth: int = 1,
        times: int | None = 1,
        status_details: bytes | None = None,
        accepted: bool = False,
    ) -> "Fault":
        """Answers with a status. ``status_details`` is a serialised google.rpc.Status, sent as grpc-status-details-bin."""
        return cls(
            kind=Kind.FAIL,
            method=method,
            code=code,
            message=message,
            nth=nth,
            times=times,
            status_details=status_details,
            accepted=accepted,
        )

    @classmethod
    def unimplemented(cls, method: str) -> "Fault":
        """Answers UNIMPLEMENTED to every call, as a server does that lacks the method."""
        return cls(kind=Kind.FAIL, method=method, code=grpc.StatusCode.UNIMPLEMENTED, message="Method not found!", times=None)

    @classmethod
    def drop(cls, method: str, *, nth: int = 1, times: int | None = 1, accepted: bool = False) -> "Fault":
        """Cuts the caller's TCP connection instead of a reply; other calls on that connection are lost with it."""
        return cls(kind=Kind.DROP, method=method, nth=nth, times=times, accepted=accepted)

    @classmethod
    def hang(cls, method: str, *, nth: int = 1, times: int | None = 1, accepted: bool = False) -> "Fault":
        """Never replies: the call ends when the client gives up."""
        return cls(kind=Kind.HANG, method=method, nth=nth, times=times, accepted=accepted)

    @classmethod
    def delay(cls, method: str, seconds: float, *, nth: int = 1, times: int | None = None) -> "Fault":
        """Does the work, then holds the reply for some seconds of the server's clock."""
        return cls(kind=Kind.DELAY, method=method, seconds=seconds, nth=nth, times=times, accepted=True)

    @classmethod
    def stall(cls, *, nth: int = 1, times: int | None = 1) -> "Fault":
        """An operation stays RUNNING until the fault is removed, or released by ``server.faults.release()``."""
        return cls(kind=Kind.STALL, nth=nth, times=times)

    @classmethod
    def last(cls, seconds: float, *, nth: int = 1, times: int | None = None) -> "Fault":
        """An operation is RUNNING for that many seconds of the server's clock before its images are annotated."""
        return cls(kind=Kind.LAST, seconds=seconds, nth=nth, times=times)

    @classmethod
    def slow(cls, seconds: float, *, nth: int = 1, times: int | None = None) -> "Fault":
        """An operation lasts that many seconds of the server's clock more for each of its images."""
        return cls(kind=Kind.SLOW, seconds=seconds, nth=nth, times=times)

    @classmethod
    def fail_operation(cls, code: grpc.StatusCode, message: str = "A scripted fault.", *, nth: int = 1, times: int | None = 1) -> "Fault":
        """An accepted operation ends in an error, with no output written."""
        return cls(kind=Kind.FAIL_OPERATION, code=code, message=message, nth=nth, times=times)

    @classmethod
    def unreadable(cls, bucket: str) -> "Fault":
        """No object of the bucket can be read: each image there gets an error, the operation succeeds."""
        return cls(kind=Kind.UNREADABLE, bucket=bucket, times=None)

    @classmethod
    def unwritable(cls, bucket: str) -> "Fault":
        """No object of the bucket can be written: operations with output there end in an error."""
        return cls(kind=Kind.UNWRITABLE, bucket=bucket, times=None)


@dataclass(eq=False)
class _Armed:
    fault: Fault
    seen: int = 0
    released: concurrent.futures.Future[None] = field(default_factory=concurrent.futures.Future)

    def hits(self) -> bool:
        self.seen += 1
        return self.seen >= self.fault.nth and (self.fault.times is None or self.seen < self.fault.nth + self.fault.times)

    def release(self) -> None:
        if not self.released.done():
            self.released.set_result(None)


@dataclass(frozen=True, kw_only=True)
class OperationFate:
    """What the armed faults mean for one operation."""

    stalls: tuple[concurrent.futures.Future[None], ...] = ()
    seconds: float = 0.0
    error: Fault | None = None


class Faults:
    """The faults that are armed. Safe to use from any thread while the server runs."""

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self._lock = threading.Lock()
        self._armed = [_Armed(fault) for fault in listed("faults", faults, Fault, _WANTED)]

    def add(self, *faults: Fault) -> None:
        """Arms faults; their counts begin now."""
        armed = [_Armed(fault) for fault in listed("faults", faults, Fault, _WANTED)]
        with self._lock:
            self._armed += armed

    def remove(self, fault: Fault) -> None:
        """Disarms a fault, and lets go what it stalled. Unknown faults are ignored."""
        self._drop(lambda armed: armed.fault == fault)

    def clear(self) -> None:
        """Disarms all faults, and lets go what they stalled."""
        self._drop(lambda armed: True)

    def release(self) -> None:
        """Lets every stalled operation go on, and disarms the stalls."""
        self._drop(lambda armed: armed.fault.kind is Kind.STALL)

    def for_call(self, method: str) -> list[Fault]:
        """Returns what hits the call that has just arrived, in the order of arming, and counts it."""
        with self._lock:
            return [armed.fault for armed in self._armed if armed.fault.method == method and armed.hits()]

    def for_operation(self, images: int) -> OperationFate:
        """Returns what hits the operation that has just been accepted, and counts it."""
        kinds = (Kind.STALL, Kind.LAST, Kind.SLOW, Kind.FAIL_OPERATION)
        with self._lock:
            hits = [armed for armed in self._armed if armed.fault.kind in kinds and armed.hits()]
        return OperationFate(
            stalls=tuple(armed.released for armed in hits if armed.fault.kind is Kind.STALL),
            seconds=sum(
                armed.fault.seconds * (images if armed.fault.kind is Kind.SLOW else 1)
                for armed in hits
                if armed.fault.kind in (Kind.LAST, Kind.SLOW)
            ),
            error=next((armed.fault for armed in hits if armed.fault.kind is Kind.FAIL_OPERATION), None),
        )

    def forbids(self, kind: Kind, uri: str) -> bool:
        """Whether a bucket fault of this kind holds for the object."""
        with self._lock:
            return any(armed.fault.kind is kind and uri.startswith(f"gs://{armed.fault.bucket}/") for armed in self._armed)

    def _drop(self, wanted: Callable[[_Armed], bool]) -> None:
        with self._lock:
            dropped = [armed for armed in self._armed if wanted(armed)]
            self._armed = [armed for armed in self._armed if not wanted(armed)]
        for armed in dropped:
            armed.release()
