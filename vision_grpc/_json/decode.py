"""proto3 JSON to the bytes of messages, near the speed of the JSON parser, with json_format's result. No I/O here.

``json_format.Parse(text, message, ignore_unknown_fields=True)`` is the measure: what it reads is read here with the same
result, what it refuses is refused here. There are three ways, each taken where the one before cannot answer for the result:

1. orjson parses, the shadow's constructor (`_shape`) takes the tree in C. Taken where `_parse` finds nothing in the text that
   this pair reads in another way than json_format.
2. The tree is walked once: what json_format ignores is dropped, every type is checked; then the constructor.
3. json_format itself, on the one message that needs it.

Without orjson (extra ``cli``) the parser is json, and the second way the first.
"""

from __future__ import annotations

import gc
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

from google import protobuf
from google.protobuf import json_format, message_factory
from google.protobuf.descriptor import Descriptor
from google.protobuf.internal import api_implementation
from google.protobuf.json_format import ParseError
from google.protobuf.message import Message
from google.rpc import error_details_pb2

from vision_grpc._gen import POOL, share
from vision_grpc._json.shape import UnsureError, shadow_class, shape_of

try:
    import orjson
except ImportError:
    orjson = None  # type: ignore[assignment]

M = TypeVar("M", bound=Message)

share(error_details_pb2)  # what a Status carries in its details

# Small enough that a piece's tree stays young for the garbage collector and in the processor's cache, and that an event loop
# beside the decoding thread gets its turn.
_PIECE = 1 << 20
_SPACE = b" \t\r\n"  # JSON's; \s has more
_HEAD = re.compile(rb'[ \t\r\n]*\{[ \t\r\n]*"responses"[ \t\r\n]*:[ \t\r\n]*\[([ \t\r\n]*)\{')
# float32 infinity and the largest float32: only a number too large for the field, which json_format refuses, makes them.
_TOO_LARGE = (b"\x00\x00\x80\x7f", b"\x00\x00\x80\xff", b"\xff\xff\x7f\x7f", b"\xff\xff\x7f\xff")
# What the constructor takes where json_format may refuse it: an empty object or text for a list and, up to protobuf 6, a bool
# for an integer. One expression that begins with one byte is found faster than two texts are.
_LOOSE = re.compile(rb':(?:\{\}|"")' if int(protobuf.__version__.partition(".")[0]) >= 7 else rb':(?:\{\}|""|true|false)')
_REFUSALS = (TypeError, ValueError, AttributeError, OverflowError)
_DEPTH = 100  # json_format's own limit


def decode(message_class: type[M], source: str | bytes | Mapping[str, Any]) -> M:
    """Returns the message that the proto3 JSON, text or parsed, stands for; unknown fields and enum names are ignored.

    Raises ParseError where json_format does.
    """
    descriptor: Any = message_class.DESCRIPTOR
    tree, plain = (source, False) if isinstance(source, Mapping) else _parse(source)
    try:
        if descriptor.full_name.startswith("google.protobuf."):
            raise UnsureError  # their JSON has a form of its own
        return message_class.FromString(_swift(descriptor, tree, plain))
    except UnsureError:
        exact = source if isinstance(source, Mapping) else _parse_strictly(source)
        return message_class.FromString(_slow(descriptor, exact, _DEPTH))


def decode_shard(batch_class: type[Message], data: bytes) -> list[bytes]:
    """Returns the bytes of every AnnotateImageResponse in the JSON of a BatchAnnotateImagesResponse, in order.

    Raises ParseError where json_format does, for the whole shard.
    """
    batch: Any = batch_class.DESCRIPTOR
    response = batch.fields_by_name["responses"].message_type
    try:
        wires = []
        for piece in _pieces(data):
            with _collector_resting():
                wires += _elements(response, *_parse(piece), partial(_parse_strictly, piece))
        return wires
    except (_NoPiecesError, ParseError):
        pass  # the whole text decides
    tree, plain = _parse(data)
    responses = tree.get("responses") if type(tree) is dict else None
    if type(responses) is list and all(name == "responses" or shape_of(batch).ignores(name) for name in tree):
        return _elements(response, responses, plain, lambda: _parse_strictly(data)["responses"])
    whole: Any = message_factory.GetMessageClass(batch).FromString(_slow(batch, _parse_strictly(data), _DEPTH))
    return [message.SerializeToString() for message in whole.responses]


