"""Hostile input gets an answer in gRPC's terms: never a hang, a crash, or a file outside a bucket."""

import json
from pathlib import Path
from typing import Any

import grpc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vision_grpc import v1
from vision_grpc._gen.google.longrunning import operations_pb2 as pb
from vision_grpc.emulator.listing import filter_predicate, page_start, parent_predicate
from vision_grpc.emulator.refusal import Refused

from .raw import DOORS, Raw, batch

SUBMIT = "/google.cloud.vision.v1.ImageAnnotator/AsyncBatchAnnotateImages"
PATHS = [
    *(f"/google.cloud.vision.{version}.ImageAnnotator/BatchAnnotateImages" for version in DOORS),
    *(f"/google.cloud.vision.{version}.ImageAnnotator/AsyncBatchAnnotateImages" for version in DOORS),
    *(f"/google.longrunning.Operations/{verb}Operation" for verb in ("Get", "Wait", "Cancel", "Delete")),
    "/google.longrunning.Operations/ListOperations",
]
# One server serves all examples of a test: state that builds up over them is part of the attack.
FUZZ = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
# Wire tags of small field numbers, lengths and deep groups make bytes that get further than random ones.
WIRE = st.lists(
    st.one_of(st.binary(max_size=8), st.sampled_from([b"\x0a", b"\x12\x02", b"\x0b", b"\x0c", b"\xff" * 10, b"gs://pics/a.png"])),
    max_size=30,
).map(b"".join)


def code_of(raw: Raw, path: str, request: bytes, **options: Any) -> grpc.StatusCode:
    """The status of a call of any path with any bytes."""
    try:
        raw.bytes(path, request, **options)
    except grpc.RpcError as error:
        code = error.code()
        assert isinstance(code, grpc.StatusCode)
        return code
    return grpc.StatusCode.OK


@pytest.mark.parametrize("path", PATHS)
def test_malformed_protobuf_is_invalid(raw: Raw, path: str) -> None:
    """Bytes that are no message end in INVALID_ARGUMENT, for each method."""
    assert code_of(raw, path, b"\x0a\xff\xff\xff\xff\x0f") is grpc.StatusCode.INVALID_ARGUMENT


def test_unknown_methods_are_unimplemented(raw: Raw) -> None:
    """Paths that the server does not have, ProductSearch among them, end in UNIMPLEMENTED."""
    for path in (
        "/google.cloud.vision.v1.ProductSearch/ListProducts",
        "/google.cloud.vision.v2.ImageAnnotator/BatchAnnotateImages",
        "/a/b",
    ):
        assert code_of(raw, path, b"") is grpc.StatusCode.UNIMPLEMENTED


def test_deep_messages_are_invalid(raw: Raw) -> None:
    """Groups nested ten thousand deep end in INVALID_ARGUMENT."""
    assert code_of(raw, SUBMIT, b"\x7b" * 10_000 + b"\x7c" * 10_000) is grpc.StatusCode.INVALID_ARGUMENT


def test_huge_messages_are_refused(raw: Raw) -> None:
    """A message over the limit ends in RESOURCE_EXHAUSTED, also where it is small until it is decompressed."""
    huge = bytes(30 * 2**20)
    assert code_of(raw, SUBMIT, huge) is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert code_of(raw, SUBMIT, huge, compression=grpc.Compression.Gzip) is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert raw.submit(batch(["gs://pics/a.png"]), compression=grpc.Compression.Gzip).name


def test_long_names_are_answered_as_short_ones(raw: Raw) -> None:
    """A name of 12,000 characters, which also travels in the routing header, is looked for every time."""
    name = "operations/" + "x" * 12_000
    request = pb.GetOperationRequest(name=name).SerializeToString()
    for _ in range(20):
        code = code_of(raw, "/google.longrunning.Operations/GetOperation", request, metadata=[("x-goog-request-params", f"name={name}")])
        assert code is grpc.StatusCode.NOT_FOUND


