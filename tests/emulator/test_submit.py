"""AsyncBatchAnnotateImages from acceptance to the output objects, line by line of the contract."""

import json
import re
import threading
from pathlib import Path
from typing import Any

import grpc
import pytest

from vision_grpc import v1
from vision_grpc.emulator import Emulator, VirtualClock

from .conftest import Connect, Serve, spell
from .raw import DOORS, OPERATION_TYPES, Raw, State, batch, image, metadata_of


def shards(directory: Path) -> dict[str, Any]:
    """The output objects by name."""
    return {path.name: json.loads(path.read_text("utf-8")) for path in directory.rglob("*") if path.is_file()}


def test_first_reply_is_the_name_alone(raw: Raw) -> None:
    """The reply to a submit holds projects/P/operations/ and 16 hex digits, no metadata, no result."""
    operation = raw.submit(batch(["gs://pics/a.png"], parent="projects/p"))
    assert re.fullmatch(r"projects/p/operations/[0-9a-f]{16}", operation.name)
    assert operation == v1.Operation(name=operation.name)


@pytest.mark.parametrize(
    ("parent", "place"),
    [("", "projects/[^/]+/"), ("projects/p", "projects/p/"), ("projects/p/locations/eu", "projects/p/locations/eu/")],
)
def test_parent_decides_the_name(raw: Raw, parent: str, place: str) -> None:
    """The operation lies in the project and location that the request names."""
    assert re.fullmatch(place + "operations/[0-9a-f]{16}", raw.submit(batch(["gs://pics/a.png"], parent=parent)).name)


@pytest.mark.parametrize("version", DOORS)
def test_versions_share_one_implementation(raw: Raw, outputs: Path, version: str) -> None:
    """Each version's request is served, and its operation names the types that the version publishes."""
    request = DOORS[version].AsyncBatchAnnotateImagesRequest.FromString(batch(["gs://pics/a.png"], size=7).SerializeToString())
    operation = raw.wait(raw.submit(request, version).name)
    types = OPERATION_TYPES[version]
    metadata, response = types.OperationMetadata(), types.AsyncBatchAnnotateImagesResponse()
    assert operation.metadata.Unpack(metadata)
    assert operation.response.Unpack(response)
    assert metadata.state == State.DONE
    assert response.output_config.gcs_destination.uri == "gs://out/"
    assert response.output_config.batch_size == 7
    assert list(shards(outputs)) == ["output-1-to-1.json"]


def test_v1p4beta1_has_no_parent(raw: Raw) -> None:
    """A parent smuggled into v1p4beta1, which has no such field, is ignored as any unknown field."""
    request = batch(["gs://pics/a.png"], parent="projects/p")
    assert not raw.submit(request, "v1p4beta1").name.startswith("projects/p/")


def test_life_of_an_operation(serve: Serve, connect: Connect) -> None:
    """RUNNING with both times, then DONE with a later update time and a response that echoes the output config."""
    clock = VirtualClock(start=1_700_000_000)
    raw = connect(serve(clock=clock, operation_seconds=3600))
    name = raw.submit(batch(["gs://pics/a.png"], "gs://out/run/")).name
    operation = raw.get(name)
    metadata = metadata_of(operation)
    assert not operation.done
    assert not operation.WhichOneof("result")
    assert (metadata.state, metadata.create_time.seconds, metadata.update_time.seconds) == (State.RUNNING, 1_700_000_000, 1_700_000_000)
    clock.advance(3600)
    operation = raw.wait(name)
    metadata = metadata_of(operation)
    assert operation.done
    assert (metadata.state, metadata.create_time.seconds, metadata.update_time.seconds) == (State.DONE, 1_700_000_000, 1_700_003_600)
    response = v1.AsyncBatchAnnotateImagesResponse()
    assert operation.response.Unpack(response)
    assert response.output_config.gcs_destination.uri == "gs://out/run/"
    assert response.output_config.batch_size == 20, "an unset batch size is made explicit"


