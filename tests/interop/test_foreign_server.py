"""Our clients against a server of google-cloud-vision's message types and googleapis-common-protos, which shares no code with ours."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.cloud import vision
from google.longrunning import operations_pb2
from google.rpc import error_details_pb2

from vision_grpc import CallError, Client, OperationFailed, image_requests, operation_metadata, v1, v1p4beta1

MakeClient = Callable[..., Client]

REQUESTS = image_requests(["gs://photos/a.png", "gs://photos/ä.png"], ["text", "faces"], {"language_hints": ["de"]})
OUT = "gs://out/run/"


@pytest.fixture(scope="module")
def accepted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the server writes the requests that it accepts."""
    return tmp_path_factory.mktemp("accepted")


@pytest.fixture(scope="module")
def foreign(accepted: Path) -> Iterator[str]:
    """The server's address."""
    program = Path(__file__).with_name("foreign_server.py")
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", str(program), str(accepted)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield f"127.0.0.1:{process.stdout.readline().strip()}"
        process.stdin.close()
        assert process.wait(timeout=60) == 0


def last(accepted: Path) -> str:
    """The request accepted last, as JSON."""
    return max(accepted.iterdir(), key=lambda path: int(path.stem)).read_text()


@pytest.mark.parametrize("version", ["v1", "v1p4beta1"])
def test_submit_and_wait(version: str, foreign: str, make_client: MakeClient, accepted: Path) -> None:
    """The request arrives as they read it, and their operation, metadata and response are read as they meant them."""
    client = make_client(emulator=foreign, version=version)
    operation = client.async_batch_annotate(REQUESTS, v1.OutputConfig(gcs_destination={"uri": OUT}, batch_size=7))
    read = vision.AsyncBatchAnnotateImagesRequest.from_json(last(accepted))
    assert [one.image.source.image_uri for one in read.requests] == ["gs://photos/a.png", "gs://photos/ä.png"]
    assert [one.type_ for one in read.requests[0].features] == [vision.Feature.Type.TEXT_DETECTION, vision.Feature.Type.FACE_DETECTION]
    assert list(read.requests[1].image_context.language_hints) == ["de"]
    assert (read.output_config.gcs_destination.uri, read.output_config.batch_size) == (OUT, 7)

    door = v1p4beta1 if version == "v1p4beta1" else v1
    seen: list[Any] = []
    response = client.wait_operation(operation, on_progress=seen.append)
    assert response == door.AsyncBatchAnnotateImagesResponse(output_config={"gcs_destination": {"uri": OUT}, "batch_size": 7})
    assert [type(metadata) for metadata in seen] == [door.OperationMetadata] * 2
    assert [metadata.state for metadata in seen] == [door.OperationMetadata.State.RUNNING, door.OperationMetadata.State.DONE]
    assert seen[0].create_time.ToJsonString() == "2026-01-02T03:04:05Z"


def test_parent_and_labels(foreign: str, make_client: MakeClient, accepted: Path) -> None:
    """Parent and labels arrive in the fields where they look for them."""
    make_client(emulator=foreign).async_batch_annotate(REQUESTS, OUT, parent="projects/p/locations/eu", labels={"team": "maps"})
    read = json.loads(last(accepted))
    assert (read["parent"], read["labels"]) == ("projects/p/locations/eu", {"team": "maps"})


def test_their_operations(foreign: str, make_client: MakeClient) -> None:
    """List, get, cancel, delete, and waiting for many, with their Operation messages as arguments too."""
    client = make_client(emulator=foreign)
    project = f"projects/{type(client).__name__}"
    names = [client.async_batch_annotate(REQUESTS, OUT, parent=project).name for _ in range(5)]
    assert [operation.name for operation in client.list_operations(project, page_size=2)] == names
    theirs = operations_pb2.Operation.FromString(client.get_operation(names[0]).SerializeToString())
    metadata = operation_metadata(theirs)
    assert metadata is not None
    assert metadata.state == v1.OperationMetadata.State.RUNNING
    assert client.wait_operation(theirs).output_config.gcs_destination.uri == OUT

    client.cancel_operation(names[1])
    with pytest.raises(OperationFailed) as caught:
        client.wait_operation(names[1])
    assert (caught.value.code, caught.value.message) == (grpc.StatusCode.CANCELLED, "Cancelled by its user.")
    assert caught.value.details == (error_details_pb2.Help(),)

    client.delete_operation(names[0])
    outcomes = dict(client.wait_operations([*names, theirs]))
    missing, cancelled = outcomes.pop(names[0]), outcomes.pop(names[1])
    assert isinstance(missing, CallError)
    assert (missing.code, missing.message) == (grpc.StatusCode.NOT_FOUND, f"Unknown: {names[0]}")
    assert isinstance(cancelled, OperationFailed)
    assert {type(outcome) for outcome in outcomes.values()} == {v1.AsyncBatchAnnotateImagesResponse}


@pytest.mark.parametrize("code", [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK], ids=lambda code: code.name)
def test_their_errors(code: grpc.StatusCode, foreign: str, make_client: MakeClient) -> None:
    """Errors made by grpcio-status arrive with code, words and typed details, and are ambiguous where they must be."""
    with pytest.raises(CallError) as caught:
        make_client(emulator=foreign).async_batch_annotate(REQUESTS, OUT, parent=f"projects/{code.name}")
    error = caught.value
    assert (error.code, error.message) == (code, f"Refused: {code.name}.")
    assert [type(detail).__name__ for detail in error.details] == ["ErrorInfo", "RetryInfo", "BadRequest"]
    assert error.details[0] == error_details_pb2.ErrorInfo(reason=code.name, domain="example.com")
    maybe = {"CANCELLED", "UNKNOWN", "DEADLINE_EXCEEDED", "ABORTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"}
    assert error.ambiguous is (code.name in maybe)


def test_batch_annotate_images(foreign: str, make_client: MakeClient) -> None:
    """The synchronous method works with them as well."""
    request = v1.AnnotateImageRequest(image={"content": b"inline"}, features=[{"type": "TEXT_DETECTION"}])
    response = make_client(emulator=foreign).batch_annotate_images([request])
    assert response.responses[0].text_annotations[0].description == "inline"
