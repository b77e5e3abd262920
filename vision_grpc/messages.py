"""Messages as dicts and proto3 JSON, and back. No I/O here.

protobuf's own ``json_format`` works too, but looks for the types inside an ``Any`` in the process-wide descriptor pool, where
this package's messages are not.
"""

from __future__ import annotations

from typing import Any, TypeVar

from google.protobuf.json_format import ParseError
from google.protobuf.message import Message

from vision_grpc._json.decode import decode
from vision_grpc._json.encode import encode, tree

__all__ = ["ParseError", "from_json", "to_dict", "to_json"]

M = TypeVar("M", bound=Message)


def to_dict(message: Message) -> dict[str, Any]:
    """Returns the message as a dict of its proto3 JSON: lowerCamelCase names, enum names, defaults left out.

    An Any of a type that nothing here knows becomes ``{"@type": …, "value": <base64>}``, so that no reply is unprintable.
    """
    value: dict[str, Any] = tree(message)
    return value


def to_json(message: Message, *, indent: bool = False) -> str:
    """Returns the message as proto3 JSON, keys in the order of field numbers, on one line or indented by two spaces."""
    return encode(message, indent=indent).decode()


def from_json(message_class: type[M], text: str | bytes) -> M:
    """Returns the message that the proto3 JSON text stands for; unknown fields and enum names are ignored.

    Raises ParseError where the text is not JSON, or not that of the message.
    """
    return decode(message_class, text)
