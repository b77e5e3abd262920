"""Messages to dicts and JSON and back, against json_format."""

import json
import math
import struct
from types import MappingProxyType
from typing import Any

import pytest
from google.protobuf import any_pb2, json_format, struct_pb2, timestamp_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vision_grpc import ConfigError, v1
from vision_grpc._gen import POOL
from vision_grpc._json import encode as _encode
from vision_grpc.messages import ParseError, from_json, to_dict, to_json


def full_response() -> v1.AnnotateImageResponse:
    """A response with every kind of field: nested, repeated, enums, 64-bit integers, wrappers, timestamps, Any, floats of both sizes."""
    return json_format.Parse(
        """{
        "faceAnnotations": [{"boundingPoly": {"vertices": [{}, {"x": -3, "y": 4}]}, "joyLikelihood": "LIKELY", "rollAngle": 0.1,
            "landmarks": [{"type": "LEFT_EYE", "position": {"x": 1.5, "y": 2.25, "z": -0.0001}}], "detectionConfidence": 1e-9}],
        "landmarkAnnotations": [{"locations": [{"latLng": {"latitude": 52.5162746, "longitude": 13.3777041}}],
            "properties": [{"name": "n", "value": "v", "uint64Value": "18446744073709551615"}], "score": 0.97}],
        "fullTextAnnotation": {"text": "é😀\\n\\"q\\"\\u2028",
            "pages": [{"property": {"detectedBreak": {"type": "SPACE", "isPrefix": true}}}]},
        "imagePropertiesAnnotation": {"dominantColors": {"colors": [{"color": {"red": 255, "alpha": 0.5}, "score": 0.33333334}]}},
        "productSearchResults": {"indexTime": "2026-11-23T00:00:00.123Z"},
        "error": {"code": 7, "message": "m", "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "R"}]},
        "context": {}
        }""",
        v1.AnnotateImageResponse(),
        descriptor_pool=POOL,
    )


def test_dicts_equal_those_of_json_format() -> None:
    """The same names, values and order of keys as MessageToDict."""
    ours, theirs = to_dict(full_response()), json_format.MessageToDict(full_response(), descriptor_pool=POOL)
    assert ours == theirs
    assert list(ours) == list(theirs)


@pytest.mark.parametrize("indent", [False, True])
@pytest.mark.parametrize("parser", ["orjson", None])
def test_json_reads_back_as_the_same_message(indent: bool, parser: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """On one line or indented, with orjson or without it."""
    if parser is None:
        monkeypatch.setattr(_encode, "orjson", None)
    text = to_json(full_response(), indent=indent)
    assert ("\n" in text) == indent
    assert from_json(v1.AnnotateImageResponse, text) == full_response()


def test_requests_and_operations_survive_the_round_trip() -> None:
    """Maps, bytes and an Any of our own messages, which the default pool does not know."""
    request = v1.AsyncBatchAnnotateImagesRequest(labels={"team": "maps"}, parent="projects/p")
    request.requests.add(image=v1.Image(content=b"\x00\xff"), image_context=v1.ImageContext(language_hints=["en", "de"]))
    assert from_json(v1.AsyncBatchAnnotateImagesRequest, to_json(request)) == request
    operation = v1.Operation(name="operations/1", done=True)
    operation.response.Pack(v1.AsyncBatchAnnotateImagesResponse(output_config=v1.OutputConfig(batch_size=7)))
    assert from_json(v1.Operation, to_json(operation)) == operation
    assert to_dict(operation)["response"]["outputConfig"] == {"batchSize": 7}


def test_an_any_of_an_unknown_type_is_printed() -> None:
    """A reply with a detail that nothing here knows is no reason to fail."""
    operation = v1.Operation(name="operations/1")
    operation.error.details.add(type_url="type.googleapis.com/nobody.knows.This", value=b"\x01\x02")
    assert to_dict(operation)["error"]["details"] == [{"@type": "type.googleapis.com/nobody.knows.This", "value": "AQI="}]


def test_messages_of_the_default_pool_are_taken_too() -> None:
    """google-cloud-vision's and googleapis-common-protos' messages live in another descriptor pool."""
    packed = any_pb2.Any()
    packed.Pack(error_details_pb2.ErrorInfo(reason="R"))
    assert to_dict(packed) == {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "R"}


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.floats(width=32))
def test_floats_keep_their_bits(number: float) -> None:
    """The shortest decimal of a float32 reads back as the same float32; NaN and infinities are words."""
    text = to_json(v1.EntityAnnotation(score=number))
    read = from_json(v1.EntityAnnotation, text).score
    assert struct.pack("f", read) == struct.pack("f", number) or (math.isnan(read) and math.isnan(number))
    # Of the largest float32, json_format writes a rounding that it then refuses to read.
    if abs(number) != float.fromhex("0x1.fffffep+127"):
        assert to_dict(v1.EntityAnnotation(score=number)) == json_format.MessageToDict(v1.EntityAnnotation(score=number))


