"""The shape of a message as proto3 JSON sees it, worked out once from its descriptor. No I/O here.

upb's message constructor takes a parsed JSON tree in C, but it knows the fields by their proto names (``bounding_poly``), and
JSON by others (``boundingPoly``). So each shape has a *shadow*: a message class of the same field numbers and types whose
field names are the JSON names. Its bytes are the real message's bytes.

The shadow lacks every field that JSON writes in another form than the constructor takes, or that the constructor takes more
freely than the JSON mapping allows: 64-bit integers, bytes, bool, maps, members of a oneof, repeated scalars, and the
well-known types. The constructor refuses a tree that holds one of them, and json_format reads it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

from google.protobuf import descriptor_pb2, message_factory
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message

_INTEGERS = frozenset(
    {
        FieldDescriptor.TYPE_INT32,
        FieldDescriptor.TYPE_UINT32,
        FieldDescriptor.TYPE_SINT32,
        FieldDescriptor.TYPE_FIXED32,
        FieldDescriptor.TYPE_SFIXED32,
    }
)
_FLOATS = frozenset({FieldDescriptor.TYPE_FLOAT, FieldDescriptor.TYPE_DOUBLE})
_FLOAT32_MAX = float.fromhex("0x1.fffffep+127")

_DROP = object()


class UnsureError(Exception):
    """The tree may mean something that only json_format knows how to read, or to refuse."""


@cache
def shadow_class(descriptor: Descriptor) -> type[Message]:
    """Returns the message class that takes parsed JSON of descriptor's message by keyword and serialises to the message's bytes."""
    file = descriptor_pb2.FileDescriptorProto(name="shadow.proto", package="shadow", syntax="proto3")
    _add_message(file, descriptor, set())
    pool = DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    shadow = pool.FindMessageTypeByName(f"shadow.{_flat(descriptor)}")
    return message_factory.GetMessageClass(shadow)


def _flat(descriptor: Descriptor | EnumDescriptor) -> str:
    return descriptor.full_name.replace(".", "_")


def _in_shadow(field: FieldDescriptor) -> bool:
    if field.containing_oneof is not None:
        return False
    if field.type == FieldDescriptor.TYPE_MESSAGE:
        kind: Any = field.message_type
        return not (kind.GetOptions().map_entry or kind.full_name.startswith("google.protobuf."))
    if field.is_repeated:
        return False
    return field.type in _INTEGERS or field.type in _FLOATS or field.type in (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_ENUM)


def _add_message(file: descriptor_pb2.FileDescriptorProto, descriptor: Descriptor, seen: set[str]) -> None:
    if descriptor.full_name in seen:
        return
    seen.add(descriptor.full_name)
    shadow = file.message_type.add(name=_flat(descriptor))
    for field in filter(_in_shadow, descriptor.fields):
        copy = shadow.field.add(name=field.json_name, number=field.number, type=field.type)
        copy.label = copy.LABEL_REPEATED if field.is_repeated else copy.LABEL_OPTIONAL
        if field.message_type is not None:
            copy.type_name = f".shadow.{_flat(field.message_type)}"
            _add_message(file, field.message_type, seen)
        elif field.enum_type is not None:
            copy.type_name = f".shadow.{_flat(field.enum_type)}.Enum"
            _add_enum(file, field.enum_type, seen)


def _add_enum(file: descriptor_pb2.FileDescriptorProto, descriptor: EnumDescriptor, seen: set[str]) -> None:
    if descriptor.full_name in seen:
        return
    seen.add(descriptor.full_name)
    # Values live in the scope around their enum, and two enums may share their names.
    enum = file.message_type.add(name=_flat(descriptor)).enum_type.add(name="Enum")
    for value in descriptor.values:
        enum.value.add(name=value.name, number=value.number)
    enum.options.allow_alias = len({value.number for value in descriptor.values}) < len(descriptor.values)


class Shape:
    """Which JSON a message's fields take, to the letter of json_format: neither more nor less."""

    def __init__(self, descriptor: Descriptor) -> None:
        self._checks = {field.json_name: _check(field) for field in descriptor.fields}
        self._proto_names = {field.name for field in descriptor.fields} - set(self._checks)

    def ignores(self, name: str) -> bool:
        """Whether json_format passes over a member of that name, whatever its value."""
        # Proto names are accepted too. A name in brackets is an extension, which json_format refuses, as it does lone surrogates,
        # and a key that is no text, which JSON parsed elsewhere may hold.
        return type(name) is str and not (name in self._checks or name in self._proto_names or name.startswith("[")) and name.isascii()

    def clean(self, tree: Any) -> dict[str, Any]:
        """Returns the tree without what json_format ignores: unknown fields, unknown enum names, null.

        Raises UnsureError where the shadow's constructor might read the tree in another way than json_format does.
        """
        if type(tree) is not dict:
            raise UnsureError
        cleaned = {}
        for name, value in tree.items():
            check = self._checks.get(name)
            if check is None:
                if not self.ignores(name):
                    raise UnsureError
            elif value is not None and (kept := check(value)) is not _DROP:
                cleaned[name] = kept
        return cleaned


@cache
def shape_of(descriptor: Descriptor) -> Shape:
    """Returns the shape of descriptor's message."""
    return Shape(descriptor)


def _check(field: FieldDescriptor) -> Callable[[Any], Any]:
    if not _in_shadow(field):
        return _unsure
    if field.message_type is not None:
        descriptor: Any = field.message_type  # its shape is looked up at use: a message may hold itself
        if field.is_repeated:
            return lambda value: [shape_of(descriptor).clean(item) for item in value] if type(value) is list else _unsure(value)
        return lambda value: shape_of(descriptor).clean(value)
    if field.enum_type is not None:
        names = frozenset(field.enum_type.values_by_name)
        return lambda value: _enum(names, value)
    if field.type == FieldDescriptor.TYPE_STRING:
        return _string
    if field.type == FieldDescriptor.TYPE_FLOAT:
        return _float
    return _double if field.type == FieldDescriptor.TYPE_DOUBLE else _integer


def _unsure(value: Any) -> Any:
    raise UnsureError


def _string(value: Any) -> Any:
    return value if type(value) is str else _unsure(value)


def _integer(value: Any) -> Any:
    return value if type(value) is int else _unsure(value)


def _double(value: Any) -> Any:
    return value if type(value) is int or (type(value) is float and math.isfinite(value)) else _unsure(value)


def _float(value: Any) -> Any:
    return value if type(value) in (int, float) and -_FLOAT32_MAX <= value <= _FLOAT32_MAX else _unsure(value)


def _enum(names: frozenset[str], value: Any) -> Any:
    if type(value) is int or (type(value) is str and value in names):
        return value
    # json_format drops unknown names, but reads "3" as a number and has words for lone surrogates.
    if type(value) is not str or not value.isascii():
        raise UnsureError
    try:
        int(value)
    except ValueError:
        return _DROP
    raise UnsureError
