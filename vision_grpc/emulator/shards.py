"""Output objects: how they are named, and what they hold. No I/O here."""

from collections.abc import Sequence

from google.protobuf import json_format

from vision_grpc import v1
from vision_grpc._gen import POOL


def shard_uri(destination: str, first: int, last: int) -> str:
    """Returns the name of the output object for images first to last, counted from 1, both included.

    The destination is a prefix and nothing is put between: ``gs://b/run1`` gives ``gs://b/run1output-1-to-20.json``.
    """
    return f"{destination}output-{first}-to-{last}.json"


def shard_bytes(responses: Sequence[v1.AnnotateImageResponse]) -> bytes:
    """Returns the object: a BatchAnnotateImagesResponse as proto3 JSON in UTF-8.

    lowerCamelCase names in the order of field numbers, enums by name, defaults left out.
    """
    message = v1.BatchAnnotateImagesResponse(responses=responses)
    return json_format.MessageToJson(message, descriptor_pool=POOL, ensure_ascii=False).encode()