@pytest.mark.parametrize("text", ["", "{", "nonsense", '{"score": "x"}', '{"score": 1, "score": 2}', b"\xff", "[1]"])
def test_what_is_not_the_message_is_refused(text: str | bytes) -> None:
    """ParseError, never another exception and never half a message."""
    with pytest.raises(ParseError):
        from_json(v1.EntityAnnotation, text)


@pytest.mark.parametrize("kind", [dict, MappingProxyType])
def test_parsed_json_is_read_as_its_text_is(kind: type) -> None:
    """A line of results.jsonl, parsed by whomever, holds its response as a mapping."""
    assert from_json(v1.AnnotateImageResponse, kind(json.loads(to_json(full_response())))) == full_response()
    assert from_json(v1.Image, kind({"unheardOf": 1})) == v1.Image()


@pytest.mark.parametrize("tree", [{"score": "x"}, {"score": float("nan")}, {1: 2}, {"locale": b"en"}, {"locale": "\ud800"}])
def test_parsed_json_that_is_not_the_messages_is_refused(tree: dict[Any, Any]) -> None:
    """ParseError, wherever json_format.ParseDict raises it or anything else."""
    with pytest.raises(Exception):  # noqa: B017
        json_format.ParseDict(tree, v1.EntityAnnotation(), ignore_unknown_fields=True)
    with pytest.raises(ParseError):
        from_json(v1.EntityAnnotation, tree)


@pytest.mark.parametrize("message", [struct_pb2.Struct(), timestamp_pb2.Timestamp(seconds=5), struct_pb2.Value(number_value=1)])
def test_wellknown_types_survive_the_round_trip(message: Message) -> None:
    """Their JSON has a form of its own, also where one of them is the whole."""
    if isinstance(message, struct_pb2.Struct):
        message.update({"a": 1.0, "fields": {"b": None}})
    assert from_json(type(message), to_json(message)) == message


@pytest.mark.parametrize("message_class", [dict, Message, v1.Image(), "Image", None])
def test_what_is_no_message_class_is_refused(message_class: Any) -> None:
    """One sentence that names the argument."""
    with pytest.raises(ConfigError, match=r"^from_json: .* is no message class; give one such as"):
        from_json(message_class, "{}")


@pytest.mark.parametrize("source", [None, 3, ["a"], v1.Image()])
def test_what_holds_no_json_is_refused(source: Any) -> None:
    """One sentence that says what is taken."""
    with pytest.raises(ConfigError, match=f"^from_json: give JSON as str or bytes, .*, not {type(source).__name__}"):
        from_json(v1.Image, source)


@pytest.mark.parametrize("write", [to_dict, to_json])
@pytest.mark.parametrize("message", [None, {}, v1.Image, "x" * 1000])
def test_what_is_no_message_is_refused(write: Any, message: Any) -> None:
    """One sentence, no longer for a long argument."""
    with pytest.raises(ConfigError, match=f"^{write.__name__}: .* is no message; give one such as") as refusal:
        write(message)
    assert len(str(refusal.value)) < 200