def test_output_names_are_prefix_and_numbers(raw: Raw, outputs: Path) -> None:
    """The destination is a plain prefix; numbers count from 1 and include both ends; the last shard may be short."""
    raw.wait(raw.submit(batch(["gs://pics/a.png"] * 3, "gs://out/run7-", 2)).name)
    assert sorted(path.name for path in outputs.iterdir()) == ["run7-output-1-to-2.json", "run7-output-3-to-3.json"]


def test_default_batch_size_is_20(raw: Raw, outputs: Path) -> None:
    """Without a batch size a shard holds 20 responses."""
    raw.wait(raw.submit(batch(["gs://pics/a.png"] * 21)).name)
    assert set(shards(outputs)) == {"output-1-to-20.json", "output-21-to-21.json"}


def test_output_is_proto3_json(serve: Serve, connect: Connect, outputs: Path) -> None:
    """Lower camel case, enums by name, defaults left out, keys in the order of field numbers, UTF-8 as it is."""

    def annotate(content: bytes, request: bytes) -> bytes:
        response = v1.AnnotateImageResponse(text_annotations=[v1.EntityAnnotation(description="é")])
        response.safe_search_annotation.adult = v1.Likelihood.VERY_UNLIKELY
        response.face_annotations.add().bounding_poly.vertices.extend([v1.Vertex(), v1.Vertex(x=1)])
        return response.SerializeToString()

    raw = connect(serve(annotator=annotate))
    raw.wait(raw.submit(batch(["gs://pics/a.png"])).name)
    text = (outputs / "output-1-to-1.json").read_text("utf-8")
    assert list(json.loads(text)["responses"][0].items()) == [
        ("faceAnnotations", [{"boundingPoly": {"vertices": [{}, {"x": 1}]}}]),
        ("textAnnotations", [{"description": "é"}]),
        ("safeSearchAnnotation", {"adult": "VERY_UNLIKELY"}),
        ("context", {"uri": "gs://pics/a.png"}),
    ]
    assert "é" in text


def test_responses_keep_the_order_and_carry_their_uri(raw: Raw, inputs: Path, outputs: Path) -> None:
    """Responses lie in the order of the request, over all shards, each with the URI of its image."""
    names = [f"{number}.png" for number in range(45)]
    for name in names:
        (inputs / name).write_text(name)
    raw.wait(raw.submit(batch([f"gs://pics/{name}" for name in names], size=20)).name)
    found = shards(outputs)
    responses = [r for name in ("output-1-to-20.json", "output-21-to-40.json", "output-41-to-45.json") for r in found[name]["responses"]]
    assert [(r["textAnnotations"][0]["description"], r["context"]["uri"]) for r in responses] == [(n, f"gs://pics/{n}") for n in names]


def test_an_existing_object_is_overwritten(raw: Raw, outputs: Path) -> None:
    """A second run on the same destination replaces its objects."""
    (outputs / "output-1-to-1.json").write_text("old")
    raw.wait(raw.submit(batch(["gs://pics/a.png"])).name)
    assert "responses" in shards(outputs)["output-1-to-1.json"]


def test_image_uri_wins_over_gcs_image_uri(raw: Raw, inputs: Path, outputs: Path) -> None:
    """Where both URIs are given, the newer field counts; alone, the older one does."""
    (inputs / "b.png").write_bytes(b"b")
    request = batch(["gs://pics/a.png", "gs://pics/a.png"])
    request.requests[0].image.source.gcs_image_uri = "gs://pics/b.png"
    request.requests[1].image.source.ClearField("image_uri")
    request.requests[1].image.source.gcs_image_uri = "gs://pics/b.png"
    raw.wait(raw.submit(request).name)
    assert [r["context"]["uri"] for r in shards(outputs)["output-1-to-2.json"]["responses"]] == ["gs://pics/a.png", "gs://pics/b.png"]


