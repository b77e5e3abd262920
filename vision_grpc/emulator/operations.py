"""Operations: their names, their states, and the store that holds them. No processing here.

Names follow CONTRACT 7: ``projects/{p}/operations/{16 hex}``, with ``/locations/{l}`` inside where the request's parent had one.
"""

import asyncio
import re
import secrets
from collections.abc import Iterator
from typing import Any

import grpc

from vision_grpc import v1, v1p4beta1
from vision_grpc.emulator.journal import Journal
from vision_grpc.emulator.refusal import Refused, invalid, shown
from vision_grpc.emulator.validation import DEFAULT_BATCH_SIZE

# v1p1beta1 publishes no messages for its operations: they are read as v1's.
_TYPES: dict[str, Any] = {"v1": v1, "v1p1beta1": v1, "v1p4beta1": v1p4beta1}
# Where a request names no parent, the real service takes the project from the credentials; this one reads none.
_DEFAULT_PROJECT = "vision-emulator"
_NAME = re.compile(r"(?:projects/(?P<project>[^/]+)/)?(?:locations/(?P<location>[^/]+)/)?operations/(?P<id>[^/]+)")
_State = v1.OperationMetadata.State


class Operation:
    """One asynchronous request and what became of it. Times are Unix seconds of the server's clock.

    Attributes:
        request: the request, for as long as it is not done.
        finished: set once the operation is done.
        number: how many were created before it, and it. The store gives it, for page tokens; a restart keeps it.
    """

    def __init__(self, proto: v1.Operation, version: str, request: v1.AsyncBatchAnnotateImagesRequest | None) -> None:
        match = _NAME.fullmatch(proto.name)
        if not match:
            raise ValueError(f"{proto.name!r} is no operation name.")
        self.id: str = match["id"]
        self.project: str = match["project"] or ""
        self.location: str = match["location"] or ""
        self.version = version
        self.request = request
        self.finished = asyncio.Event()
        self.number = 0
        self._proto = proto
        self._metadata = _TYPES[version].OperationMetadata()
        proto.metadata.Unpack(self._metadata)
        self._wire: bytes | None = None
        if proto.done:
            self.finished.set()

    @classmethod
    def create(cls, version: str, request: v1.AsyncBatchAnnotateImagesRequest, project: str, location: str, now: float) -> "Operation":
        """Returns a new operation in state CREATED."""
        place = f"projects/{project or _DEFAULT_PROJECT}" + (f"/locations/{location}" if location else "")
        proto = v1.Operation(name=f"{place}/operations/{secrets.token_hex(8)}")
        metadata = _TYPES[version].OperationMetadata(state=_State.CREATED)
        metadata.create_time.FromMicroseconds(round(now * 1e6))
        metadata.update_time.CopyFrom(metadata.create_time)
        proto.metadata.Pack(metadata)
        return cls(proto, version, request)

    @property
    def name(self) -> str:
        return self._proto.name

    @property
    def done(self) -> bool:
        return self._proto.done

    @property
    def state(self) -> str:
        """The name of the state: CREATED, RUNNING, DONE or CANCELLED."""
        return _State.Name(self._metadata.state)

    def wire(self) -> bytes:
        """Returns the google.longrunning.Operation as it is now, serialised."""
        if self._wire is None:
            self._wire = self._proto.SerializeToString()
        return self._wire

    def run(self, now: float) -> None:
        """Marks that work goes on: state RUNNING, and a new update time."""
        self._move(_State.RUNNING, now)

    def succeed(self, now: float) -> None:
        """Ends the operation with a response that echoes the output config, its batch size made explicit."""
        assert self.request is not None
        types = _TYPES[self.version]
        response = types.AsyncBatchAnnotateImagesResponse()
        response.output_config.MergeFromString(self.request.output_config.SerializeToString())
        response.output_config.batch_size = self.request.output_config.batch_size or DEFAULT_BATCH_SIZE
        self._proto.response.Pack(response)
        self._end(_State.DONE, now)

    def fail(self, code: int, message: str, now: float) -> None:
        """Ends the operation with an error. The API has no state FAILED: the state is DONE."""
        self._proto.error.code = code
        self._proto.error.message = message
        self._end(_State.DONE, now)

    def cancel(self, now: float) -> None:
        """Ends the operation as cancelled: error code 1, state CANCELLED."""
        self._proto.error.code = grpc.StatusCode.CANCELLED.value[0]
        self._proto.error.message = "The operation was cancelled."  # ours
        self._end(_State.CANCELLED, now)

    def _end(self, state: v1.OperationMetadata.State, now: float) -> None:
        self._proto.done = True
        self.request = None
        self._move(state, now)
        self.finished.set()

    def _move(self, state: v1.OperationMetadata.State, now: float) -> None:
        self._metadata.state = state
        self._metadata.update_time.FromMicroseconds(round(now * 1e6))
        self._proto.metadata.Pack(self._metadata)
        self._wire = None


class Store:
    """All operations of the server, in the order of their creation; with a journal, also over a restart."""

    def __init__(self, journal: Journal | None = None) -> None:
        self._journal = journal
        self._operations: dict[str, Operation] = {}
        self._count = 0
        for number, version, proto, request in journal.load() if journal else ():
            parsed = v1.AsyncBatchAnnotateImagesRequest.FromString(request) if request is not None else None
            operation = Operation(v1.Operation.FromString(proto), version, parsed)
            operation.number = number
            self._insert(operation)

    def add(self, operation: Operation) -> None:
        """Takes an operation in; once this returns, a restart knows it."""
        operation.number = self._count + 1
        # First the disk: where that fails the call fails, and nothing is left of it.
        self._write(operation)
        self._insert(operation)

    def save(self, operation: Operation) -> None:
        """Makes the operation's present state last over a restart, unless it was deleted."""
        if operation.id in self._operations:
            self._write(operation)

    def find(self, name: str) -> Operation:
        """Returns the operation of that name, in any of the four shapes; raises Refused, NOT_FOUND, where there is none."""
        if not name:
            raise invalid("name is missing: give projects/PROJECT/operations/ID.")  # ours
        match = _NAME.fullmatch(name)
        operation = self._operations.get(match["id"]) if match else None
        if (
            match is None
            or operation is None
            or match["project"] not in (None, operation.project)
            or match["location"] not in (None, operation.location)
        ):
            raise Refused(grpc.StatusCode.NOT_FOUND, f"Operation {shown(name)} was not found.")  # ours
        return operation

    def delete(self, operation: Operation) -> None:
        """Forgets the operation. What it runs goes on: google.longrunning says that deletion does not cancel."""
        del self._operations[operation.id]
        if self._journal:
            self._journal.delete(operation.id)

    def unfinished(self) -> list[Operation]:
        """Returns the operations that are not done, oldest first."""
        return [operation for operation in self._operations.values() if not operation.done]

    def newest_first(self) -> Iterator[Operation]:
        return reversed(self._operations.values())

    def close(self) -> None:
        if self._journal:
            self._journal.close()

    def _insert(self, operation: Operation) -> None:
        self._count = operation.number
        self._operations[operation.id] = operation

    def _write(self, operation: Operation) -> None:
        if self._journal:
            request = operation.request.SerializeToString() if operation.request is not None else None
            self._journal.save(operation.number, operation.id, operation.version, operation.wire(), request)
