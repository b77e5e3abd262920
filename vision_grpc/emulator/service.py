"""ImageAnnotator, one implementation for v1, v1p1beta1 and v1p4beta1.

Their messages agree in numbers and types, so a request of another version becomes v1's by its bytes.
"""

import asyncio
import functools
from collections.abc import Iterator
from typing import Any, TypeVar

import grpc

from vision_grpc import v1, v1p1beta1, v1p4beta1
from vision_grpc.emulator.clock import Clock
from vision_grpc.emulator.images import Images
from vision_grpc.emulator.operations import Operation, Store
from vision_grpc.emulator.processing import Processing
from vision_grpc.emulator.refusal import Refused
from vision_grpc.emulator.rpc import Method
from vision_grpc.emulator.validation import check_async, check_online, check_parent

_Request = TypeVar("_Request", v1.AsyncBatchAnnotateImagesRequest, v1.BatchAnnotateImagesRequest)
_DOORS: dict[str, Any] = {"v1": v1, "v1p1beta1": v1p1beta1, "v1p4beta1": v1p4beta1}


class ImageAnnotator:
    """The service google.cloud.vision.{version}.ImageAnnotator."""

    def __init__(self, images: Images, store: Store, processing: Processing, clock: Clock) -> None:
        self._images = images
        self._store = store
        self._processing = processing
        self._clock = clock

    def methods(self) -> Iterator[Method]:
        """Yields the methods that each version has."""
        for version, door in _DOORS.items():
            # v1p1beta1's AsyncBatchAnnotateImages is unpublished in gRPC; its path and numbers are v1's by analogy.
            behaviours = {"BatchAnnotateImages": self._annotate, "AsyncBatchAnnotateImages": self._submit}
            if version != "v1p1beta1":
                behaviours |= {"BatchAnnotateFiles": self._files, "AsyncBatchAnnotateFiles": self._files}
            for name, behaviour in behaviours.items():
                yield Method(
                    path=f"/google.cloud.vision.{version}.ImageAnnotator/{name}",
                    request_type=getattr(door, f"{name}Request"),
                    behaviour=functools.partial(behaviour, version),
                )

    async def _submit(self, version: str, message: Any, _: float | None) -> bytes:
        request = _as_v1(v1.AsyncBatchAnnotateImagesRequest, message)
        check_async(request)
        project, location = check_parent(request.parent)
        operation = Operation.create(version, request, project, location, self._clock.time())
        self._store.add(operation)
        self._processing.accept(operation)
        # The first reply carries the name and nothing else; the metadata comes with the first poll.
        return v1.Operation(name=operation.name).SerializeToString()

    async def _annotate(self, version: str, message: Any, _: float | None) -> bytes:
        request = _as_v1(v1.BatchAnnotateImagesRequest, message)
        check_online(request)
        responses = await asyncio.gather(*(self._images.annotate(image) for image in request.requests))
        return v1.BatchAnnotateImagesResponse(responses=responses).SerializeToString()

    async def _files(self, version: str, message: Any, _: float | None) -> bytes:
        raise Refused(
            grpc.StatusCode.UNIMPLEMENTED,
            "The embedded server annotates images, not files (PDF, TIFF, GIF); send pages as images to AsyncBatchAnnotateImages.",
        )


def _as_v1(request_type: type[_Request], message: Any) -> _Request:
    if isinstance(message, request_type):
        return message
    # v1p4beta1 has neither parent nor labels: what a client of another version put there is unknown to it.
    message.DiscardUnknownFields()
    return request_type.FromString(message.SerializeToString())
