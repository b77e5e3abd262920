"""Other people's messages, and mappings, made ours. No I/O here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, TypeVar

from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from vision_grpc.errors import ConfigError

_M = TypeVar("_M", bound=Message)


def kind_of(value: object) -> str | None:
    """The name, without its package, of the protobuf message or proto-plus's wrapper of one that `value` is; None for all else."""
    value = getattr(value, "_pb", value)
    return value.DESCRIPTOR.name if isinstance(value, Message) else None


def adopt(value: object, message_class: type[_M], where: str) -> _M:
    """`value` as a `message_class`: itself, a mapping of its fields, or the same message of another package or version.

    google-cloud-vision's and googleapis-common-protos' messages are other classes for the same bytes: they are converted.

    Raises:
        ConfigError: The mapping has a field that does not exist, or a value of the wrong type.
    """
    if type(value) is message_class:
        return value
    value = getattr(value, "_pb", value)  # proto-plus, which google-cloud-vision builds on, wraps a protobuf message
    if isinstance(value, Message):
        if value.DESCRIPTOR.name != message_class.DESCRIPTOR.name:
            raise ConfigError(f"{where} must be of type {message_class.DESCRIPTOR.name}, not {value.DESCRIPTOR.name}")
        try:
            return message_class.FromString(value.SerializeToString())
        except DecodeError as error:
            raise ConfigError(
                f"{where}: the {value.DESCRIPTOR.full_name} does not convert to {message_class.DESCRIPTOR.full_name}"
            ) from error
    if isinstance(value, Mapping):
        kind: Any = message_class  # to mypy a class with __eq__ and no __hash__ is unhashable itself
        _refuse_lone_strings(value, _lists_of_strings(kind), where)
        try:
            return message_class(**value)
        except (TypeError, ValueError) as error:
            return _build(value, message_class, where, error)
    raise ConfigError(f"{where} must be of type {message_class.DESCRIPTOR.name} or a mapping of its fields, not {type(value).__name__}")


@cache
def _lists_of_strings(message_class: Any) -> Mapping[str, Any]:
    """The fields that are lists of strings, each with None, and those that hold such fields further down, with a mapping of these."""
    fields: dict[str, Any] = {}
    for field in message_class.DESCRIPTOR.fields:
        if field.is_repeated:
            if field.type == field.TYPE_STRING:
                fields[field.name] = None
        elif field.message_type is not None:
            child: Any = GetMessageClass(field.message_type)
            if below := _lists_of_strings(child):
                fields[field.name] = below
    return fields


def _refuse_lone_strings(value: Mapping[Any, Any], lists: Mapping[str, Any], where: str) -> None:
    """protobuf would take the string for the list of its characters: two language hints, "d" and "e", for "de"."""
    for name, below in lists.items():
        item = value.get(name)
        if below is None and isinstance(item, str):
            raise ConfigError(f"{where}.{name} must be several strings, as [{item!r:.200}], not one")
        if below is not None and isinstance(item, Mapping):
            _refuse_lone_strings(item, below, f"{where}.{name}")


def _build(value: Mapping[Any, Any], message_class: type[_M], where: str, cause: Exception) -> _M:
    """The slow way, field by field: converts foreign messages inside a mapping, or names the field that does not fit."""
    import difflib  # only mistakes need it

    message = message_class()
    for key, item in value.items():
        fields = message_class.DESCRIPTOR.fields_by_name
        field = fields.get(key) if isinstance(key, str) else None
        if field is None:
            # REST users write camelCase; the nearest name should be found from there too.
            snake = re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", str(key)).lower()
            near = difflib.get_close_matches(snake, fields, n=1, cutoff=0.5)
            hint = f"; did you mean {near[0]!r}?" if near else f"; it has {', '.join(fields)}"
            raise ConfigError(f"{where}: {message_class.DESCRIPTOR.name} has no field {key!r}{hint}") from cause
        place = f"{where}.{key}"
        if item is not None and field.message_type is not None and not field.message_type.GetOptions().map_entry:
            child: type[Message] = GetMessageClass(field.message_type)  # type: ignore[arg-type]
            if field.has_presence:
                item = adopt(item, child, place)
            elif isinstance(item, str | bytes | Mapping) or not isinstance(item, Iterable):
                raise ConfigError(f"{place} must be several of type {child.DESCRIPTOR.name}, not {type(item).__name__}") from cause
            else:
                item = [adopt(one, child, f"{place}[{index}]") for index, one in enumerate(item)]
        try:
            message.MergeFrom(message_class(**{key: item}))
        except (TypeError, ValueError) as error:
            raise ConfigError(f"{place} does not take {item!r:.100}: {error}") from error
    return message
