"""google-cloud-vision's sync and async clients, unmodified and over TLS, against the embedded server.

They are given an endpoint and credentials and nothing else; what they show their users is what they would show of the service.
"""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import vision
from google.protobuf import json_format
from google.protobuf.any_pb2 import Any as PackedAny
from google.rpc import error_details_pb2
from google.rpc.status_pb2 import Status

from vision_grpc import Client, v1
from vision_grpc.emulator import Emulator, Fault, Tls
from vision_grpc.messages import to_dict

Official = Callable[..., dict[str, Any]]
Secure = Callable[..., Emulator]

PICTURES = ["gs://photos/a.png", "gs://photos/b.png", "gs://photos/none.png"]
SUBMIT = "AsyncBatchAnnotateImages"
VERSIONS = pytest.mark.parametrize("version", ["v1", "v1p4beta1"])

CLASSES = {
    "CANCELLED": "Cancelled",
    "UNKNOWN": "Unknown",
    "INVALID_ARGUMENT": "InvalidArgument",
    "DEADLINE_EXCEEDED": "DeadlineExceeded",
    "NOT_FOUND": "NotFound",
    "ALREADY_EXISTS": "AlreadyExists",
    "PERMISSION_DENIED": "PermissionDenied",
    "UNAUTHENTICATED": "Unauthenticated",
    "RESOURCE_EXHAUSTED": "ResourceExhausted",
    "FAILED_PRECONDITION": "FailedPrecondition",
    "ABORTED": "Aborted",
    "OUT_OF_RANGE": "OutOfRange",
    "UNIMPLEMENTED": "MethodNotImplemented",
    "INTERNAL": "InternalServerError",
    "UNAVAILABLE": "ServiceUnavailable",
    "DATA_LOSS": "DataLoss",
}
"""The class of google.api_core.exceptions for each code; 16 of them, as OK is none."""


def failed_class(code: str, flavour: str) -> str:
    """The class that their future raises for an operation that failed: google-api-core's async one knows no codes."""
    return CLASSES[code] if flavour == "sync" else "GoogleAPICallError"


def request(folder: str = "official", pictures: list[str] = PICTURES, **changes: Any) -> dict[str, Any]:
    """A request in JSON."""
    return {
        "requests": [
            {"image": {"source": {"imageUri": uri}}, "features": [{"type": "TEXT_DETECTION", "maxResults": 5}, {"type": "CROP_HINTS"}]}
            for uri in pictures
        ],
        "outputConfig": {"gcsDestination": {"uri": f"gs://out/{folder}/"}, "batchSize": 2},
        **changes,
    }


def operations_of(server: Emulator, certificate: Tls) -> list[str]:
    """The names of the operations that the server holds."""
    anonymous = AnonymousCredentials()  # type: ignore[no-untyped-call]
    with Client(endpoint=server.target, root_certificates=certificate.root, credentials=anonymous) as client:
        return [operation.name for operation in client.list_operations()]


@VERSIONS
def test_submit_and_wait(version: str, secure: Secure, official: Official, certificate: Tls, buckets: dict[str, Path]) -> None:
    """Their future ends in their response, and the objects are to the byte those that our client's request gives."""
    server = secure()
    answer = official(server, "run", version, request=request())
    assert answer["result"] == {"outputConfig": {"gcsDestination": {"uri": "gs://out/official/"}, "batchSize": 2}}
    assert answer["state"] == "DONE"
    assert answer["name"].startswith("projects/")
    submitted = server.calls[0]
    assert submitted.path == f"/google.cloud.vision.{version}.ImageAnnotator/AsyncBatchAnnotateImages"

    anonymous = AnonymousCredentials()  # type: ignore[no-untyped-call]
    with Client(endpoint=server.target, root_certificates=certificate.root, credentials=anonymous, version=version) as client:
        mine = type(submitted.message)()
        mine.CopyFrom(submitted.message)
        mine.output_config.gcs_destination.uri = "gs://out/ours/"
        ours = client.wait_operation(client.async_batch_annotate(mine))
    assert to_dict(ours) == {"outputConfig": {"gcsDestination": {"uri": "gs://out/ours/"}, "batchSize": 2}}

    def written(folder: str) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in (buckets["out"] / folder).iterdir()}

    assert written("official") == written("ours")
    assert sorted(written("ours")) == ["output-1-to-2.json", "output-3-to-3.json"]
    texts = [
        annotated.text_annotations[0].description if annotated.text_annotations else annotated.error.code
        for _, data in sorted(written("ours").items())
        for annotated in vision.BatchAnnotateImagesResponse.from_json(data.decode()).responses
    ]
    assert texts == ["an apple", "a bear", 5]


@VERSIONS
def test_cancel(version: str, secure: Secure, official: Official, flavour: str) -> None:
    """Their future's cancel() ends it as cancelled, in metadata and exception."""
    server = secure(faults=[Fault.stall()])
    answer = official(server, "cancel", version, request=request())
    assert answer["cancelled"] is True
    assert answer["state"] == "CANCELLED"
    assert answer["error"]["class"] == failed_class("CANCELLED", flavour)
    assert answer["error"]["message"]


