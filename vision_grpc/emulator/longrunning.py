"""google.longrunning.Operations over the server's store: get, wait, list, cancel, delete."""

import asyncio
import itertools
import math
from collections.abc import Iterator
from typing import Any

import grpc

from vision_grpc._gen.google.longrunning import operations_pb2 as pb
from vision_grpc.emulator.clock import Clock
from vision_grpc.emulator.listing import filter_predicate, page_size, page_start, page_token, parent_predicate
from vision_grpc.emulator.operations import Operation, Store
from vision_grpc.emulator.processing import Processing
from vision_grpc.emulator.refusal import Refused
from vision_grpc.emulator.rpc import Method

# Time for the reply to reach a client before its own deadline.
_MARGIN = 0.1


class Operations:
    """The service google.longrunning.Operations."""

    def __init__(self, store: Store, processing: Processing, clock: Clock) -> None:
        self._store = store
        self._processing = processing
        self._clock = clock

    def methods(self) -> Iterator[Method]:
        """Yields the five methods."""
        for request_type, behaviour in (
            (pb.GetOperationRequest, self._get),
            (pb.WaitOperationRequest, self._wait),
            (pb.ListOperationsRequest, self._list),
            (pb.CancelOperationRequest, self._cancel),
            (pb.DeleteOperationRequest, self._delete),
        ):
            name = request_type.DESCRIPTOR.name.removesuffix("Request")
            yield Method(path=f"/google.longrunning.Operations/{name}", request_type=request_type, behaviour=behaviour)

    async def _get(self, request: pb.GetOperationRequest, _: float | None) -> bytes:
        return self._store.find(request.name).wire()

    async def _wait(self, request: pb.WaitOperationRequest, remaining: float | None) -> bytes:
        operation = self._store.find(request.name)
        if not operation.done:
            limit = None
            if request.HasField("timeout"):
                limit = max(0.0, request.timeout.seconds + request.timeout.nanos / 1e9)
            await self._finish(operation, limit, remaining)
        return operation.wire()

    async def _finish(self, operation: Operation, limit: float | None, remaining: float | None) -> None:
        """Waits for the operation, a limit by the server's clock, or the end of the client's real patience."""
        waits: list[asyncio.Task[Any]] = [asyncio.create_task(operation.finished.wait())]
        if limit is not None:
            waits.append(asyncio.create_task(self._clock.sleep(limit)))
        patience = None if remaining is None or math.isinf(remaining) else max(0.0, remaining - _MARGIN)
        try:
            await asyncio.wait(waits, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def _list(self, request: pb.ListOperationsRequest, _: float | None) -> bytes:
        if request.return_partial_success:
            raise Refused(grpc.StatusCode.UNIMPLEMENTED, "return_partial_success is not supported.")  # ours
        belongs, selected = parent_predicate(request.name), filter_predicate(request.filter)
        size, start = page_size(request.page_size), page_start(request.name, request.filter, request.page_token)
        found = (
            operation
            for operation in self._store.newest_first()
            if (start is None or operation.number < start) and belongs(operation) and selected(operation)
        )
        page = list(itertools.islice(found, size + 1))
        response = pb.ListOperationsResponse(operations=[pb.Operation.FromString(operation.wire()) for operation in page[:size]])
        if len(page) > size:
            response.next_page_token = page_token(request.name, request.filter, page[size - 1].number)
        return response.SerializeToString()

    async def _cancel(self, request: pb.CancelOperationRequest, _: float | None) -> bytes:
        self._processing.cancel(self._store.find(request.name))
        return b""

    async def _delete(self, request: pb.DeleteOperationRequest, _: float | None) -> bytes:
        self._store.delete(self._store.find(request.name))
        return b""
