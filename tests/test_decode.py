"""The decoder against json_format, its measure: on everything that a text may hold, both read the same or both refuse."""

import gc
from typing import Any

import pytest
from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.json_format import ParseError
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vision_grpc import v1, v1p4beta1
from vision_grpc._gen import POOL
from vision_grpc._json import decode as _decode
from vision_grpc._json.decode import decode, decode_shard

ODD_VALUES = [
    *("null", "true", "false", "0", "-0", "-0.0", "1", "1.0", "1e3", "1.5", "-1", "3", "99", "2147483647", "2147483648", "-2147483649"),
    *(
        "18446744073709551615",
        "18446744073709551616",
        "9" * 40,
        "3.4028235e38",
        "3.4028235677973366e38",
        "3.5e38",
        "1e39",
        "-1e39",
        "1e400",
    ),
    *("NaN", "Infinity", "-Infinity", '"NaN"', '"Infinity"', '"-Infinity"', '"nan"', '"1"', '"1.5"', '"1e3"', '" 1"', '"-1"'),
    *(
        '""',
        '"x"',
        '"é😀"',
        r'"\ud83d\ude00"',
        r'"\ud800"',
        '"\ud800"',
        r'"a\u003ab"',
        '":true"',
        '":{}"',
        '"a\\n\\"b\\":c"',
        '"AAEC"',
        '"A-_="',
        '"AAE"',
    ),
    *(
        "[]",
        "{}",
        "[null]",
        "[{}]",
        "[[]]",
        '[""]',
        "[1]",
        "[true]",
        '["LIKELY"]',
        '{"a": 1, "a": 2}',
        '{"a" : 1}',
        '{"a": {"b": [1, {"c": null}]}}',
    ),
    *('"LIKELY"', '"A_NEW_ONE"', '"2020-01-02T03:04:05.678Z"', '"2020"', '"1.5s"', '"gs://b/o"', "[" * 40 + "]" * 40),
    '{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "r", "metadata": {"k": "v"}}',
    '{"@type": "type.googleapis.com/google.protobuf.Duration", "value": "3s"}',
    '{"@type": "type.googleapis.com/google.protobuf.Struct", "value": {"a": [1, null, {"b": "c"}]}}',
    '{"@type": "type.googleapis.com/nobody.knows.This", "x": 1}',
]
PLAIN_VALUES = {
    "bool": ["true", "false"],
    "bytes": ['"AAEC"', '"-_8="'],
    "string": ['"text"', '"é"', r'"\u00e9 \"quoted\": yes"', '"<b>"'],
    "float": ["0.5", "3", "1e-7", "0.97"],
    "long": ['"12345678901"', "7", '"-1"'],
    "int": ["1", "640", "-3"],
}
SPACES = st.sampled_from(["", "", " ", "\n  "])


def scalar(field: FieldDescriptor) -> list[str]:
    kinds = {
        FieldDescriptor.CPPTYPE_BOOL: "bool",
        FieldDescriptor.CPPTYPE_FLOAT: "float",
        FieldDescriptor.CPPTYPE_DOUBLE: "float",
        FieldDescriptor.CPPTYPE_INT64: "long",
        FieldDescriptor.CPPTYPE_UINT64: "long",
        FieldDescriptor.CPPTYPE_STRING: "bytes" if field.type == FieldDescriptor.TYPE_BYTES else "string",
    }
    return PLAIN_VALUES[kinds.get(field.cpp_type, "int")]


@st.composite
def value_text(draw: st.DrawFn, field: FieldDescriptor, depth: int, oddness: int) -> str:
    """A JSON value for the field; one in `oddness` is any value at all."""
    if draw(st.integers(1, oddness)) == 1:
        return draw(st.sampled_from(ODD_VALUES))
    message: Any = field.message_type
    if message is not None and message.full_name.startswith("google.protobuf."):
        one = st.sampled_from(ODD_VALUES)
    elif message is not None:
        one = object_text(message, depth - 1, oddness) if depth else st.just("{}")
    elif field.enum_type is not None:
        one = st.sampled_from([f'"{value.name}"' for value in field.enum_type.values] + ["2", '"A_NEW_ONE"'])
    else:
        one = st.sampled_from(scalar(field))
    if not field.is_repeated:
        return draw(one)
    return f"[{','.join(draw(st.lists(one, max_size=3)))}]"