def test_delete(secure: Secure, official: Official, certificate: Tls) -> None:
    """An operation deleted by their operations client is gone."""
    server = secure()
    answer = official(server, "delete", request=request())
    assert "error" not in answer
    assert operations_of(server, certificate) == []
    gone = official(server, "get", name=answer["name"])["error"]
    assert (gone["class"], gone["code"]) == ("NotFound", "NOT_FOUND")
    assert answer["name"] in gone["message"]


@pytest.mark.parametrize("code", CLASSES)
def test_every_code_has_its_class(code: str, secure: Secure, official: Official) -> None:
    """Each code reaches their user as the class of google.api_core, with the server's words, on submit and on get."""
    faults = [Fault.fail(method, grpc.StatusCode[code], "The server's own words.", times=None) for method in (SUBMIT, "GetOperation")]
    server = secure(faults=faults)
    for answer in (official(server, "submit", request=request(), retry="none"), official(server, "get", name="operations/1", retry="none")):
        error = answer["error"]
        assert (error["class"], error["code"]) == (CLASSES[code], code)
        assert error["message"] == "The server's own words."
        assert "GoogleAPICallError" in error["bases"]
    assert len(server.calls) == 2


def test_details_have_their_classes(secure: Secure, official: Official) -> None:
    """grpc-status-details-bin reaches their user typed."""
    details = [
        error_details_pb2.ErrorInfo(reason="RATE_LIMIT_EXCEEDED", domain="googleapis.com"),
        error_details_pb2.QuotaFailure(violations=[error_details_pb2.QuotaFailure.Violation(subject="project:1")]),
        error_details_pb2.Help(links=[error_details_pb2.Help.Link(url="https://cloud.google.com/vision/quotas")]),
    ]
    status = Status(code=8, message="Quota exceeded.")
    for detail in details:
        packed = PackedAny()
        packed.Pack(detail)
        status.details.append(packed)
    fault = Fault.fail(SUBMIT, grpc.StatusCode.RESOURCE_EXHAUSTED, "Quota exceeded.", status_details=status.SerializeToString())
    error = official(secure(faults=[fault]), "submit", request=request())["error"]
    assert error["details"] == ["ErrorInfo", "QuotaFailure", "Help"]
    assert error["reason"] == "RATE_LIMIT_EXCEEDED"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"requests": []}, "requests is empty"),
        ({"requests": request(pictures=PICTURES[:1] * 2001)["requests"]}, "2001"),
        ({"requests": [{"image": {"content": "eA=="}, "features": [{"type": "TEXT_DETECTION"}]}]}, "requests[0].image.content"),
        ({"requests": [{"image": {"source": {"imageUri": "http://a/b"}}, "features": [{"type": 5}]}]}, "http://a/b"),
        (
            {"requests": [{"image": {"content": "eA==", "source": {"imageUri": PICTURES[0]}}, "features": [{"type": 5}]}]},
            "Only one of image content and uri should be specified.",
        ),
        ({"requests": [{"image": {"source": {"imageUri": PICTURES[0]}}}]}, "Request must specify image and features."),
        ({"requests": [{"features": [{"type": "TEXT_DETECTION"}]}]}, "Request must specify image and features."),
        ({"outputConfig": {}}, "output_config.gcs_destination.uri is missing"),
        ({"outputConfig": {"gcsDestination": {"uri": "gs://out/"}, "batchSize": 101}}, "batch_size is 101"),
        ({"outputConfig": {"gcsDestination": {"uri": "out/"}}}, "is not a Cloud Storage URI"),
        ({"parent": "p"}, "parent 'p' is malformed"),
        ({"labels": {"Team": "maps"}}, "labels: key 'Team' is malformed"),
    ],
    ids=[
        "none",
        "2,001",
        "inline",
        "http",
        "both",
        "no features",
        "no image",
        "no output",
        "batch_size",
        "destination",
        "parent",
        "labels",
    ],
)
def test_bad_requests(changes: dict[str, Any], words: str, secure: Secure, official: Official, certificate: Tls) -> None:
    """What the service refuses reaches their user as InvalidArgument after a round trip, and no operation comes of it."""
    server = secure()
    error = official(server, "submit", request=request(**changes))["error"]
    assert error["class"] == "InvalidArgument"
    assert words in error["message"]
    assert operations_of(server, certificate) == []


def test_an_operation_that_ends_with_an_error(secure: Secure, official: Official, buckets: dict[str, Path], flavour: str) -> None:
    """Output that cannot be written: the submit succeeds, and their future raises with the service's words."""
    answer = official(secure(faults=[Fault.unwritable("out")]), "run", request=request())
    assert answer["error"]["class"] == failed_class("PERMISSION_DENIED", flavour)
    assert "Error writing final output to: gs://out/official/output-" in answer["error"]["message"]
    assert answer["state"] == "DONE"
    assert list(buckets["out"].rglob("*.json")) == []


