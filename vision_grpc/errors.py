"""What can go wrong, told apart by whose fault it is and what to do about it. No I/O here.

::

    VisionError
    ├── ConfigError (ValueError)      wrong before anything was sent: correct the call
    ├── AuthError                     no usable credentials: the cause is chained, the way out is in the words
    ├── CallError                     one call failed, after the retries that were safe
    ├── OperationFailed               the service ended the operation with an error, or it was cancelled
    ├── WaitTimeout (TimeoutError)    the operation still runs: its name resumes the wait
    ├── ImageError                    one image of a request failed, the others did not
    ├── ResultsError                  an output object is missing, cut off or not what it should be
    │   └── JobIncomplete             a job handed out all results but those of some requests: it is to be resumed
    └── LedgerError                   the journal of a job cannot be used

None of them is a ``grpc.RpcError``; where one caused them it is chained as ``__cause__``. All of them pickle.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import grpc
from google.protobuf.message import DecodeError, Message

if TYPE_CHECKING:
    from google.rpc.status_pb2 import Status

    from vision_grpc import v1, v1p4beta1
    from vision_grpc._job.account import Unsettled

__all__ = [
    "AuthError",
    "CallError",
    "ConfigError",
    "ImageError",
    "JobIncomplete",
    "LedgerError",
    "OperationFailed",
    "ResultsError",
    "VisionError",
    "WaitTimeout",
]

_BY_NUMBER = {code.value[0]: code for code in grpc.StatusCode}

TRANSIENT = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
    }
)
"""The codes that another try may not meet again."""


def status_code(number: int) -> grpc.StatusCode:
    """The gRPC code of a ``google.rpc.Status.code``; UNKNOWN for a number that gRPC does not define."""
    return _BY_NUMBER.get(number, grpc.StatusCode.UNKNOWN)


def status_details(status: Status) -> tuple[Message, ...]:
    """The typed details of a google.rpc.Status: ErrorInfo, BadRequest, QuotaFailure, RetryInfo, Help and their like.

    They are the message classes of ``google.rpc.error_details_pb2``. A detail of a type that is not among them stays the
    ``Any`` it came in.
    """
    from google.rpc import error_details_pb2

    details: list[Message] = []
    for packed in status.details:
        package, _, name = packed.type_url.rpartition("/")[2].rpartition(".")
        found: Any = getattr(error_details_pb2, name, None) if package == "google.rpc" else None
        # The module has names beside its messages, and this one comes from the network.
        message_class = found if isinstance(found, type) and issubclass(found, Message) else None
        try:
            details.append(message_class.FromString(packed.value) if message_class else packed)
        except DecodeError:
            details.append(packed)
    return tuple(details)


class VisionError(Exception):
    """The base of this package's own errors."""

    def __reduce__(self) -> tuple[Any, ...]:
        # Keyword-only constructors do not survive Exception's own pickling, which replays `args` by position.
        return _rebuild, (type(self), self.args, self.__dict__.copy())


def _rebuild(kind: type[VisionError], args: tuple[Any, ...], state: dict[str, Any]) -> VisionError:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class ConfigError(VisionError, ValueError):
    """A setting or a request is wrong, found before anything was sent. The sentence names the place and the remedy."""


class AuthError(VisionError):
    """No usable credentials; nothing was sent to the service. ``__cause__`` is google-auth's own error, with secrets struck out.

    Attributes:
        transient: True where google-auth takes its failure to be a passing one (the token server was not reached, say).
    """

    def __init__(self, message: str, *, transient: bool = False) -> None:
        self.transient = transient
        super().__init__(message)


class CallError(VisionError):
    """One call failed, after the retries that could not do harm.

    Attributes:
        method: The RPC's name, as "AsyncBatchAnnotateImages".
        code: The gRPC status code.
        message: The server's own words, or gRPC's where no server was reached.
        details: The typed messages of ``grpc-status-details-bin`` (`status_details`), empty without one.
        attempts: How often the call was sent, or tried to be.
        ambiguous: True where the service may have acted on the request all the same. Sending it again may be paid twice.
        transient: True where the same call may succeed later.
    """

    def __init__(
        self,
        *,
        method: str,
        code: grpc.StatusCode,
        message: str,
        details: Sequence[Message] = (),
        attempts: int = 1,
        ambiguous: bool = False,
    ) -> None:
        self.method = method
        self.code = code
        self.message = message
        self.details = tuple(details)
        self.attempts = attempts
        self.ambiguous = ambiguous
        self.transient = code in TRANSIENT
        words = f"{method} failed with {code.name}: {message or 'the server gave no words'}"
        if attempts > 1:
            words += f" (after {attempts} attempts)"
        if ambiguous:
            words += " (the service may have accepted the request: make sure that it did not before sending it again)"
        super().__init__(words)