@contextmanager
def _collector_resting() -> Iterator[None]:
    """Keeps the cyclic garbage collector from walking trees that hold no cycles, which takes it a third of the whole time.

    For one piece at a time, some ten milliseconds. It is the process's collector, so other threads rest theirs too; whatever the
    threads do, the last to end leaves it as it was.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


class _NoPiecesError(Exception):
    """The text is not laid out so that it can be cut between two responses."""


def _pieces(data: bytes) -> Iterator[bytes]:
    """Cuts a shard between responses, by its layout, into JSON lists of about _PIECE bytes.

    The cut is a guess, and every piece proves it: the pieces joined by commas are the list, and where each of them is a whole
    JSON list, so is the guess right.
    """
    head = _HEAD.match(data)
    end = data.rfind(b"]")
    if head is None or data[end + 1 :].strip(_SPACE) != b"}":
        raise _NoPiecesError
    between = b"}," + head[1] + b"{"
    view = memoryview(data)
    start = head.end() - 1
    while start < end:
        cut = data.find(between, start + _PIECE, end)
        stop = end if cut < 0 else cut + 1
        yield b"".join((b"[", view[start:stop], b"]"))
        start = stop + 1


def _elements(response: Descriptor, trees: Any, plain: bool, exact: Callable[[], Any]) -> list[bytes]:
    if type(trees) is not list:
        raise _NoPiecesError
    wires = []
    exactly: list[Any] | None = None
    for index, tree in enumerate(trees):
        wire = _constructed(response, tree) if plain else None
        if wire is None:
            try:
                wire = _walked(response, tree)
            except UnsureError:
                exactly = exact() if exactly is None else exactly
                if exactly[index] is None:
                    raise ParseError(f"responses[{index}] is null.") from None
                wire = _slow(response, _with_known_details(exactly[index]), _DEPTH - 1)
        wires.append(wire)
    # One search through all of them is cheaper than one through each.
    return _elements(response, trees, False, exact) if plain and _too_large(b"".join(wires)) else wires


def _swift(descriptor: Descriptor, tree: Any, plain: bool) -> bytes:
    wire = _constructed(descriptor, tree) if plain else None
    return _walked(descriptor, tree) if wire is None or _too_large(wire) else wire


def _constructed(descriptor: Descriptor, tree: Any) -> bytes | None:
    """Returns what the constructor makes of the tree; None where it refuses."""
    try:
        return shadow_class(descriptor)(**tree).SerializeToString()
    except _REFUSALS:
        return None


def _walked(descriptor: Descriptor, tree: Any) -> bytes:
    if not _UPB:
        raise UnsureError
    wire = _constructed(descriptor, shape_of(descriptor).clean(tree))
    if wire is None:
        raise UnsureError
    return wire


def _too_large(wire: bytes) -> bool:
    return any(mark in wire for mark in _TOO_LARGE)


def _slow(descriptor: Descriptor, tree: Any, depth: int) -> bytes:
    message = message_factory.GetMessageClass(descriptor)()
    try:
        json_format.ParseDict(tree, message, ignore_unknown_fields=True, descriptor_pool=POOL, max_recursion_depth=depth)
        return message.SerializeToString()
    except ParseError:
        raise
    except Exception as error:
        # json_format.Parse does the same: odd trees make ParseDict raise errors of many kinds.
        raise ParseError(f"{type(error).__name__}: {error}") from error


def _with_known_details(response: Any) -> Any:
    """Leaves out of a response's error the details of types that nothing here knows.

    json_format refuses the whole text for one of them; but the code and the words of the error are there to be read, and so is
    every other image of the shard.
    """
    try:
        details = [detail for detail in response["error"]["details"] if _known(detail["@type"])]
        return response | {"error": response["error"] | {"details": details}}
    except (TypeError, KeyError, AttributeError):
        return response  # of another shape, which json_format judges


def _known(type_url: str) -> bool:
    try:
        POOL.FindMessageTypeByName(type_url.rpartition("/")[2])
    except KeyError:
        return False
    return True


def _parse(text: str | bytes) -> tuple[Any, bool]:
    """Returns the JSON tree, and whether the constructor would read it as json_format does."""
    if orjson is None or not _UPB:
        return _parse_strictly(text), False
    try:
        data = text.encode() if isinstance(text, str) else text
        tree = orjson.loads(data)
        compact = orjson.dumps(tree)
    except (ValueError, TypeError):
        # NaN, lone surrogates, numbers beyond the doubles and deep nesting are JSON to the json module alone.
        return _parse_strictly(text), False
    # Of two equal keys orjson keeps the last, where json_format refuses the text; then a colon is missing from the tree.
    # Only an escaped colon could make up for it.
    if data.count(b":") != compact.count(b":") or (b"\\u003" in data and re.search(rb"\\u003[aA]", data)):
        return _parse_strictly(data), False
    return tree, _LOOSE.search(compact) is None


def _parse_strictly(text: str | bytes) -> Any:
    try:
        return json.loads(text if isinstance(text, str) else text.decode(), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise ParseError(f"it is not JSON: {error}") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    tree = dict(pairs)
    if len(tree) < len(pairs):
        raise ValueError("an object holds two equal keys")
    return tree


# The constructor of protobuf's pure-Python implementation takes and refuses other things than upb's.
_UPB = api_implementation.Type() == "upb"