@pytest.mark.parametrize("code", CLASSES)
def test_every_code_of_a_failed_operation(code: str, secure: Secure, official: Official, flavour: str) -> None:
    """Whatever code an operation ends with, their future raises with the service's words; only the sync one by the code's class."""
    answer = official(secure(faults=[Fault.fail_operation(grpc.StatusCode[code], "The service's own words.")]), "run", request=request())
    assert answer["error"]["class"] == failed_class(code, flavour)
    assert "GoogleAPICallError" in answer["error"]["bases"]
    assert "The service's own words." in answer["error"]["message"]


def test_image_errors_are_silent(secure: Secure, official: Official, buckets: dict[str, Path]) -> None:
    """An image that cannot be read: their future succeeds, and the error stands in the output object alone."""
    answer = official(secure(), "run", request=request(pictures=["gs://photos/none.png"]))
    assert "error" not in answer
    written = v1.BatchAnnotateImagesResponse()
    json_format.Parse((buckets["out"] / "official" / "output-1-to-1.json").read_text(), written)
    assert (written.responses[0].error.code, written.responses[0].error.message) == (5, "Error opening file: gs://photos/none.png")


def test_their_submit_is_repeated_blindly(secure: Secure, official: Official, certificate: Tls) -> None:
    """A server that accepts and then answers UNAVAILABLE twice ends with three operations; ours would raise after one."""
    server = secure(faults=[Fault.fail(SUBMIT, grpc.StatusCode.UNAVAILABLE, times=2, accepted=True)])
    answer = official(server, "submit", request=request())
    assert "error" not in answer
    assert len(operations_of(server, certificate)) == 3


@pytest.mark.parametrize("code", ["UNAVAILABLE", "DEADLINE_EXCEEDED"])
def test_their_submit_ends_in_retry_error(code: str, secure: Secure, official: Official) -> None:
    """What they repeat, and persists, ends in RetryError once their 600 seconds are over; here after four."""
    server = secure(faults=[Fault.fail(SUBMIT, grpc.StatusCode[code], "Try again.", times=None)])
    error = official(server, "submit", request=request(), retry=4.0)["error"]
    assert error["class"] == "RetryError"
    assert "Timeout" in error["message"]
    assert Counter(call.method for call in server.calls)[SUBMIT] > 1


def test_their_deadline(secure: Secure, official: Official, certificate: Tls) -> None:
    """A submit whose deadline passes is DeadlineExceeded to them, and the operation runs."""
    server = secure(faults=[Fault.hang(SUBMIT, times=None, accepted=True)])
    error = official(server, "submit", request=request(), retry="none", timeout=5)["error"]
    assert (error["class"], error["code"]) == ("DeadlineExceeded", "DEADLINE_EXCEEDED")
    assert len(operations_of(server, certificate)) == 1


def test_their_dropped_connection(secure: Secure, official: Official, certificate: Tls) -> None:
    """A connection that breaks after the submit was accepted is ServiceUnavailable to them, and the operation runs."""
    server = secure(faults=[Fault.drop(SUBMIT, accepted=True)])
    error = official(server, "submit", request=request(), retry="none")["error"]
    assert (error["class"], error["code"]) == ("ServiceUnavailable", "UNAVAILABLE")
    assert len(operations_of(server, certificate)) == 1


SURVIVED = {"sync": {"UNAVAILABLE", "DEADLINE_EXCEEDED"}, "async": {"INTERNAL", "RESOURCE_EXHAUSTED"}}
"""What google-api-core takes for passing: its two copies have drifted apart."""


@pytest.mark.parametrize("code", ["UNAVAILABLE", "INTERNAL", "ABORTED", "UNKNOWN", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED"])
def test_their_wait_and_a_bad_poll(code: str, secure: Secure, official: Official, flavour: str, certificate: Tls) -> None:
    """One poll that ends in most transient codes kills their wait for a healthy operation."""
    server = secure(faults=[Fault.fail("GetOperation", grpc.StatusCode[code], "Passing.")])
    answer = official(server, "run", request=request())
    if code in SURVIVED[flavour]:
        assert answer["state"] == "DONE"
    else:
        assert answer["error"]["class"] == CLASSES[code]
    assert len(operations_of(server, certificate)) == 1


def test_their_timeout(secure: Secure, official: Official, certificate: Tls) -> None:
    """Their future's own deadline is told as a timeout that names no operation."""
    server = secure(faults=[Fault.stall()])
    answer = official(server, "run", request=request(), wait=1)
    assert answer["error"]["class"] == "TimeoutError"
    assert answer["name"] not in answer["error"]["message"]
    assert operations_of(server, certificate) == [answer["name"]]
    server.faults.clear()
