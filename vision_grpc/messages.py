"""Messages as dicts and proto3 JSON, and back. No I/O here.

protobuf's own ``json_format`` works too, but looks for the types inside an ``Any`` in the process-wide descriptor pool, where
this package's messages are not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from google.protobuf.json_format import ParseError
from google.protobuf.message import Message

from vision_grpc._json.decode import decode
from vision_grpc._json.encode import encode, tree
from vision_grpc.errors import ConfigError

__all__ = ["ParseError", "from_json", "to_dict", "to_json"]

M = TypeVar("M", bound=Message)


def to_dict(message: Message) -> dict[str, Any]:
    """Returns the message as a dict of its proto3 JSON: lowerCamelCase names, enum names, defaults left out.

    An Any of a type that nothing here knows becomes ``{"@type": …, "value": <base64>}``, so that no reply is unprintable.
    Raises ConfigError for what is no message.
    """
    value: dict[str, Any] = tree(_message("to_dict", message))
    return value


def to_json(message: Message, *, indent: bool = False) -> str:
    """Returns the message as proto3 JSON, keys in the order of field numbers, on one line or indented by two spaces.

    Raises ConfigError for what is no message.
    """
    return encode(_message("to_json", message), indent=indent).decode()


def from_json(message_class: type[M], source: str | bytes | Mapping[str, Any]) -> M:
    """Returns the message that proto3 JSON stands for, as text or parsed; unknown fields and enum names are ignored.

    Raises ParseError, which is json_format's and no VisionError, where the source is not JSON or not that of the message, as
    json_format judges; ConfigError where it is nothing that can hold JSON, or the class not one of messages.
    """
    if not isinstance(message_class, type) or not issubclass(message_class, Message) or message_class.DESCRIPTOR is None:
        raise ConfigError(f"from_json: {message_class!r:.100} is no message class; give one such as v1.AnnotateImageResponse.")
    if not isinstance(source, str | bytes | bytearray | Mapping):
        raise ConfigError(f"from_json: give JSON as str or bytes, or a mapping that was parsed from it, not {type(source).__name__}.")
    return decode(message_class, source)


def _message(asker: str, message: Message) -> Message:
    if not isinstance(message, Message):
        raise ConfigError(f"{asker}: {message!r:.100} is no message; give one such as v1.Image().")
    return message