@st.composite
def object_text(draw: st.DrawFn, descriptor: Descriptor, depth: int, oddness: int) -> str:
    """A JSON object for the message; one name in `oddness` is not the JSON name of a field."""
    pairs = []
    fields = st.lists(st.sampled_from(list(descriptor.fields)), max_size=4, unique=oddness > 9) if descriptor.fields else st.just([])
    for field in draw(fields):
        name = field.json_name
        if draw(st.integers(1, oddness)) == 1:
            name = draw(st.sampled_from([field.name, "newField", "", "[a.b]", "self", r"\ud800", "é", name]))
        value = draw(value_text(field, depth, oddness))
        pairs.append(f'{draw(SPACES)}"{name}"{draw(SPACES)}:{draw(SPACES)}{value}')
    return "{" + ",".join(pairs) + draw(SPACES) + "}"


def reachable(descriptor: Descriptor, found: dict[str, Descriptor]) -> dict[str, Descriptor]:
    if descriptor.full_name not in found and not descriptor.GetOptions().map_entry:
        found[descriptor.full_name] = descriptor
        for field in descriptor.fields:
            if field.message_type is not None and not field.message_type.full_name.startswith("google.protobuf."):
                reachable(field.message_type, found)
    return found


RESPONSE: Any = v1.AnnotateImageResponse.DESCRIPTOR
ROOTS: list[Any] = [v1.BatchAnnotateImagesResponse, v1.AsyncBatchAnnotateImagesRequest, v1.Operation, v1p4beta1.FaceAnnotation]
TYPES = list({name: d for root in ROOTS for name, d in reachable(root.DESCRIPTOR, {}).items()}.values())


def reference(message_class: type[Message], text: str | bytes) -> bytes | None:
    """What json_format makes of the text; None where it refuses it."""
    try:
        message = json_format.Parse(text, message_class(), ignore_unknown_fields=True, descriptor_pool=POOL)
        return message.SerializeToString(deterministic=True)
    except (ParseError, UnicodeDecodeError, UnicodeEncodeError):
        return None


def ours(message_class: type[Message], text: str | bytes) -> bytes | None:
    try:
        return decode(message_class, text).SerializeToString(deterministic=True)
    except ParseError:
        return None


def of_a_shard(text: str) -> list[bytes] | None:
    try:
        wires = decode_shard(v1.BatchAnnotateImagesResponse, text.encode("utf-8", "surrogatepass"))
        return [v1.AnnotateImageResponse.FromString(wire).SerializeToString(deterministic=True) for wire in wires]
    except ParseError:
        return None


@settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_reads_every_message_as_json_format_does(data: st.DataObject) -> None:
    """Texts of every message type, from flawless to mostly odd: the same message, or both refuse."""
    descriptor = data.draw(st.sampled_from(TYPES))
    text = data.draw(object_text(descriptor, 4, data.draw(st.sampled_from([3, 10, 10_000]))))
    message_class = GetMessageClass(descriptor)
    assert ours(message_class, text) == reference(message_class, text), text


@pytest.mark.parametrize("value", ODD_VALUES)
def test_reads_every_odd_value_in_every_field_as_json_format_does(value: str) -> None:
    """Each odd value alone in each field of each message type, and in one that nobody knows."""
    for descriptor in TYPES:
        message_class = GetMessageClass(descriptor)
        names = [(field.json_name, field.name) for field in descriptor.fields]
        for json_name, name in [*names, ("newField", "new_field")]:
            for text in (f'{{"{json_name}": {value}}}', f'{{"{name}":[{value}]}}'):
                assert ours(message_class, text) == reference(message_class, text), (descriptor.full_name, text)


def shard_reference(text: str) -> list[bytes] | None:
    wire = reference(v1.BatchAnnotateImagesResponse, text.encode("utf-8", "surrogatepass"))
    if wire is None:
        return None
    responses = v1.BatchAnnotateImagesResponse.FromString(wire).responses
    return [response.SerializeToString(deterministic=True) for response in responses]


