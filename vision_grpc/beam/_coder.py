"""How Beam stores an ImageResult: protobuf bytes, framed by Beam's own coders. Deterministic. No I/O here."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from apache_beam.coders import BytesCoder, Coder, StrUtf8Coder, TupleCoder, VarIntCoder, registry
from google.rpc.status_pb2 import Status

from vision_grpc._results.join import ImageResult
from vision_grpc.errors import ImageError, status_details

_FRAME = TupleCoder((StrUtf8Coder(), VarIntCoder(), StrUtf8Coder(), BytesCoder(), BytesCoder()))


class ImageResultCoder(Coder):  # type: ignore[misc]
    """Encodes an ImageResult as version, index, URI, the serialised AnnotateImageResponse, and the serialised google.rpc.Status.

    Equal results have equal bytes, so that results may be keys, and a run that is repeated may be compared.
    """

    def encode(self, value: ImageResult) -> bytes:
        version = value.response.DESCRIPTOR.file.package.rpartition(".")[2]
        response = value.response.SerializeToString(deterministic=True)
        error = b"" if value.error is None else _status(value.error).SerializeToString(deterministic=True)
        encoded: bytes = _FRAME.encode((version, value.index, value.uri, response, error))
        return encoded

    def decode(self, encoded: bytes) -> ImageResult:
        version, index, uri, response, error = _FRAME.decode(encoded)
        message: Any = import_module(f"vision_grpc.{version}").AnnotateImageResponse.FromString(response)
        if not error:
            return ImageResult(index, uri, message)
        status = Status.FromString(error)
        return ImageResult(
            index, uri, message, ImageError(status.code, status.message, index=index, uri=uri, details=status_details(status))
        )

    def is_deterministic(self) -> bool:
        return True

    def to_type_hint(self) -> type[ImageResult]:
        return ImageResult

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other)

    def __hash__(self) -> int:
        return hash(type(self))


def _status(error: ImageError) -> Status:
    status = Status(code=error.code.value[0], message=error.message)
    for detail in error.details:
        packed = status.details.add()
        if detail.DESCRIPTOR.full_name == "google.protobuf.Any":
            packed.MergeFromString(detail.SerializeToString(deterministic=True))
        else:
            packed.type_url = f"type.googleapis.com/{detail.DESCRIPTOR.full_name}"
            packed.value = detail.SerializeToString(deterministic=True)
    return status


registry.register_coder(ImageResult, ImageResultCoder)