def test_unreadable_inputs_are_errors_of_their_images(raw: Raw, inputs: Path, outputs: Path) -> None:
    """Missing: code 5; another bucket, a way out of the bucket, a generation: an error too; the operation succeeds."""
    (inputs / "way-out").symlink_to("/etc")
    uris = [
        "gs://pics/a.png", "gs://pics/none.png", "gs://nowhere/a.png", "gs://pics/../in/a.png", "gs://pics//etc/passwd",
        "gs://pics/way-out/passwd", "gs://pics/a\0.png", "gs://pics/" + "x" * 10_000, "gs://pics/a.png#1234",
    ]  # fmt: skip
    operation = raw.wait(raw.submit(batch(uris)).name)
    assert operation.WhichOneof("result") == "response"
    responses = shards(outputs)[f"output-1-to-{len(uris)}.json"]["responses"]
    assert "error" not in responses[0]
    assert [r["error"]["message"] for r in responses[1:]] == [f"Error opening file: {uri}" for uri in uris[1:]]
    assert [r["error"]["code"] for r in responses[1:]] == [5, 5, 7, 7, 7, 7, 7, 5]


def test_a_file_over_20_mb_is_refused_unread(serve: Serve, connect: Connect, inputs: Path, outputs: Path) -> None:
    """An object over the limit gets code 3 without its bytes being handed to the annotator."""
    with (inputs / "big.png").open("wb") as file:
        file.truncate(20 * 2**20 + 1)
    seen: list[int] = []

    def annotate(content: bytes, request: bytes) -> bytes:
        seen.append(len(content))
        return spell(content, request)

    raw = connect(serve(annotator=annotate))
    raw.wait(raw.submit(batch(["gs://pics/big.png", "gs://pics/a.png"])).name)
    first = shards(outputs)["output-1-to-2.json"]["responses"][0]
    assert first["error"]["code"] == 3
    assert first["error"]["message"].startswith("Image too large.")
    assert seen == [1]


@pytest.mark.parametrize("destination", ["gs://nowhere/run/", "gs://out/../out/", "gs://out//etc/", "gs://pics/a.png/"])
def test_unwritable_output_fails_the_operation(raw: Raw, outputs: Path, destination: str) -> None:
    """The RPC succeeds and the operation ends with code 7, in state DONE, naming the object."""
    operation = raw.wait(raw.submit(batch(["gs://pics/a.png"], destination)).name)
    assert operation.done
    assert operation.error.code == 7
    assert operation.error.message == f"Error writing final output to: {destination}output-1-to-1.json"
    assert metadata_of(operation).state == State.DONE
    assert shards(outputs) == {}


def test_an_annotator_that_raises_costs_one_image(serve: Serve, connect: Connect, inputs: Path, outputs: Path) -> None:
    """A failure inside the annotator, or an answer of it that is no message, is that image's error and no other's."""

    def annotate(content: bytes, request: bytes) -> bytes:
        if content == b"raise":
            raise MemoryError
        return b"\xff" if content == b"garbage" else spell(content, request)

    for content in ("raise", "garbage"):
        (inputs / content).write_text(content)
    raw = connect(serve(annotator=annotate))
    raw.wait(raw.submit(batch(["gs://pics/raise", "gs://pics/garbage", "gs://pics/a.png"])).name)
    responses = shards(outputs)["output-1-to-3.json"]["responses"]
    assert [r.get("error", {}).get("code") for r in responses] == [13, 13, None]


def test_annotators_get_features_and_context_but_no_image(serve: Serve, connect: Connect) -> None:
    """The request that an annotator sees has the features and the image context; the image's bytes come beside it."""
    seen: list[tuple[bytes, v1.AnnotateImageRequest]] = []

    def annotate(content: bytes, request: bytes) -> bytes:
        seen.append((content, v1.AnnotateImageRequest.FromString(request)))
        return b""

    raw = connect(serve(annotator=annotate))
    request = batch(["gs://pics/a.png"])
    request.requests[0].features[0].max_results = 3
    request.requests[0].image_context.language_hints.append("en")
    raw.wait(raw.submit(request).name)
    expected = v1.AnnotateImageRequest(features=request.requests[0].features, image_context=request.requests[0].image_context)
    assert seen == [(b"a", expected)]


