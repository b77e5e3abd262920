"""JSON against the definition of a message: the first thing that is wrong is refused by its place. No I/O here.

json_format takes or refuses the same, but for bytes, of which it drops what is no base64; its refusals are for programmers.
The words here are those of Google's APIs where these are known from public reports ("Invalid value at 'page_size'
(TYPE_INT32), "x""), with their paths in proto names; the others are ours.
"""

import json
import re
import sys
from collections.abc import Callable
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from vision_grpc.emulator.rest.failure import Failure, bad_payload, bad_value

_F = FieldDescriptor
_SHOWN = 300
_ESCAPED_HALF = re.compile(r"\\u[dD][89a-fA-F]")
_DIGITS = re.compile(r"-?[0-9]{1,20}")
# Both alphabets, padded or not (https://protobuf.dev/programming-guides/json/), and blanks, which decoders skip.
_BASE64 = re.compile(r"[A-Za-z0-9+/_\s-]*={0,2}\s*", re.ASCII)
_MOST_FLOAT = {_F.TYPE_FLOAT: 3.4028234663852886e38, _F.TYPE_DOUBLE: sys.float_info.max}
_INTEGERS = {
    **dict.fromkeys((_F.TYPE_INT32, _F.TYPE_SINT32, _F.TYPE_SFIXED32, _F.TYPE_ENUM), (-(2**31), 2**31 - 1)),
    **dict.fromkeys((_F.TYPE_INT64, _F.TYPE_SINT64, _F.TYPE_SFIXED64), (-(2**63), 2**63 - 1)),
    **dict.fromkeys((_F.TYPE_UINT32, _F.TYPE_FIXED32), (0, 2**32 - 1)),
    **dict.fromkeys((_F.TYPE_UINT64, _F.TYPE_FIXED64), (0, 2**64 - 1)),
}
_TYPES = {number: name for name, number in vars(_F).items() if name.startswith("TYPE_")}


def parsed(body: bytes) -> dict[str, Any]:
    """Returns the JSON object of a body, the empty one for blanks. Raises Failure."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise bad_payload("It is not UTF-8.") from None
    if text.startswith("\ufeff"):
        raise bad_payload("It begins with a byte order mark: send UTF-8 without one.")
    if not text.strip():
        return {}
    if not text.lstrip().startswith("{"):
        raise bad_payload("The root is not an object.")
    try:
        value: dict[str, Any] = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_number)
        if _ESCAPED_HALF.search(text):
            # protobuf's C code meets what is no character with an error of its own insides.
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise bad_payload("It holds half of a surrogate pair.") from None
    except RecursionError:
        raise bad_payload("It is nested too deeply.") from None
    except json.JSONDecodeError as error:
        raise bad_payload(f"{error.msg.rstrip(':')}: line {error.lineno}, column {error.colno}.") from None
    except ValueError:
        raise bad_payload("It holds a number of thousands of digits.") from None
    return value


def check(value: dict[str, Any], message: Descriptor, path: str = "") -> None:
    """Raises Failure unless every field of the object is one of the message, and holds what it may hold."""
    known = {name: field for field in message.fields for name in (field.name, field.json_name)}
    for name, item in value.items():
        field = known.get(name)
        if field is None:
            raise _unknown(name, path, "Cannot find field.")
        if item is None:
            continue
        place = f"{path}.{field.name}" if path else field.name
        entry = field.message_type
        if entry is not None and entry.GetOptions().map_entry:
            _map(item, field, entry.fields_by_name["value"], place)
        elif field.is_repeated:
            if not isinstance(item, list):
                raise _wrong(item, field, place, ": give a list")
            for index, each in enumerate(item):
                _single(each, field, f"{place}[{index}]")
        elif isinstance(item, list) and not _well_known(field.message_type):
            raise _unknown(name, path, "Proto field is not repeating, cannot start list.")
        else:
            _single(item, field, place)


def _map(value: Any, field: FieldDescriptor, of: FieldDescriptor, place: str) -> None:
    if not isinstance(value, dict):
        raise _wrong(value, field, place, ": give an object")
    for key, item in value.items():
        _single(item, of, f'{place}["{key[:_SHOWN]}"]')


def _single(value: Any, field: FieldDescriptor, place: str) -> None:
    if field.message_type is not None:
        if _well_known(field.message_type):
            return
        if not isinstance(value, dict):
            raise _wrong(value, field, place)
        check(value, field.message_type, place)
    elif not _VALID[field.type](value, field):
        raise _wrong(value, field, place)


def _is_integer(value: Any, field: FieldDescriptor) -> bool:
    least, most = _INTEGERS[field.type]
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _is_enum(value: Any, field: FieldDescriptor) -> bool:
    named = field.enum_type
    return _is_integer(value, field) or (named is not None and isinstance(value, str) and value in named.values_by_name)


def _is_number(value: Any, field: FieldDescriptor) -> bool:
    if value in ("NaN", "Infinity", "-Infinity"):
        return True
    try:
        return not isinstance(value, bool) and abs(float(value)) <= _MOST_FLOAT[field.type]
    except (TypeError, ValueError, OverflowError):
        return False


def _is_base64(value: Any, field: FieldDescriptor) -> bool:
    if not isinstance(value, str) or not _BASE64.fullmatch(value):
        return False
    whole = "".join(value.split())
    bare = whole.rstrip("=")
    return len(bare) % 4 != 1 and (whole == bare or len(whole) % 4 == 0)


_VALID: dict[int, Callable[[Any, FieldDescriptor], bool]] = {
    **dict.fromkeys(_INTEGERS, _is_integer),
    **dict.fromkeys(_MOST_FLOAT, _is_number),
    _F.TYPE_ENUM: _is_enum,
    _F.TYPE_BYTES: _is_base64,
    _F.TYPE_BOOL: lambda value, _: isinstance(value, bool),
    _F.TYPE_STRING: lambda value, _: isinstance(value, str),
}


def _well_known(message: Descriptor | None) -> bool:
    # Their JSON is no object of their fields; json_format checks it.
    return message is not None and message.full_name.startswith("google.protobuf.")


def _unknown(name: str, path: str, reason: str) -> Failure:
    where = f" at '{path}'" if path else ""
    return bad_payload(f'Unknown name "{name[:_SHOWN]}"{where}: {reason}', path)


def _wrong(value: Any, field: FieldDescriptor, place: str, remedy: str = "") -> Failure:
    named = field.message_type or field.enum_type
    kind = f"type.googleapis.com/{named.full_name}" if named is not None else _TYPES[field.type]
    failed = "Base64 decoding failed for " if field.type == _F.TYPE_BYTES and isinstance(value, str) else ""
    return bad_value(f"Invalid value at '{place}' ({kind}), {failed}{_brief(value)}{remedy}", place)


def _brief(value: Any) -> str:
    # Cut before it is made text: it may be megabytes, or thousands of levels.
    if isinstance(value, dict | list):
        return "{…}" if isinstance(value, dict) else "[…]"
    return json.dumps(value[:_SHOWN] if isinstance(value, str) else value, ensure_ascii=False)[:_SHOWN]


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise bad_payload(f'The name "{twice[:_SHOWN]}" is there twice in one object.')
    return found


def _no_number(text: str) -> None:
    raise bad_payload(f'{text} is no JSON: write "{text}".')
