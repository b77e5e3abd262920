"""The errors of `vision_grpc.errors`: their tree, their words, their attributes, and that they travel between processes."""

import copy
import pickle
from dataclasses import replace

import grpc
import pytest
from google.protobuf.any_pb2 import Any as PackedAny
from google.protobuf.message import Message
from google.rpc import error_details_pb2
from google.rpc.status_pb2 import Status

from vision_grpc import errors, v1
from vision_grpc.job import Unsettled

INFO = error_details_pb2.ErrorInfo(reason="SERVICE_DISABLED", domain="googleapis.com", metadata={"service": "vision.googleapis.com"})
POLL = errors.CallError(method="GetOperation", code=grpc.StatusCode.UNAVAILABLE, message="try later", details=[INFO], attempts=3)
LOST = Unsettled(request=2, first=4, images=4, destination="gs://out/2/", operation=None, sent=1e9, reason="reply lost")
METADATA = v1.OperationMetadata(state=v1.OperationMetadata.State.RUNNING)

EXAMPLES: list[errors.VisionError] = [
    errors.VisionError("anything"),
    errors.ConfigError("version must be v1, not 'v9'"),
    errors.AuthError("no credentials", transient=True),
    POLL,
    errors.OperationFailed(
        name="operations/1", code=grpc.StatusCode.PERMISSION_DENIED, message="Error writing", details=[INFO], metadata=METADATA
    ),
    errors.WaitTimeout(names=["operations/1", "operations/2"], timeout=1.5, metadata=METADATA, last_error=POLL),
    errors.ImageError(7, "Error opening file: gs://photos/a.png", index=4, uri="gs://photos/a.png", details=[INFO]),
    errors.ResultsError("cut off", uri="gs://out/output-1-to-1.json"),
    errors.JobIncomplete(unknown=[LOST], unreadable=[replace(LOST, request=3, destination="gs://out/3/")]),
    errors.LedgerError("held by process 7"),
]


def test_every_error_has_an_example_here() -> None:
    """The examples below leave out no error of the family."""
    assert {type(error).__name__ for error in EXAMPLES} == set(errors.__all__)


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize(
    "travel", [lambda error: pickle.loads(pickle.dumps(error)), copy.copy, copy.deepcopy], ids=["pickle", "copy", "deepcopy"]
)
def test_errors_travel(error: errors.VisionError, travel: object) -> None:
    """An error keeps its type, its words and every attribute through pickle and copy."""
    again = travel(error)  # type: ignore[operator]
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert vars(again).keys() == vars(error).keys()
    for name, value in vars(error).items():
        assert str(getattr(again, name)) == str(value)


def test_the_family_is_its_own() -> None:
    """No error is a grpc.RpcError; those that stand for a builtin's kind of mistake can be caught as that builtin."""
    for error in EXAMPLES:
        assert isinstance(error, errors.VisionError)
        assert not isinstance(error, grpc.RpcError)
    assert issubclass(errors.ConfigError, ValueError)
    assert issubclass(errors.WaitTimeout, TimeoutError)


@pytest.mark.parametrize("code", list(grpc.StatusCode), ids=lambda code: code.name)
def test_codes_and_their_numbers(code: grpc.StatusCode) -> None:
    """Each number of google.rpc.Status is the gRPC code of the same name."""
    assert errors.status_code(code.value[0]) is code


@pytest.mark.parametrize("number", [-1, 17, 400])
def test_a_number_that_grpc_does_not_define(number: int) -> None:
    """A code that gRPC does not define is UNKNOWN."""
    assert errors.status_code(number) is grpc.StatusCode.UNKNOWN


@pytest.mark.parametrize("code", [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK], ids=lambda code: code.name)
def test_which_codes_may_pass(code: grpc.StatusCode) -> None:
    """Another try may help after six codes, and after no other."""
    passing = {"UNAVAILABLE", "INTERNAL", "ABORTED", "UNKNOWN", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED"}
    assert errors.CallError(method="GetOperation", code=code, message="").transient is (code.name in passing)


def test_call_error_words() -> None:
    """A CallError tells method, code, the server's words, the attempts, and that the request may have been accepted."""
    error = errors.CallError(
        method="AsyncBatchAnnotateImages", code=grpc.StatusCode.UNAVAILABLE, message="try later", attempts=2, ambiguous=True
    )
    assert str(error) == (
        "AsyncBatchAnnotateImages failed with UNAVAILABLE: try later (after 2 attempts) "
        "(the service may have accepted the request: make sure that it did not before sending it again)"
    )
    assert "gave no words" in str(errors.CallError(method="GetOperation", code=grpc.StatusCode.UNKNOWN, message=""))


def test_wait_timeout_words() -> None:
    """A WaitTimeout tells how to resume, and what the last poll said."""
    one = errors.WaitTimeout(names=["operations/1"], timeout=60.0, last_error=POLL)
    assert "wait_operation('operations/1')" in str(one)
    assert "try later" in str(one)
    several = errors.WaitTimeout(names=["operations/1", "operations/2"], timeout=60.0)
    assert "2 operations" in str(several)
    assert "wait_operations(error.names)" in str(several)
    assert (several.name, several.names) == ("operations/1", ("operations/1", "operations/2"))


def test_image_error_takes_a_status_code_by_number() -> None:
    """The code of an image's google.rpc.Status, a number, becomes the gRPC code."""
    error = errors.ImageError(3, "Bad image data.", index=0, uri="gs://photos/a.png")
    assert error.code is grpc.StatusCode.INVALID_ARGUMENT
    assert str(error) == "image 0 (gs://photos/a.png): INVALID_ARGUMENT: Bad image data."


def packed(detail: Message) -> PackedAny:
    """The detail as an Any."""
    wrapper = PackedAny()
    wrapper.Pack(detail)
    return wrapper


def test_details_are_typed() -> None:
    """The details of google.rpc come back as the classes of error_details_pb2, in order."""
    details = [
        INFO,
        error_details_pb2.QuotaFailure(violations=[error_details_pb2.QuotaFailure.Violation(subject="project:1", description="too many")]),
        error_details_pb2.BadRequest(field_violations=[error_details_pb2.BadRequest.FieldViolation(field="requests", description="empty")]),
        error_details_pb2.RetryInfo(retry_delay={"seconds": 3}),
        error_details_pb2.Help(links=[error_details_pb2.Help.Link(url="https://cloud.google.com/vision/quotas")]),
        error_details_pb2.LocalizedMessage(locale="de", message="zu viel"),
    ]
    assert errors.status_details(Status(details=[packed(detail) for detail in details])) == tuple(details)


@pytest.mark.parametrize(
    "strange",
    [
        PackedAny(type_url="type.googleapis.com/google.cloud.vision.v1.Image", value=b""),
        PackedAny(type_url="type.googleapis.com/google.rpc.NewKindOfDetail", value=b"\x0a\x01x"),
        PackedAny(type_url="type.googleapis.com/google.rpc.DESCRIPTOR", value=b""),
        PackedAny(type_url="type.googleapis.com/google.rpc.RetryInfo", value=b"\xff\xff"),
        PackedAny(type_url="", value=b"x"),
    ],
    ids=["another package", "unknown", "no message", "damaged", "nameless"],
)
def test_strange_details_stay_packed(strange: PackedAny) -> None:
    """A detail that cannot be read stays the Any it came in, and does not hide the others."""
    assert errors.status_details(Status(details=[strange, packed(INFO)])) == (strange, INFO)
