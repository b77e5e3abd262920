"""HTTP requests to messages: body, path and query, each where the method's rule puts it. No I/O here."""

import gzip
import io
import zlib
from collections.abc import Iterable
from typing import Any

import grpc
from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import DecodeError, Message

from vision_grpc._gen import POOL
from vision_grpc.emulator.refusal import invalid, shown
from vision_grpc.emulator.rest import payload
from vision_grpc.emulator.rest.failure import Failure, bad_payload
from vision_grpc.emulator.rest.rules import Binding

# Published as "10 MB" for JSON (https://cloud.google.com/vision/quotas); the real server's refusal names this number.
MAX_BODY = 10 * 2**20
_PROTO = ("application/x-protobuf", "application/protobuf")
_SHOWN = 300


def too_large() -> Failure:
    """Returns the refusal of a body beyond MAX_BODY, before or after it is unpacked."""
    return Failure(grpc.StatusCode.INVALID_ARGUMENT, f"Request payload size exceeds the limit: {MAX_BODY} bytes.")


def unpacked(body: bytes, encoding: str) -> bytes:
    """Returns a body as it was before its Content-Encoding; at most MAX_BODY, however small it arrived."""
    if encoding in ("", "identity"):
        return body
    if encoding not in ("gzip", "x-gzip"):
        raise invalid(f"Content-Encoding is {shown(encoding)}; send gzip, or the plain body.")  # ours
    try:
        if not body:
            raise EOFError
        # It may be of several members, one after the other (RFC 1952, section 2.2).
        plain = gzip.GzipFile(fileobj=io.BytesIO(body)).read(MAX_BODY + 1)
    except (OSError, EOFError, zlib.error):
        raise invalid("The body is not gzip, as its Content-Encoding says.") from None  # ours
    if len(plain) > MAX_BODY:
        raise too_large()
    return plain


def message(binding: Binding, values: dict[str, str], query: Iterable[tuple[str, str]], body: bytes, content_type: str) -> Message:
    """Returns the request of a method.

    Args:
        binding: what the request is for.
        values: what its path says.
        query: what its query says, apart from the parameters of every API.
        body: unpacked. Methods whose rule names no body ignore it.
        content_type: with or without options.

    Raises:
        Failure: it is no request of that method.
        Refused: the content type is neither JSON nor protobuf.
    """
    request = binding.method.request_type()
    definition = binding.descriptor.input_type
    whole = binding.body == "*"
    if whole and body:
        _read(request, definition, body, content_type.partition(";")[0].strip().lower())
    # With the body for the whole request, the rule leaves no field to the query.
    fields = _nested(definition, query, bindable=not whole)
    for name, value in values.items():
        _put(definition, fields, name, value)
    _merge(request, definition, fields)
    return request


def _read(request: Message, definition: Descriptor, body: bytes, kind: str) -> None:
    if kind in _PROTO:
        try:
            request.ParseFromString(body)
        except DecodeError:
            raise invalid(f"The request is not a valid {definition.full_name}.") from None  # ours
        return
    if kind not in ("", "application/json"):
        # Ours. curl sends application/x-www-form-urlencoded where nothing else is said.
        raise invalid(f"Content-Type is {shown(kind)}; send application/json.")
    _merge(request, definition, payload.parsed(body))


def _merge(request: Message, definition: Descriptor, fields: dict[str, Any]) -> None:
    payload.check(fields, definition)
    try:
        json_format.ParseDict(fields, request, descriptor_pool=POOL)
    except (json_format.ParseError, ValueError, TypeError, AttributeError, RecursionError) as error:
        # Ours: what is left is rare, two fields of one oneof say, and the reason is as protobuf's parser gives it.
        raise bad_payload((str(error).splitlines() or [type(error).__name__])[0][:_SHOWN]) from None


def _nested(request: Descriptor, query: Iterable[tuple[str, str]], *, bindable: bool) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, value in query:
        if not bindable or not _put(request, fields, name, value):
            raise bad_payload(
                f'Unknown name "{name[:_SHOWN]}": Cannot bind query parameter. '
                f"Field '{name[:_SHOWN]}' could not be found in request message."
            )
    return fields


def _put(message: Descriptor, fields: dict[str, Any], path: str, value: str) -> bool:
    """Puts a value at a dotted path of JSON or proto names; says whether the message has such a field."""
    *parents, last = path.split(".")
    for name in parents:
        field = _field(message, name)
        if field is None or field.message_type is None or field.is_repeated:
            return False
        message, fields = field.message_type, fields.setdefault(field.json_name, {})
    field = _field(message, last)
    if field is None or (field.message_type is not None and not field.message_type.full_name.startswith("google.protobuf.")):
        return False
    if field.is_repeated:
        fields.setdefault(field.json_name, []).append(_scalar(field, value))
    else:
        fields[field.json_name] = _scalar(field, value)
    return True


def _field(message: Descriptor, name: str) -> FieldDescriptor | None:
    return next((field for field in message.fields if name in (field.name, field.json_name)), None)


def _scalar(field: FieldDescriptor, value: str) -> Any:
    # proto3 JSON takes numbers and enums as text too, but not booleans.
    if field.type == FieldDescriptor.TYPE_BOOL:
        return {"true": True, "false": False}.get(value.lower(), value)
    return value
