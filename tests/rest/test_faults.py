"""Faults are those of the gRPC side, in HTTP's terms."""

import http.client
import threading
from collections.abc import Callable

import grpc
import pytest
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2

from tests.until import until
from vision_grpc.emulator import Emulator, Fault, VirtualClock

from .conftest import Http, batch

SUBMIT = "/v1/images:asyncBatchAnnotate"
METHOD = "AsyncBatchAnnotateImages"
Connect = Callable[..., Http]
# https://cloud.google.com/apis/design/errors
PUBLISHED = {
    "CANCELLED": 499, "UNKNOWN": 500, "INVALID_ARGUMENT": 400, "DEADLINE_EXCEEDED": 504, "NOT_FOUND": 404, "ALREADY_EXISTS": 409,
    "PERMISSION_DENIED": 403, "UNAUTHENTICATED": 401, "RESOURCE_EXHAUSTED": 429, "FAILED_PRECONDITION": 400, "ABORTED": 409,
    "OUT_OF_RANGE": 400, "UNIMPLEMENTED": 501, "INTERNAL": 500, "UNAVAILABLE": 503, "DATA_LOSS": 500,
}  # fmt: skip


def test_every_code_has_its_http_status(server: Emulator, http_: Http) -> None:
    """Each of the 16 codes reaches the caller with its published HTTP status, its name and its words; nothing is accepted."""
    for name, status in PUBLISHED.items():
        server.faults.add(Fault.fail(METHOD, grpc.StatusCode[name], "out of order"))
        reply = http_.post(SUBMIT, batch())
        assert reply.status == status
        assert reply.json == {"error": {"code": status, "message": "out of order", "status": name}}
    assert http_.get("/v1/operations").json == {}
    assert len(PUBLISHED) == len(grpc.StatusCode) - 1


def test_details_are_told(server: Emulator, http_: Http) -> None:
    """The details of a scripted google.rpc.Status are JSON by their types; of an unknown type the bytes are told."""
    status = status_pb2.Status(code=8)
    info = error_details_pb2.ErrorInfo(reason="RATE_LIMIT_EXCEEDED", domain="googleapis.com")
    status.details.add().Pack(info)
    status.details.append(any_pb2.Any(type_url="type.googleapis.com/no.such.Type", value=b"\x01"))
    server.faults.add(
        Fault.fail(METHOD, grpc.StatusCode.RESOURCE_EXHAUSTED, "slow down", status_details=status.SerializeToString(), times=2)
    )
    error = http_.post(SUBMIT, batch()).error
    assert (error["code"], error["message"], error["status"]) == (429, "slow down", "RESOURCE_EXHAUSTED")
    assert error["details"] == [
        {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "RATE_LIMIT_EXCEEDED", "domain": "googleapis.com"},
        {"@type": "type.googleapis.com/no.such.Type", "value": "AQ=="},
    ]
    as_proto = status_pb2.Status.FromString(http_.post(f"{SUBMIT}?alt=proto", batch()).body)
    assert (as_proto.code, as_proto.message, len(as_proto.details)) == (8, "slow down", 2)


@pytest.mark.parametrize("accepted", [False, True])
def test_drop(server: Emulator, connect: Connect, accepted: bool) -> None:
    """The connection is cut instead of a reply, before or after the work; other connections live on."""
    server.faults.add(Fault.drop(METHOD, accepted=accepted))
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        connect(server).post(SUBMIT, batch())
    assert len(connect(server).get("/v1/operations").json.get("operations", [])) == accepted


def test_hang_ends_with_the_client(server: Emulator, connect: Connect) -> None:
    """A call without a reply is over when its client leaves, and the server can still be stopped at once."""
    server.faults.add(Fault.hang("GetOperation"))
    http_ = connect(server)
    http_.connection.timeout = 0.2
    with pytest.raises(TimeoutError):
        http_.get("/v1/operations/x")
    http_.connection.close()
    assert connect(server).get("/v1/operations").status == 200


def test_delay(serve: Callable[..., Emulator], connect: Connect) -> None:
    """A delayed reply comes when the server's clock says so."""
    clock = VirtualClock()
    server = serve(rest_port=0, clock=clock, faults=[Fault.delay("ListOperations", 3600)])
    http_ = connect(server)
    replies = []
    caller = threading.Thread(target=lambda: replies.append(http_.get("/v1/operations")))
    caller.start()
    until(lambda: server.calls, "the call")
    assert not replies
    while caller.is_alive():
        clock.advance(3600)
        caller.join(0.01)
    assert replies[0].status == 200


def test_faults_count_over_both_doors(server: Emulator, http_: Http) -> None:
    """The n-th call is the n-th of gRPC and REST together."""
    server.faults.add(Fault.unimplemented("DeleteOperation"), Fault.fail("ListOperations", grpc.StatusCode.ABORTED, nth=2))
    with grpc.insecure_channel(server.target) as channel:
        call: Callable[..., bytes] = channel.unary_unary("/google.longrunning.Operations/ListOperations")
        call(b"", timeout=60)
    assert http_.get("/v1/operations").error["status"] == "ABORTED"
    assert http_.call("DELETE", "/v1/operations/x").error["status"] == "UNIMPLEMENTED"


def test_requests_that_are_no_calls_are_not_counted(server: Emulator, http_: Http) -> None:
    """What is refused before it is a message is neither recorded nor met by a fault."""
    server.faults.add(Fault.fail(METHOD, grpc.StatusCode.ABORTED))
    assert http_.post(SUBMIT, {"x": 1}).status == 400
    assert not server.calls
    assert http_.post(SUBMIT, batch()).status == 409