def test_images_are_annotated_on_all_cores_off_the_loop(serve: Serve, connect: Connect) -> None:
    """As many images as workers are in the annotator at once, and the server answers meanwhile."""
    together, answered = threading.Barrier(4), threading.Event()

    def annotate(content: bytes, request: bytes) -> bytes:
        together.wait(timeout=60)
        assert answered.wait(timeout=60)
        return b""

    raw = connect(serve(annotator=annotate, workers=3))
    name = raw.submit(batch(["gs://pics/a.png"] * 3)).name
    together.wait(timeout=60)
    assert not raw.get(name).done
    answered.set()
    assert raw.wait(name).WhichOneof("result") == "response"


def test_batch_annotate_images_answers_at_once(raw: Raw) -> None:
    """The synchronous method takes inline content and gs:// URIs, keeps order, and names failures image by image."""
    request = v1.BatchAnnotateImagesRequest(
        requests=[image("", content=b"inline"), image("gs://pics/a.png"), image("gs://pics/none"), image("http://127.0.0.1:9/x.png")]
    )
    for version in DOORS:
        response = v1.BatchAnnotateImagesResponse.FromString(raw.call(version, "BatchAnnotateImages", request))
        texts = [r.text_annotations[0].description if r.text_annotations else "" for r in response.responses]
        assert texts == ["inline", "a", "", ""]
        assert [r.error.code for r in response.responses] == [0, 0, 5, 7]
        assert response.responses[2].error.message == "Error opening file: gs://pics/none"


@pytest.mark.parametrize("method", ["BatchAnnotateFiles", "AsyncBatchAnnotateFiles"])
def test_files_are_unimplemented_in_words(raw: Raw, method: str) -> None:
    """The two file methods say that they are not served, and the way out."""
    with pytest.raises(grpc.RpcError) as caught:
        raw.call("v1", method, v1.BatchAnnotateFilesRequest())
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert "images" in (caught.value.details() or "")


def test_quota_queues_the_excess(serve: Serve, connect: Connect) -> None:
    """Images beyond the quota wait in state CREATED and run when there is room; nothing is rejected."""
    clock = VirtualClock()
    raw = connect(serve(clock=clock, operation_seconds=10, max_images_processing=5))
    first, second, third = (raw.submit(batch(["gs://pics/a.png"] * 3, f"gs://out/{n}/")).name for n in range(3))
    states = [metadata_of(raw.get(name)).state for name in (first, second, third)]
    assert states == [State.RUNNING, State.CREATED, State.CREATED]
    clock.advance(10)
    assert raw.wait(first).done
    clock.advance(10)
    assert raw.wait(second).done
    clock.advance(10)
    assert raw.wait(third).done


def test_an_operation_larger_than_the_quota_runs_alone(serve: Serve, connect: Connect) -> None:
    """A quota below one request's size does not hold it for ever."""
    raw = connect(serve(max_images_processing=2))
    assert raw.wait(raw.submit(batch(["gs://pics/a.png"] * 3)).name).done


def test_calls_are_recorded(server: Emulator, raw: Raw) -> None:
    """Method, message, metadata and time of each call can be read back, in the version that it came in."""
    request = batch(["gs://pics/a.png"], labels={"team": "maps"})
    name = raw.submit(request, metadata=(("x-goog-request-params", "parent=p"), ("authorization", "Bearer secret"))).name
    raw.wait(name)
    submit, wait = server.calls
    assert (submit.method, submit.path) == ("AsyncBatchAnnotateImages", "/google.cloud.vision.v1.ImageAnnotator/AsyncBatchAnnotateImages")
    assert submit.message == request
    assert ("x-goog-request-params", "parent=p") in submit.metadata
    assert ("authorization", "Bearer secret") in submit.metadata
    assert "secret" not in repr(submit)
    assert (wait.method, wait.message.name) == ("WaitOperation", name)
    assert submit.time <= wait.time


def test_recorded_calls_are_bounded(serve: Serve, connect: Connect) -> None:
    """The log keeps the last calls up to its limit; record=False keeps none."""
    server = serve(record=2)
    raw = connect(server)
    name = raw.submit(batch(["gs://pics/a.png"])).name
    raw.wait(name)
    raw.get(name)
    assert [call.method for call in server.calls] == ["WaitOperation", "GetOperation"]
    silent = serve(record=False)
    connect(silent).submit(batch(["gs://pics/a.png"], "gs://out/2/"))
    assert silent.calls == []