class OperationFailed(VisionError):
    """The service ended the operation with an error; code CANCELLED where it was cancelled.

    Attributes:
        name: The operation's name.
        code: The code of the operation's ``google.rpc.Status``.
        message: The service's own words.
        details: The typed details of that Status.
        metadata: The operation's last OperationMetadata, None where it had none.
    """

    def __init__(
        self,
        *,
        name: str,
        code: grpc.StatusCode,
        message: str,
        details: Sequence[Message] = (),
        metadata: v1.OperationMetadata | v1p4beta1.OperationMetadata | None = None,
    ) -> None:
        self.name = name
        self.code = code
        self.message = message
        self.details = tuple(details)
        self.metadata = metadata
        super().__init__(f"operation {name} ended with {code.name}: {message or 'the service gave no words'}")


class WaitTimeout(VisionError, TimeoutError):
    """The wait's own deadline passed. The operation still runs, and is paid for: wait again by its name.

    Attributes:
        name: The operation's name; of several, the first in the order of `names`.
        names: All operations that were still running.
        metadata: The last OperationMetadata seen, None where none was.
        last_error: The CallError of the last poll, or the AuthError that kept it from being sent; None where it succeeded.
    """

    def __init__(
        self,
        *,
        names: Sequence[str],
        timeout: float,
        metadata: v1.OperationMetadata | v1p4beta1.OperationMetadata | None = None,
        last_error: CallError | AuthError | None = None,
    ) -> None:
        self.name = names[0]
        self.names = tuple(names)
        self.metadata = metadata
        self.last_error = last_error
        if len(names) == 1:
            words = f"operation {self.name} still runs after {timeout:g} s: resume with wait_operation({self.name!r})"
        else:
            words = (
                f"{len(names)} operations still run after {timeout:g} s, {self.name} among them: resume with wait_operations(error.names)"
            )
        if last_error is not None:
            words += f"; the last poll {'was not sent' if isinstance(last_error, AuthError) else 'said'}: {last_error}"
        super().__init__(words)


class ImageError(VisionError):
    """One image of a request failed. Annotations that its response holds beside the error are correct.

    Attributes:
        code: The code of the response's ``google.rpc.Status``.
        message: The service's own words.
        index: The image's place in the request or job, from 0.
        uri: The image's URI.
        details: The typed details of the Status.
    """

    def __init__(
        self,
        code: grpc.StatusCode | int,
        message: str,
        *,
        index: int,
        uri: str,
        details: Sequence[Message] = (),
    ) -> None:
        self.code = status_code(code) if isinstance(code, int) else code
        self.message = message
        self.index = index
        self.uri = uri
        self.details = tuple(details)
        super().__init__(f"image {index} ({uri}): {self.code.name}: {message}")


class ResultsError(VisionError):
    """An output object is missing, cut off, foreign or not of the shape it should have. ``uri`` names the object."""

    def __init__(self, message: str, *, uri: str) -> None:
        self.uri = uri
        super().__init__(message)


class JobIncomplete(ResultsError):
    """A job has handed out all results that it can, and some images have none. Nothing is lost: resume the job.

    Attributes:
        unreadable: The requests that are done, and whose results cannot all be read. A resume reads them again.
        unknown: The requests of which it is not known whether the service accepted them. A resume looks again; with
            ``resubmit_unknown=True`` it sends again what was proved not to have been accepted.
        uri: The destination of the first of them all.
    """

    def __init__(self, *, unreadable: Sequence[Unsettled] = (), unknown: Sequence[Unsettled] = ()) -> None:
        self.unreadable = tuple(unreadable)
        self.unknown = tuple(unknown)
        told = [
            f"{what} of {sum(request.images for request in requests):,} images in {len(requests):,} requests, "
            f"the first below {requests[0].destination} ({requests[0].reason})"
            for what, requests in (
                ("the results cannot be read", self.unreadable),
                ("it is not known whether the service accepted, and billed, the sending", self.unknown),
            )
            if requests
        ]
        words = f"{'; '.join(told)}; nothing is lost: resume with the same inputs, settings and ledger"
        super().__init__(words, uri=(*self.unreadable, *self.unknown)[0].destination)


class LedgerError(VisionError):
    """The journal of a job cannot be used: held by another process, of other inputs, damaged, or the disk is full."""