@st.composite
def shard_text(draw: st.DrawFn) -> str:
    """A shard in the service's layout or another, whole or damaged, its responses flawless or odd."""
    oddness = draw(st.sampled_from([4, 30, 10_000]))
    responses = draw(st.lists(object_text(RESPONSE, 4, oddness), max_size=6))
    if draw(st.integers(1, oddness)) == 1:
        responses.insert(0, draw(st.sampled_from(ODD_VALUES)))
    gap = draw(st.sampled_from(["", "\n", "\n    ", " "]))
    key = draw(st.sampled_from(["responses"] * 9 + ["Responses", "[a.b]"]))
    tail = draw(st.sampled_from([""] * 9 + [', "nextPage": 1', ', "responses": []', "}", ", {"]))
    # The one wanted difference has its own test: a detail of an unknown type does not cost the shard.
    responses = [response.replace("nobody.knows.This", "google.rpc.Help") for response in responses]
    text = f'{{\n  "{key}": [{gap}{f",{gap}".join(responses)}\n  ]{tail}\n}}'
    return text[: draw(st.integers(0, len(text)))] if draw(st.integers(1, 8)) == 1 else text


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
@given(shard_text(), st.sampled_from([1, 40, 300, 1 << 20]))
def test_reads_shards_as_json_format_does(text: str, piece: int) -> None:
    """Whole shards, cut into pieces of any size: the same responses in the same order, or both refuse."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_decode, "_PIECE", piece)
        assert of_a_shard(text) == shard_reference(text), text


@pytest.mark.parametrize("place", range(12))
@pytest.mark.parametrize("space", ["\x0b", "\x0c", "\x1c", "\x85", "\xa0", "\ufeff", " \t\r\n"])
def test_spaces_of_other_standards_are_refused_as_json_format_does(space: str, place: int) -> None:
    """Between any two tokens JSON has four kinds of space and no more."""
    tokens = ["", "{", '"responses"', ":", "[", "{", "}", ",", "{", "}", "]", "}"]
    text = "".join(token + space * (index == place) for index, token in enumerate(tokens))
    assert of_a_shard(text) == shard_reference(text)
    assert (of_a_shard(text) is None) == (space != " \t\r\n")


@pytest.mark.parametrize("rest", ["", ', "newField": {"responses": 1}'])
def test_an_unknown_detail_costs_nothing_else(rest: str) -> None:
    """json_format refuses the whole shard for an error's detail of an unknown type; here the error and its other details stay."""
    details = '[{"@type": "t/nobody.knows.This", "x": 1}, {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "R"}]'
    error = f'{{"code": 3, "message": "Bad image data.", "details": {details}}}'
    text = f'{{"responses": [{{"error": {error}}}, {{"context": {{"uri": "u"}}}}]{rest}}}'
    assert shard_reference(text) is None
    first, second = map(v1.AnnotateImageResponse.FromString, of_a_shard(text) or [])
    assert (first.error.code, first.error.message, second.context.uri) == (3, "Bad image data.", "u")
    assert [detail.type_url.rpartition("/")[2] for detail in first.error.details] == ["google.rpc.ErrorInfo"]


def test_ordinary_shards_never_need_json_format(monkeypatch: pytest.MonkeyPatch) -> None:
    """Text, labels, faces, unknown fields and new enum names are all read by the fast ways."""
    monkeypatch.setattr(_decode, "_slow", None)
    vertices = '{"vertices": [{}, {"x": 3}, {"x": 3, "y": 4}, {"y": 4}]}'
    text = (
        '{"responses": [{"labelAnnotations": [{"mid": "/m/1", "description": "it is: true", "score": 0.98}]},'
        f' {{"faceAnnotations": [{{"boundingPoly": {vertices}, "joyLikelihood": "VERY_LIKELY", "rollAngle": -0.5}}]}},'
        ' {"faceAnnotations": [{"joyLikelihood": "A_NEW_ONE", "newField": {"a": [1, true, null]}}], "brandNew": "x"},'
        ' {"error": {"code": 3, "message": "Bad image data."}, "context": {"uri": "gs://b/o"}}]'
    )
    for tail in ("}", ', "newField": [1]}'):
        assert of_a_shard(text + tail) == shard_reference(text + tail)


def test_reads_the_same_without_orjson(monkeypatch: pytest.MonkeyPatch) -> None:
    """orjson is an extra: the json module gives the same results, slower."""
    monkeypatch.setattr(_decode, "orjson", None)
    text = '{"responses": [{"textAnnotations": [{"description": "é", "score": 0.5, "new": 1}]}, {"error": {"code": 7}}]}'
    assert of_a_shard(text) == shard_reference(text)
    assert of_a_shard('{"responses": [{"error": {"code": 7, "code": 8}}]}') is None


def test_the_garbage_collector_is_left_as_it_was() -> None:
    """It rests while a piece is decoded, and runs again afterwards, also after a refusal; one that is off stays off."""
    assert gc.isenabled()
    of_a_shard('{"responses": [{}, {"textAnnotations": 5}]}')
    assert gc.isenabled()
    gc.disable()
    try:
        of_a_shard('{"responses": [{}]}')
        assert not gc.isenabled()
    finally:
        gc.enable()