def test_a_million_features_are_refused(raw: Raw) -> None:
    """So are a million images, and a million labels of one key are one label."""
    request = batch(["gs://pics/a.png"])
    request.requests[0].features.extend([v1.Feature(type=v1.Feature.Type.TEXT_DETECTION)] * 1_000_000)
    assert code_of(raw, SUBMIT, request.SerializeToString()) is grpc.StatusCode.INVALID_ARGUMENT
    assert code_of(raw, SUBMIT, b"\x0a\x00" * 1_000_000) is grpc.StatusCode.INVALID_ARGUMENT
    label = batch(["gs://pics/a.png"], labels={"k": "v"}).SerializeToString().removeprefix(batch(["gs://pics/a.png"]).SerializeToString())
    assert code_of(raw, SUBMIT, batch(["gs://pics/a.png"]).SerializeToString() + label * 1_000_000) is grpc.StatusCode.OK


def test_long_texts_fit_into_a_status(raw: Raw) -> None:
    """Names of 10,000 characters, of any script, come back shortened in a status that the client can read."""
    for text in ("x" * 10_000, "\N{SNOWMAN}" * 10_000, "\0" * 10_000, "\n" * 10_000):
        for request in (
            batch([text]),
            batch(["gs://pics/a.png"], text),
            batch(["gs://pics/a.png"], parent=text),
            batch(["gs://pics/a.png"], labels={text: text}),
        ):
            assert code_of(raw, SUBMIT, request.SerializeToString()) is grpc.StatusCode.INVALID_ARGUMENT
        assert code_of(raw, PATHS[-2], pb.DeleteOperationRequest(name=text).SerializeToString()) is grpc.StatusCode.NOT_FOUND


def test_a_shortened_name_says_so(raw: Raw) -> None:
    """Three dots stand after the part of a long name that is shown."""
    with pytest.raises(grpc.RpcError) as caught:
        raw.get("operations/" + "x" * 500)
    assert caught.value.details() == f"Operation 'operations/{'x' * 189}'... was not found."


@FUZZ
@given(path=st.sampled_from(PATHS), request=WIRE)
def test_fuzzed_bytes(raw: Raw, path: str, request: bytes) -> None:
    """Any bytes to any method get an answer that is not the server's own failure."""
    code = code_of(raw, path, request)
    assert code in (grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND, grpc.StatusCode.UNIMPLEMENTED)


PARTS = st.sampled_from(
    ["..", ".", "", "a.png", "in", "out", "way-out", "\0", "~", "%2e%2e", "C:", "x" * 300, "\N{SNOWMAN}", "e\u0301", "\n"]
)
NAMES = st.lists(PARTS, min_size=1, max_size=6).map("/".join)


@FUZZ
@given(name=NAMES, output=NAMES)
def test_fuzzed_names_stay_in_their_bucket(raw: Raw, tmp_path: Path, name: str, output: str) -> None:
    """Whatever an image or a destination is called, nothing outside the buckets is read or written."""
    secret = tmp_path / "secret"
    secret.mkdir(exist_ok=True)
    (secret / "a.png").write_text("secret")
    for bucket in ("in", "out"):
        link = tmp_path / bucket / "way-out"
        if not link.is_symlink():
            link.symlink_to(secret)
    operation = raw.wait(raw.submit(batch([f"gs://pics/{name}a", f"gs://pics/{name}/a.png"], f"gs://out/{output}")).name)
    assert operation.done
    assert operation.error.code in (0, 7)
    assert {path.name for path in tmp_path.iterdir()} == {"in", "out", "secret"}
    assert {path.name for path in secret.iterdir()} == {"a.png"}
    for path in (tmp_path / "out").rglob("*"):
        if path.is_file():
            assert "secret" not in path.read_text("utf-8")
            json.loads(path.read_text("utf-8"))


@FUZZ
@given(text=st.one_of(st.text(max_size=40), st.text('done=truefalsAND metadata.stRUNIG!"', max_size=40)))
def test_fuzzed_listing(text: str) -> None:
    """A filter, a token or a parent is understood or refused, whatever it holds."""
    for parse in (filter_predicate, parent_predicate, lambda token: page_start("", "", token)):
        refusal = None
        try:
            parse(text)
        except Refused as refused:
            refusal = refused
        if refusal:
            assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
            assert refusal.message.isascii()
            assert len(refusal.message) < 2_000
