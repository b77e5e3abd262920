"""Raw stubs on one channel, and short ways to say a request. Nothing of the client is used here."""

from collections.abc import Callable, Sequence
from typing import Any

import grpc

from vision_grpc import v1, v1p1beta1, v1p4beta1
from vision_grpc._gen.google.longrunning import operations_pb2 as pb
from vision_grpc._gen.google.longrunning.operations_pb2_grpc import OperationsStub

DOORS: dict[str, Any] = {"v1": v1, "v1p1beta1": v1p1beta1, "v1p4beta1": v1p4beta1}
# What an operation of each version says it is: v1p1beta1 publishes no such messages.
OPERATION_TYPES: dict[str, Any] = {"v1": v1, "v1p1beta1": v1, "v1p4beta1": v1p4beta1}
State = v1.OperationMetadata.State
TIMEOUT = 60.0


def image(uri: str = "gs://pics/a.png", content: bytes = b"") -> v1.AnnotateImageRequest:
    """A request for the text of one image."""
    return v1.AnnotateImageRequest(
        image=v1.Image(content=content, source=v1.ImageSource(image_uri=uri) if uri else None),
        features=[v1.Feature(type=v1.Feature.Type.TEXT_DETECTION)],
    )


def batch(uris: Sequence[str], output: str = "gs://out/", size: int = 0, **fields: Any) -> v1.AsyncBatchAnnotateImagesRequest:
    """A request for an operation."""
    return v1.AsyncBatchAnnotateImagesRequest(
        requests=[image(uri) for uri in uris],
        output_config=v1.OutputConfig(gcs_destination=v1.GcsDestination(uri=output), batch_size=size),
        **fields,
    )


def metadata_of(operation: v1.Operation) -> v1.OperationMetadata:
    """The metadata of a v1 operation."""
    metadata = v1.OperationMetadata()
    assert operation.metadata.Unpack(metadata)
    return metadata


class Raw:
    """One channel with the stubs of everything that the server has."""

    def __init__(self, channel: grpc.Channel) -> None:
        self.channel = channel
        self.operations = OperationsStub(channel)  # type: ignore[no-untyped-call]

    def call(self, version: str, method: str, request: Any, **options: Any) -> bytes:
        """Calls ImageAnnotator of a version by path; the reply is bytes."""
        return self.bytes(f"/google.cloud.vision.{version}.ImageAnnotator/{method}", request.SerializeToString(), **options)

    def bytes(self, path: str, request: bytes, **options: Any) -> bytes:
        """Calls any path with any bytes."""
        options.setdefault("timeout", TIMEOUT)
        call: Callable[..., bytes] = self.channel.unary_unary(path)
        return call(request, **options)

    def submit(self, request: Any, version: str = "v1", **options: Any) -> v1.Operation:
        return v1.Operation.FromString(self.call(version, "AsyncBatchAnnotateImages", request, **options))

    def get(self, name: str, **options: Any) -> v1.Operation:
        options.setdefault("timeout", TIMEOUT)
        operation: v1.Operation = self.operations.GetOperation(pb.GetOperationRequest(name=name), **options)
        return operation

    def wait(self, name: str, seconds: float | None = None, **options: Any) -> v1.Operation:
        request = pb.WaitOperationRequest(name=name)
        if seconds is not None:
            request.timeout.FromMilliseconds(round(seconds * 1000))
        options.setdefault("timeout", TIMEOUT)
        operation: v1.Operation = self.operations.WaitOperation(request, **options)
        return operation

    def list(self, **fields: Any) -> pb.ListOperationsResponse:
        response: pb.ListOperationsResponse = self.operations.ListOperations(pb.ListOperationsRequest(**fields), timeout=TIMEOUT)
        return response

    def cancel(self, name: str) -> None:
        self.operations.CancelOperation(pb.CancelOperationRequest(name=name), timeout=TIMEOUT)

    def delete(self, name: str) -> None:
        self.operations.DeleteOperation(pb.DeleteOperationRequest(name=name), timeout=TIMEOUT)
