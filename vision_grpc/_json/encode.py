"""Messages to proto3 JSON, with json_format's result and a third of its time. No I/O here."""

from __future__ import annotations

import base64
import json
import math
import struct
from collections.abc import Callable
from functools import cache
from typing import Any

from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2

from vision_grpc._gen import POOL, share

try:
    import orjson
except ImportError:
    orjson = None  # type: ignore[assignment]

share(error_details_pb2)  # what a Status carries in its details

_LONG = frozenset(
    {
        FieldDescriptor.TYPE_INT64,
        FieldDescriptor.TYPE_UINT64,
        FieldDescriptor.TYPE_SINT64,
        FieldDescriptor.TYPE_FIXED64,
        FieldDescriptor.TYPE_SFIXED64,
    }
)
_FLOAT32 = struct.Struct("f")
_FLOAT32_MAX = float.fromhex("0x1.fffffep+127")

_Convert = Callable[[Any], Any]


def tree(message: Message) -> Any:
    """Returns the message as json_format.MessageToDict does: JSON names, enum names, defaults left out, by field number.

    One thing is read where json_format raises: an Any of an unknown type becomes ``{"@type": …, "value": <base64>}``.
    """
    return _message(message.DESCRIPTOR)(message)


def encode(message: Message, *, indent: bool = False) -> bytes:
    """Returns the message as proto3 JSON in UTF-8, on one line, or indented by two spaces as the service's output is."""
    return dumps(tree(message), indent=indent)


def dumps(value: Any, *, indent: bool = False) -> bytes:
    """Returns a JSON value in UTF-8, on one line or indented by two spaces."""
    if orjson is not None:
        try:
            return orjson.dumps(value, option=orjson.OPT_INDENT_2 if indent else None)
        except TypeError:  # nested more than 254 levels deep, which only a Struct can be
            pass
    separators = (",", ": ") if indent else (",", ":")
    return json.dumps(value, ensure_ascii=False, indent=2 if indent else None, separators=separators).encode()


@cache
def _message(descriptor: Descriptor) -> _Convert:
    """Returns what turns a message of that type into its JSON value."""
    if descriptor.full_name == "google.protobuf.Any":
        return _any
    if descriptor.full_name.startswith("google.protobuf."):
        return _well_known
    fields: dict[int, tuple[str, _Convert | None]] = {}

    def convert_message(message: Message) -> dict[str, Any]:
        out = {}
        for field, value in message.ListFields():
            known = fields.get(field.number)
            if known is None:  # at first use, not before: a message may hold itself
                known = fields[field.number] = (field.json_name, _field(field))
            name, convert = known
            out[name] = value if convert is None else convert(value)
        return out

    return convert_message


def _field(field: FieldDescriptor) -> _Convert | None:
    message = field.message_type
    if message is not None and message.GetOptions().map_entry:
        key, one = message.fields_by_name["key"], _single(message.fields_by_name["value"])
        as_key = json.dumps if key.type == FieldDescriptor.TYPE_BOOL else str
        return lambda mapping: {as_key(k): v if one is None else one(v) for k, v in mapping.items()}
    single = _single(field)
    if not field.is_repeated:
        return single
    return list if single is None else lambda values: [single(value) for value in values]


def _single(field: FieldDescriptor) -> _Convert | None:
    if field.message_type is not None:
        return _message(field.message_type)
    if field.enum_type is not None:
        return _enum(field.enum_type)
    if field.type in _LONG:
        return str
    if field.type == FieldDescriptor.TYPE_BYTES:
        return lambda value: base64.b64encode(value).decode()
    if field.type == FieldDescriptor.TYPE_FLOAT:
        return _float
    return _double if field.type == FieldDescriptor.TYPE_DOUBLE else None


def _enum(descriptor: EnumDescriptor) -> _Convert:
    names = {number: value.name for number, value in descriptor.values_by_number.items()}
    return lambda number: names.get(number, number)


def _float(value: float) -> float | str:
    """Returns the shortest decimal that stands for the float32."""
    if not math.isfinite(value):
        return _double(value)
    for digits in (6, 7, 8, 9):
        short = float(f"{value:.{digits}g}")
        # Rounded up beyond the largest float32, no parser would take it.
        if abs(short) <= _FLOAT32_MAX and _FLOAT32.unpack(_FLOAT32.pack(short))[0] == value:
            return short
    return value


def _double(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _well_known(message: Message) -> Any:
    return json_format.MessageToDict(message, descriptor_pool=POOL)


def _any(message: Any) -> Any:
    try:
        return _well_known(message)
    except (TypeError, DecodeError):
        return {"@type": message.type_url, "value": base64.b64encode(message.value).decode()}
