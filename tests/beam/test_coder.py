"""ImageResultCoder: what comes out equals what went in, and equal results have equal bytes."""

from __future__ import annotations

import apache_beam as beam
import grpc
import pytest
from apache_beam.coders import registry
from google.rpc.error_details_pb2 import ErrorInfo

from vision_grpc import v1, v1p4beta1
from vision_grpc.beam import ImageResultCoder
from vision_grpc.errors import ImageError
from vision_grpc.results import ImageResult

CODER = ImageResultCoder()


def test_results_come_back() -> None:
    """Index, URI and response of an annotated image survive, in either version's messages."""
    for door in (v1, v1p4beta1):
        response = door.AnnotateImageResponse(text_annotations=[door.EntityAnnotation(description="Grüße", score=0.5)])
        result = ImageResult(2**40, "gs://photos/ü b.jpg", response)
        assert CODER.decode(CODER.encode(result)) == result
        assert type(CODER.decode(CODER.encode(result)).response) is door.AnnotateImageResponse


def test_errors_come_back() -> None:
    """An error keeps its code, words, place and typed details; annotations beside it stay."""
    details = [ErrorInfo(reason="QUOTA", domain="vision")]
    error = ImageError(
        grpc.StatusCode.NOT_FOUND, "Error opening file: gs://photos/a.jpg.", index=7, uri="gs://photos/a.jpg", details=details
    )
    response = v1.AnnotateImageResponse(label_annotations=[v1.EntityAnnotation(description="cat")])
    found = CODER.decode(CODER.encode(ImageResult(7, "gs://photos/a.jpg", response, error)))
    assert found.response == response
    assert found.error is not None
    assert (found.error.code, found.error.message, found.error.index, found.error.uri) == (error.code, error.message, 7, error.uri)
    assert found.error.details == (details[0],)
    assert str(found.error) == str(error)


def test_a_detail_of_unknown_type_comes_back() -> None:
    """What nobody here can decode stays the Any that it came in."""
    from google.protobuf.any_pb2 import Any

    unknown = Any(type_url="type.googleapis.com/google.cloud.Unheard", value=b"\x08\x01")
    error = ImageError(3, "Bad image data.", index=0, uri="gs://b/a", details=[unknown])
    found = CODER.decode(CODER.encode(ImageResult(0, "gs://b/a", v1.AnnotateImageResponse(), error)))
    assert found.error is not None
    assert found.error.details == (unknown,)


def test_bytes_are_deterministic() -> None:
    """Equal results have equal bytes, also where a message holds a map's worth of fields set in another order."""
    first, second = v1.AnnotateImageResponse(), v1.AnnotateImageResponse()
    first.context.uri, first.label_annotations.add().score = "gs://b/a", 0.25
    second.label_annotations.add().score, second.context.uri = 0.25, "gs://b/a"
    assert CODER.is_deterministic()
    assert CODER.encode(ImageResult(1, "u", first)) == CODER.encode(ImageResult(1, "u", second))


def test_beam_uses_it() -> None:
    """Beam's registry gives ImageResults this coder, alone and inside of pairs, and accepts them as keys."""
    assert registry.get_coder(ImageResult) == CODER
    assert registry.get_coder(beam.typehints.Tuple[str, ImageResult]).is_deterministic()
    assert registry.get_coder(ImageResult).as_deterministic_coder("test") == CODER
    assert hash(CODER) == hash(ImageResultCoder())


def test_damaged_bytes_are_refused() -> None:
    """Bytes of something else raise instead of becoming a result."""
    with pytest.raises(Exception, match=r".+"):
        CODER.decode(b"\x00\x01\x02")
