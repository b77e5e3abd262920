"""Client and AsyncClient against the embedded server: one suite over both, real gRPC on loopback."""

import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.cloud import vision
from google.longrunning import operations_pb2 as common
from google.protobuf.any_pb2 import Any as PackedAny
from google.protobuf.message import Message
from google.rpc import error_details_pb2
from google.rpc.status_pb2 import Status

from tests.until import until
from vision_grpc import (
    CallError,
    Client,
    ConfigError,
    OperationFailed,
    Polling,
    Retry,
    WaitTimeout,
    image_requests,
    operation_metadata,
    operation_response,
    v1,
    v1p1beta1,
    v1p4beta1,
)
from vision_grpc.emulator import Emulator, Fault, VirtualClock
from vision_grpc.objects import LocalObjects
from vision_grpc.results import read_results

MakeClient = Callable[..., Client]
Serve = Callable[..., Emulator]

PHOTO = "gs://photos/a.png"
REQUESTS = image_requests([PHOTO, "gs://photos/b.png", "gs://photos/c.png"], "text")
OUT = "gs://out/run/"
SUBMIT = "AsyncBatchAnnotateImages"

FAILURES = [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK]
TRANSIENT = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
}
MAYBE_ACCEPTED = TRANSIENT - {grpc.StatusCode.RESOURCE_EXHAUSTED} | {grpc.StatusCode.CANCELLED, grpc.StatusCode.DATA_LOSS}

each_failure = pytest.mark.parametrize("code", FAILURES, ids=lambda code: code.name)


def sent(server: Emulator, method: str) -> list[Any]:
    """The requests of one method that the server has received."""
    return [call.message for call in server.calls if call.method == method]


def status(code: grpc.StatusCode, message: str, *details: Message) -> bytes:
    """A google.rpc.Status as it travels in grpc-status-details-bin."""
    packed = [PackedAny() for _ in details]
    for wrapper, detail in zip(packed, details, strict=True):
        wrapper.Pack(detail)
    serialised: bytes = Status(code=code.value[0], message=message, details=packed).SerializeToString()
    return serialised


class LeapingClock:
    """Time that goes on as usual, and leaps where a test says so."""

    def __init__(self) -> None:
        self._leapt = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self._leapt

    def leap(self, seconds: float) -> None:
        self._leapt += seconds


def leaping_clock(client: Client) -> LeapingClock:
    """Has a client measure its waits by a clock that the test can move: a deadline comes when it is to come, and not before."""
    clock = client._context.clock = LeapingClock()
    return clock


@pytest.mark.parametrize("version", ["v1", "v1p4beta1", "v1p1beta1"])
def test_submit_and_wait(version: str, emulator: Emulator, make_client: MakeClient, buckets: dict[str, Path]) -> None:
    """In every version a request becomes an operation, which ends in the typed response with its output written."""
    client = make_client(emulator=emulator.target, version=version)
    operation = client.async_batch_annotate(REQUESTS, OUT)
    assert type(operation) is v1.Operation
    assert emulator.calls[0].path == f"/google.cloud.vision.{version}.ImageAnnotator/AsyncBatchAnnotateImages"
    response = client.wait_operation(operation)
    # v1p1beta1 publishes no response type: its operations are v1's.
    assert type(response) is (v1p4beta1 if version == "v1p4beta1" else v1).AsyncBatchAnnotateImagesResponse
    assert (response.output_config.gcs_destination.uri, response.output_config.batch_size) == (OUT, 20)
    written = json.loads((buckets["out"] / "run" / "output-1-to-3.json").read_text())
    assert [one["textAnnotations"][0]["description"] for one in written["responses"]] == ["an apple", "a bear", "a cat"]


FORMS: dict[str, Any] = {
    "messages": REQUESTS,
    "another version's messages": [v1p1beta1.AnnotateImageRequest.FromString(one.SerializeToString()) for one in REQUESTS],
    "mappings": [{"image": {"source": {"image_uri": one.image.source.image_uri}}, "features": [{"type": 5}]} for one in REQUESTS],
    "a generator": lambda: (one for one in REQUESTS),
    "a whole request": v1.AsyncBatchAnnotateImagesRequest(requests=REQUESTS, output_config={"gcs_destination": {"uri": OUT}}),
    "google-cloud-vision's objects": [
        vision.AnnotateImageRequest(
            image=vision.Image(source=vision.ImageSource(image_uri=one.image.source.image_uri)),
            features=[vision.Feature(type_=vision.Feature.Type.TEXT_DETECTION)],
        )
        for one in REQUESTS
    ],
    "google-cloud-vision's whole request": vision.AsyncBatchAnnotateImagesRequest.deserialize(
        v1.AsyncBatchAnnotateImagesRequest(requests=REQUESTS, output_config={"gcs_destination": {"uri": OUT}}).SerializeToString()
    ),
    "google-cloud-vision's protobuf": [
        vision.AnnotateImageRequest.pb(vision.AnnotateImageRequest.deserialize(one.SerializeToString())) for one in REQUESTS
    ],
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_request_sends_the_same(form: str, emulator: Emulator, any_client: Client) -> None:
    """However the request is written, the server receives the same message."""
    requests = FORMS[form]
    if callable(requests):
        requests = requests()
    any_client.async_batch_annotate(requests, None if "whole" in form else OUT)
    assert sent(emulator, SUBMIT) == [
        v1.AsyncBatchAnnotateImagesRequest(requests=REQUESTS, output_config={"gcs_destination": {"uri": OUT}}),
    ]


def test_parent_labels_metadata_and_batch_size_arrive(emulator: Emulator, any_client: Client, buckets: dict[str, Path]) -> None:
    """What the caller sets beside the images reaches the server, and the parent its operation's name."""
    operation = any_client.async_batch_annotate(
        REQUESTS,
        v1.OutputConfig(gcs_destination={"uri": OUT}, batch_size=2),
        parent="projects/p/locations/eu",
        labels={"team": "maps"},
        metadata=[("x-request", "7")],
    )
    (request,) = sent(emulator, SUBMIT)
    assert (request.parent, dict(request.labels), request.output_config.batch_size) == ("projects/p/locations/eu", {"team": "maps"}, 2)
    metadata = dict(emulator.calls[0].metadata)
    assert metadata["x-request"] == "7"
    assert metadata["x-goog-request-params"] == "parent=projects/p/locations/eu"
    assert operation.name.startswith("projects/p/locations/eu/operations/")
    any_client.wait_operation(operation)
    assert sorted(path.name for path in (buckets["out"] / "run").iterdir()) == ["output-1-to-2.json", "output-3-to-3.json"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"requests": []}, "requests is empty"),
        ({"requests": REQUESTS[:1] * 2001}, "requests holds 2,001 images"),
        ({"requests": [{"image": {"content": b"x"}, "features": [{"type": 5}]}]}, "requests[0].image.content"),
        ({"requests": [REQUESTS[0], {"image": {"source": {"image_uri": "http://a/b"}}, "features": [{"type": 5}]}]}, "requests[1]"),
        ({"requests": [{"image": {"source": {"image_uri": f"{PHOTO}#12"}}, "features": [{"type": 5}]}]}, "names a generation"),
        ({"requests": [{"image": {"source": {"image_uri": "gs://photos"}}, "features": [{"type": 5}]}]}, "does not name a bucket"),
        ({"requests": [{"image": {"source": {"image_uri": PHOTO}}}]}, "requests[0].features is empty"),
        ({"requests": [{"image": {"source": {"image_uri": PHOTO}}, "feature": []}]}, "did you mean 'features'?"),
        ({"output_config": {"gcs_destination": {"uri": OUT}, "batch_size": 101}}, "batch_size must be between 1 and 100"),
        ({"output_config": "out/"}, "is not a Cloud Storage prefix"),
        ({"output_config": "gs://o/"}, "is not a Cloud Storage prefix"),
        ({"output_config": None}, "output_config is missing"),
        ({"parent": "p"}, "parent must be projects/PROJECT"),
        ({"labels": {"Team": "maps"}}, "labels: key 'Team'"),
    ],
)
def test_what_is_refused_is_not_sent(arguments: dict[str, Any], words: str, emulator: Emulator, any_client: Client) -> None:
    """A request that the service would refuse ends in ConfigError, with its place, before anything is sent."""
    with pytest.raises(ConfigError) as caught:
        any_client.async_batch_annotate(**{"requests": REQUESTS, "output_config": OUT, **arguments})
    assert words in str(caught.value)
    assert emulator.calls == []


@pytest.mark.parametrize("parent", ["projects/p", "projects/p/locations/us"])
@pytest.mark.parametrize("method", ["async_batch_annotate", "batch_annotate_images"])
def test_a_parent_elsewhere_is_not_sent(parent: str, method: str, emulator: Emulator, make_client: MakeClient) -> None:
    """A parent that contradicts the client's location is refused by every method that has one."""
    client = make_client(emulator=emulator.target, location="eu")
    arguments = {"output_config": OUT} if method == "async_batch_annotate" else {}
    with pytest.raises(ConfigError, match="contradicts the client's location 'eu'"):
        getattr(client, method)(REQUESTS, parent=parent, **arguments)
    assert emulator.calls == []


def test_location_sets_the_parent(emulator: Emulator, make_client: MakeClient) -> None:
    """A client with a location and a project names them in requests that name no parent."""
    client = make_client(emulator=emulator.target, location="us", project="p")
    assert client.async_batch_annotate(REQUESTS, OUT).name.startswith("projects/p/locations/us/operations/")
    with pytest.raises(ConfigError, match="use version='v1'"):
        make_client(emulator=emulator.target, location="us", project="p", version="v1p4beta1").async_batch_annotate(REQUESTS, OUT)


def test_get_operation_and_its_parts(serve: Serve, make_client: MakeClient) -> None:
    """An operation can be looked at while it runs and when it is done; its metadata and response are typed."""
    server = serve(faults=[Fault.stall()])
    client = make_client(emulator=server.target)
    submitted = client.async_batch_annotate(REQUESTS, OUT)
    assert operation_metadata(submitted) is None
    running = client.get_operation(submitted)
    assert not running.done
    metadata = client.operation_metadata(running)
    assert metadata is not None
    assert metadata == operation_metadata(common.Operation.FromString(running.SerializeToString()))
    assert v1.OperationMetadata.State.Name(metadata.state) == "RUNNING"
    assert metadata.create_time.seconds > 0
    with pytest.raises(ConfigError, match="still runs"):
        operation_response(running)
    server.faults.release()
    response = client.wait_operation(submitted)
    assert operation_response(client.get_operation(submitted.name)) == response


def test_list_operations_goes_through_the_pages(serve: Serve, make_client: MakeClient) -> None:
    """A list is an iterator over all pages, which are asked for as they are needed; filter and parent reach the server."""
    server = serve(faults=[Fault.stall(nth=6)])
    client = make_client(emulator=server.target)
    wanted = [client.async_batch_annotate(REQUESTS[:1], OUT, parent=f"projects/p{index % 2}").name for index in range(6)]
    for name in wanted[:5]:
        client.wait_operation(name)
    listed = client.list_operations(page_size=4)
    assert isinstance(listed, Iterator)
    assert sent(server, "ListOperations") == []
    assert {operation.name for operation in listed} == set(wanted)
    assert [request.page_size for request in sent(server, "ListOperations")] == [4, 4]
    assert [operation.name for operation in client.list_operations(filter="done=false")] == [wanted[5]]
    assert {operation.name for operation in client.list_operations("projects/p1")} == set(wanted[1::2])
    server.faults.release()


def test_cancel_ends_a_wait(serve: Serve, make_client: MakeClient) -> None:
    """A cancelled operation ends its wait in OperationFailed with CANCELLED and the metadata that says so."""
    server = serve(faults=[Fault.stall()])
    client = make_client(emulator=server.target)
    operation = client.async_batch_annotate(REQUESTS, OUT)
    assert client.cancel_operation(operation) is None  # type: ignore[func-returns-value]
    with pytest.raises(OperationFailed) as caught:
        client.wait_operation(operation.name)
    assert caught.value.code is grpc.StatusCode.CANCELLED
    assert caught.value.name == operation.name
    assert caught.value.metadata == v1.OperationMetadata.FromString(caught.value.metadata.SerializeToString())  # type: ignore[union-attr]
    assert v1.OperationMetadata.State.Name(caught.value.metadata.state) == "CANCELLED"


def test_delete_forgets_an_operation(emulator: Emulator, any_client: Client) -> None:
    """A deleted operation is unknown from then on; deleting it again is NOT_FOUND."""
    operation = any_client.async_batch_annotate(REQUESTS, OUT)
    any_client.wait_operation(operation)
    any_client.delete_operation(operation.name)
    for method in (any_client.get_operation, any_client.wait_operation, any_client.delete_operation, any_client.cancel_operation):
        with pytest.raises(CallError) as caught:
            method(operation.name)
        assert caught.value.code is grpc.StatusCode.NOT_FOUND
        assert operation.name in caught.value.message


def test_a_delete_whose_reply_was_lost(emulator: Emulator, any_client: Client) -> None:
    """A delete that worked, and whose reply did not arrive, succeeds."""
    operation = any_client.async_batch_annotate(REQUESTS, OUT)
    emulator.faults.add(Fault.fail("DeleteOperation", grpc.StatusCode.UNAVAILABLE, accepted=True))
    any_client.delete_operation(operation)
    assert len(sent(emulator, "DeleteOperation")) == 2


@pytest.mark.parametrize("method", ["get_operation", "wait_operation", "cancel_operation", "delete_operation"])
def test_what_is_no_name_is_not_sent(method: str, emulator: Emulator, any_client: Client) -> None:
    """A malformed name is refused before anything is sent."""
    with pytest.raises(ConfigError, match="is not an operation's name"):
        getattr(any_client, method)("1f")
    with pytest.raises(ConfigError, match="is not an operation's name"):
        list(any_client.wait_operations(["operations/1", "1f"]))
    assert emulator.calls == []


@pytest.mark.parametrize("name", ["operations/\ud800", "projects/\udfff/operations/1", "operations/" + "1" * 4086, b"operations/1", None])
def test_names_that_cannot_be_sent(name: Any, emulator: Emulator, any_client: Client) -> None:
    """Nor is a name that is no text, or so long that gRPC could not carry it."""
    for use in (any_client.get_operation, any_client.wait_operation, lambda name: list(any_client.wait_operations([name]))):
        with pytest.raises(ConfigError, match="operation"):
            use(name)
    assert emulator.calls == []


@pytest.mark.parametrize("operations", [None, "operations/1", 5])
def test_waiting_for_what_is_not_several(operations: Any, any_client: Client) -> None:
    """One name alone, or none, is not several."""
    with pytest.raises(ConfigError, match="operations must be several, as a list"):
        list(any_client.wait_operations(operations))


@pytest.mark.parametrize(
    "wrong", [{"parent": "projects/\ud800"}, {"parent": None}, {"page_size": "x"}, {"page_size": 2**40}, {"filter": 5}]
)
def test_lists_that_cannot_be_asked_for(wrong: dict[str, Any], emulator: Emulator, any_client: Client) -> None:
    """What is no parent, filter or page_size is refused before anything is sent."""
    with pytest.raises(ConfigError, match=r"parent must be|list_operations"):
        list(any_client.list_operations(**wrong))
    assert emulator.calls == []


@pytest.mark.parametrize(
    "shape", ["projects/p/operations/{}", "projects/p/locations/eu/operations/{}", "locations/eu/operations/{}", "operations/{}"]
)
def test_wait_by_name_in_another_client(shape: str, emulator: Emulator, make_client: MakeClient) -> None:
    """The wait is resumed by any of the four shapes of the name, by a client that did not submit it."""
    submitted = make_client(emulator=emulator.target).async_batch_annotate(REQUESTS, OUT, parent="projects/p/locations/eu")
    name = shape.format(submitted.name.rpartition("/")[2])
    if name == "projects/p/operations/" + submitted.name.rpartition("/")[2]:
        # With a location the server knows the operation by the longer name only.
        submitted = make_client(emulator=emulator.target).async_batch_annotate(REQUESTS, OUT, parent="projects/p")
        name = submitted.name
    assert make_client(emulator=emulator.target).wait_operation(name).output_config.gcs_destination.uri == OUT


def test_wait_operation_is_used_where_served(serve: Serve, make_client: MakeClient) -> None:
    """Where the server holds the call, one WaitOperation is enough for an operation that takes a while."""
    server = serve(faults=[Fault.stall()])
    client = make_client(emulator=server.target)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(client.wait_operation, client.async_batch_annotate(REQUESTS, OUT))
        until(lambda: sent(server, "WaitOperation"), "a WaitOperation")
        server.faults.release()
        waiting.result()
    methods = Counter(call.method for call in server.calls)
    assert methods == {SUBMIT: 1, "WaitOperation": 1}


def test_unimplemented_wait_is_remembered(serve: Serve, make_client: MakeClient) -> None:
    """A server without WaitOperation is asked for it once in a client's life; GetOperation does the rest."""
    server = serve(faults=[Fault.unimplemented("WaitOperation")])
    client = make_client(emulator=server.target)
    with ThreadPoolExecutor(1) as pool:
        for _ in range(2):
            server.faults.add(Fault.stall())
            asked = len(sent(server, "GetOperation"))
            waiting = pool.submit(client.wait_operation, client.async_batch_annotate(REQUESTS, OUT))
            until(lambda asked=asked: len(sent(server, "GetOperation")) >= asked + 3, "the third GetOperation")  # type: ignore[misc]
            server.faults.release()
            waiting.result()
    assert len(sent(server, "WaitOperation")) == 1


@pytest.mark.parametrize("served", [True, False], ids=["WaitOperation", "GetOperation"])
@pytest.mark.parametrize("code", [code for code in FAILURES if code in TRANSIENT], ids=lambda code: code.name)
def test_a_bad_poll_does_not_end_a_wait(code: grpc.StatusCode, served: bool, serve: Serve, make_client: MakeClient) -> None:
    """Polls that end in a transient code only delay the wait, however many there are."""
    method = "WaitOperation" if served else "GetOperation"
    server = serve(faults=[Fault.fail(method, code, times=8), *([] if served else [Fault.unimplemented("WaitOperation")])])
    client = make_client(emulator=server.target, retry=Retry(attempts=2, initial=0.005, maximum=0.01))
    assert client.wait_operation(client.async_batch_annotate(REQUESTS, OUT)).output_config.gcs_destination.uri == OUT
    # Eight that failed, one that brought the end, and on a busy machine some that came before it.
    assert len(sent(server, method)) >= 9


def test_a_dropped_connection_does_not_end_a_wait(serve: Serve, make_client: MakeClient) -> None:
    """A poll whose connection breaks is repeated over another."""
    server = serve(faults=[Fault.drop("WaitOperation", times=2)])
    client = make_client(emulator=server.target)
    assert client.wait_operation(client.async_batch_annotate(REQUESTS, OUT)).output_config.gcs_destination.uri == OUT


def test_any_other_code_ends_a_wait(serve: Serve, make_client: MakeClient) -> None:
    """A poll that fails for good ends the wait in its CallError with the server's words."""
    server = serve(faults=[Fault.stall()])
    client = make_client(emulator=server.target)
    operation = client.async_batch_annotate(REQUESTS, OUT)
    for code in FAILURES:
        if code in TRANSIENT or code is grpc.StatusCode.UNIMPLEMENTED:
            continue
        fault = Fault.fail("WaitOperation", code, "Not for you.", times=None)
        server.faults.add(fault)
        with pytest.raises(CallError) as caught:
            client.wait_operation(operation)
        assert (caught.value.code, caught.value.message) == (code, "Not for you.")
        server.faults.remove(fault)
    server.faults.release()


def test_wait_timeout_says_how_to_resume(serve: Serve, make_client: MakeClient) -> None:
    """At its deadline a wait ends in WaitTimeout with the name, the last metadata and poll error; by the name it is resumed."""
    server = serve(
        faults=[
            Fault.stall(),
            Fault.unimplemented("WaitOperation"),
            Fault.fail("GetOperation", grpc.StatusCode.INTERNAL, "Oh.", nth=2, times=None),
        ]
    )
    client = make_client(emulator=server.target)
    operation = client.async_batch_annotate(REQUESTS, OUT)
    clock = leaping_clock(client)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(client.wait_operation, operation, timeout=3600.0)
        # One poll follows another: when the third arrives, the second has failed.
        until(lambda: len(sent(server, "GetOperation")) >= 3, "the third GetOperation")
        assert not waiting.done()
        clock.leap(3600.0)
        error = waiting.exception()
    assert isinstance(error, TimeoutError)
    assert isinstance(error, WaitTimeout)
    assert (error.name, error.names) == (operation.name, (operation.name,))
    assert error.metadata is not None
    assert v1.OperationMetadata.State.Name(error.metadata.state) == "RUNNING"
    assert isinstance(error.last_error, CallError)
    assert (error.last_error.code, error.last_error.message) == (grpc.StatusCode.INTERNAL, "Oh.")
    server.faults.clear()
    assert client.wait_operation(error.name).output_config.gcs_destination.uri == OUT


def test_a_wait_ends_at_its_deadline_though_the_server_hangs(serve: Serve, make_client: MakeClient) -> None:
    """A server that accepts polls and never answers cannot hold a wait beyond its deadline."""
    server = serve(
        faults=[
            Fault.stall(),
            Fault.hang("WaitOperation", times=None),
            Fault.hang("GetOperation", times=None),
            Fault.hang("ListOperations", times=None),
        ]
    )
    client = make_client(emulator=server.target)
    names = [client.async_batch_annotate(REQUESTS, OUT).name for _ in range(5)]
    for wait in (lambda: client.wait_operation(names[0], timeout=0.2), lambda: list(client.wait_operations(names, timeout=0.2))):
        started = time.monotonic()
        with pytest.raises(WaitTimeout):
            wait()
        # Well before a poll's own 60 s, which is what would end it otherwise.
        assert time.monotonic() - started < 30.0
    server.faults.clear()


def test_on_progress_receives_metadata(serve: Serve, make_client: MakeClient) -> None:
    """While a wait goes on, on_progress is called with typed metadata, the last time when the operation is done."""
    server = serve(faults=[Fault.stall(), Fault.unimplemented("WaitOperation")])
    client = make_client(emulator=server.target)
    states: list[str] = []

    def progress(metadata: Any) -> None:
        states.append(v1.OperationMetadata.State.Name(metadata.state))
        server.faults.release()

    client.wait_operation(client.async_batch_annotate(REQUESTS, OUT), on_progress=progress)
    assert states[0] == "RUNNING"
    assert states[-1] == "DONE"


def test_an_hour_takes_no_time(serve: Serve, make_client: MakeClient) -> None:
    """An operation of an hour on the server's virtual clock is waited for like any other."""
    clock = VirtualClock()
    server = serve(clock=clock, operation_seconds=3600.0, faults=[Fault.unimplemented("WaitOperation")])
    client = make_client(emulator=server.target)
    operation = client.async_batch_annotate(REQUESTS, OUT)
    # The hour begins with the operation's first turn, which may come after the reply to its submit, but not after this one.
    assert not client.get_operation(operation).done
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(client.wait_operation, operation, timeout=60.0)
        clock.advance(3599.0)
        assert not client.get_operation(operation).done
        clock.advance(1.0)
        assert waiting.result().output_config.gcs_destination.uri == OUT


@pytest.mark.parametrize("lists", [True, False], ids=["ListOperations", "GetOperation"])
def test_hundreds_of_waits_on_one_thread(lists: bool, serve: Serve, make_client: MakeClient) -> None:
    """Many operations are waited for as they finish: results, failures and unknown names among them, each told by its name."""
    faults = [Fault.fail_operation(grpc.StatusCode.INTERNAL, "Broken.", nth=7), Fault.last(0.3, nth=8)]
    server = serve(workers=2, faults=faults if lists else [*faults, Fault.unimplemented("ListOperations")])
    client = make_client(emulator=server.target)
    names = [client.async_batch_annotate(REQUESTS[:1], f"gs://out/{index}/").name for index in range(300)]
    unknown = "projects/vision-emulator/operations/0123456789abcdef"
    threads = threading.active_count()
    outcomes: dict[str, object] = {}
    peak = 0
    for name, outcome in client.wait_operations([*names, unknown], timeout=60.0):
        assert name not in outcomes
        outcomes[name] = outcome
        peak = max(peak, threading.active_count())
    assert outcomes.keys() == {*names, unknown}
    # gRPC's own threads that serve the futures of a round are few, and none is one operation's.
    assert peak - threads < 8
    failed, missing = outcomes.pop(names[6]), outcomes.pop(unknown)
    assert isinstance(failed, OperationFailed)
    assert (failed.name, failed.code, failed.message) == (names[6], grpc.StatusCode.INTERNAL, "Broken.")
    assert isinstance(missing, CallError)
    assert missing.code is grpc.StatusCode.NOT_FOUND
    destinations = {response.output_config.gcs_destination.uri for response in outcomes.values()}  # type: ignore[attr-defined]
    assert len(destinations) == 299
    methods = Counter(call.method for call in server.calls)
    assert methods["WaitOperation"] == 0
    if lists:
        assert methods["GetOperation"] < 2 * len(names)
    else:
        assert methods["ListOperations"] == 1


def test_waits_of_many_end_at_their_deadline(serve: Serve, make_client: MakeClient) -> None:
    """What has finished is handed over, then WaitTimeout names all that still run, and they can be waited for again."""
    server = serve(faults=[Fault.stall(nth=1, times=4)])
    client = make_client(emulator=server.target)
    names = [client.async_batch_annotate(REQUESTS[:1], OUT).name for _ in range(10)]
    ended: list[str] = []
    clock = leaping_clock(client)
    with pytest.raises(WaitTimeout) as caught:
        for name, _ in client.wait_operations(names, timeout=3600.0):
            ended.append(name)
            if len(ended) == 6:
                clock.leap(3600.0)
    assert set(ended) == set(names[4:])
    assert set(caught.value.names) == set(names[:4])
    server.faults.release()
    assert {name for name, _ in client.wait_operations(caught.value.names)} == set(names[:4])


def test_waiting_for_none_ends_at_once(emulator: Emulator, any_client: Client) -> None:
    """No operations, no calls."""
    assert list(any_client.wait_operations([])) == []
    assert emulator.calls == []


def test_one_client_serves_many_threads(emulator: Emulator, any_client: Client) -> None:
    """Submits and waits of many threads share a client."""

    def job(index: int) -> str:
        operation = any_client.async_batch_annotate(REQUESTS[:1], f"gs://out/{index}/")
        return any_client.wait_operation(operation).output_config.gcs_destination.uri

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(job, range(40))) == [f"gs://out/{index}/" for index in range(40)]


@each_failure
def test_a_call_that_may_be_repeated(code: grpc.StatusCode, serve: Serve, make_client: MakeClient) -> None:
    """Each code of an idempotent call that persists ends in the same CallError from both clients, after the safe retries."""
    server = serve(faults=[Fault.fail("GetOperation", code, "The server's own words.", times=None)])
    with pytest.raises(CallError) as caught:
        make_client(emulator=server.target).get_operation("operations/1")
    error = caught.value
    attempts = 4 if code in TRANSIENT else 2 if code is grpc.StatusCode.UNAUTHENTICATED else 1
    assert (error.method, error.code, error.message) == ("GetOperation", code, "The server's own words.")
    assert (error.attempts, error.ambiguous, error.transient, error.details) == (attempts, False, code in TRANSIENT, ())
    assert "The server's own words." in str(error)
    assert isinstance(error.__cause__, grpc.RpcError)
    assert len(server.calls) == attempts


@each_failure
def test_a_transient_failure_is_retried(code: grpc.StatusCode, serve: Serve, make_client: MakeClient) -> None:
    """An idempotent call outlives three transient failures, and a refused token once."""
    times = 3 if code in TRANSIENT else 1
    server = serve(faults=[Fault.stall(), Fault.fail("GetOperation", code, times=times)])
    client = make_client(emulator=server.target)
    operation = client.async_batch_annotate(REQUESTS, OUT)
    if code in TRANSIENT or code is grpc.StatusCode.UNAUTHENTICATED:
        assert client.get_operation(operation).name == operation.name
    else:
        with pytest.raises(CallError):
            client.get_operation(operation)
    server.faults.clear()


@pytest.mark.parametrize("accepted", [True, False], ids=["accepted", "refused"])
def test_a_submit_is_sent_once(accepted: bool, serve: Serve, make_client: MakeClient) -> None:
    """Each code of a submit ends in the same CallError from both clients; what may have been accepted is never sent again."""
    refused = {grpc.StatusCode.RESOURCE_EXHAUSTED: 4, grpc.StatusCode.UNAUTHENTICATED: 2}
    server = serve()
    client = make_client(emulator=server.target)
    for code in FAILURES:
        server.faults.add(Fault.fail(SUBMIT, code, "The server's own words.", times=None, accepted=accepted))
        calls, operations = len(sent(server, SUBMIT)), len(list(client.list_operations()))
        with pytest.raises(CallError) as caught:
            client.async_batch_annotate(REQUESTS, OUT)
        error = caught.value
        assert (error.method, error.code, error.message) == (SUBMIT, code, "The server's own words.")
        assert (error.attempts, error.ambiguous, error.transient) == (refused.get(code, 1), code in MAYBE_ACCEPTED, code in TRANSIENT)
        assert len(sent(server, SUBMIT)) - calls == error.attempts
        if code in MAYBE_ACCEPTED:
            assert len(list(client.list_operations())) - operations == int(accepted)
        server.faults.clear()


DETAILS: list[Message] = [
    error_details_pb2.ErrorInfo(reason="RATE_LIMIT_EXCEEDED", domain="googleapis.com", metadata={"quota_limit": "1800"}),
    error_details_pb2.QuotaFailure(violations=[error_details_pb2.QuotaFailure.Violation(subject="project:1", description="1800 a minute")]),
    error_details_pb2.BadRequest(field_violations=[error_details_pb2.BadRequest.FieldViolation(field="requests[0]", description="bad")]),
    error_details_pb2.RetryInfo(retry_delay={"nanos": 50_000_000}),
    error_details_pb2.Help(links=[error_details_pb2.Help.Link(description="Quotas", url="https://cloud.google.com/vision/quotas")]),
]


@pytest.mark.parametrize("method", ["submit", "get"])
def test_details_arrive_typed(method: str, serve: Serve, make_client: MakeClient) -> None:
    """The details that a server sends beside its words reach the caller as google.rpc's messages."""
    code = grpc.StatusCode.RESOURCE_EXHAUSTED
    packed = status(code, "Quota exceeded.", *DETAILS)
    names = (SUBMIT, "GetOperation")
    server = serve(faults=[Fault.fail(name, code, "Quota exceeded.", status_details=packed, times=None) for name in names])
    client = make_client(emulator=server.target)
    with pytest.raises(CallError) as caught:
        client.async_batch_annotate(REQUESTS, OUT) if method == "submit" else client.get_operation("operations/1")
    assert caught.value.details == tuple(DETAILS)
    assert caught.value.message == "Quota exceeded."


@pytest.mark.parametrize("method", ["submit", "get", "wait"])
def test_retry_info_is_obeyed(method: str, serve: Serve, make_client: MakeClient) -> None:
    """The next try comes no earlier than the server asks for."""
    code = grpc.StatusCode.RESOURCE_EXHAUSTED
    later = status(code, "Later.", error_details_pb2.RetryInfo(retry_delay={"nanos": 400_000_000}))
    server = serve()
    client = make_client(emulator=server.target)
    operation = client.async_batch_annotate(REQUESTS, OUT)
    name = {"submit": SUBMIT, "get": "GetOperation", "wait": "WaitOperation"}[method]
    server.faults.add(Fault.fail(name, code, "Later.", status_details=later))
    started = time.monotonic()
    if method == "submit":
        client.async_batch_annotate(REQUESTS, OUT)
    else:
        (client.get_operation if method == "get" else client.wait_operation)(operation)
    assert time.monotonic() - started >= 0.4


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Fault.fail(SUBMIT, grpc.StatusCode.UNAVAILABLE, "Try again.", times=None, accepted=True), grpc.StatusCode.UNAVAILABLE),
        (Fault.drop(SUBMIT, times=None, accepted=True), grpc.StatusCode.UNAVAILABLE),
        (Fault.hang(SUBMIT, times=None, accepted=True), grpc.StatusCode.DEADLINE_EXCEEDED),
    ],
    ids=["accepts, then answers UNAVAILABLE", "accepts, then drops the connection", "accepts, then lets the deadline pass"],
)
def test_never_two_operations(fault: Fault, code: grpc.StatusCode, serve: Serve, make_client: MakeClient) -> None:
    """A submit that was accepted and whose reply was lost: one call, one operation, one ambiguous error."""
    server = serve(faults=[fault])
    client = make_client(emulator=server.target)
    assert list(client.list_operations()) == []
    # The deadline that passes is gRPC's own and real; until then a busy machine must have got the request to the server.
    timeout = 5.0 if code is grpc.StatusCode.DEADLINE_EXCEEDED else 60.0
    with pytest.raises(CallError) as caught:
        client.async_batch_annotate(REQUESTS, OUT, timeout=timeout)
    assert (caught.value.code, caught.value.ambiguous, caught.value.attempts) == (code, True, 1)
    assert "may have accepted" in str(caught.value)
    # Time enough for a second submit to arrive, were there one: whatever the channel still holds goes out before this reply.
    (operation,) = client.list_operations()
    assert client.wait_operation(operation).output_config.gcs_destination.uri == OUT
    assert len(sent(server, SUBMIT)) == 1


def test_a_submit_refused_for_its_quota_is_sent_again(serve: Serve, make_client: MakeClient) -> None:
    """RESOURCE_EXHAUSTED says that nothing was started: the submit is repeated, and one operation comes of it."""
    server = serve(faults=[Fault.fail(SUBMIT, grpc.StatusCode.RESOURCE_EXHAUSTED, "Quota exceeded.", times=3)])
    client = make_client(emulator=server.target)
    operation = client.async_batch_annotate(REQUESTS, OUT)
    assert [one.name for one in client.list_operations()] == [operation.name]
    assert len(sent(server, SUBMIT)) == 4


def test_a_submit_without_a_deadline_ends_where_the_server_is_gone(serve: Serve, make_client: MakeClient) -> None:
    """A server that refuses for its quota and then stops leaves a submit that ends, and that was never accepted."""
    server = serve(faults=[Fault.fail(SUBMIT, grpc.StatusCode.RESOURCE_EXHAUSTED, "Quota exceeded.", times=10**6)])
    client = make_client(emulator=server.target, retry=Retry(attempts=10**6, initial=0.01, maximum=0.01, connect=0.2))
    with ThreadPoolExecutor(1) as pool:
        submit = pool.submit(client.async_batch_annotate, REQUESTS, OUT, timeout=None)
        tick = threading.Event()
        while not server.calls:
            tick.wait(0.005)
        server.stop()
        error = submit.exception()
    assert isinstance(error, CallError)
    assert error.code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)


@pytest.mark.parametrize("timeout", [float("inf"), 1e12])
def test_infinite_timeouts(timeout: float, any_client: Client) -> None:
    """Calls and waits whose timeout no clock can count simply have none."""
    operation = any_client.async_batch_annotate(REQUESTS, OUT, timeout=timeout)
    assert any_client.wait_operation(operation, timeout=timeout).output_config.gcs_destination.uri == OUT
    assert len(list(any_client.wait_operations([operation], timeout=timeout))) == 1
    assert any_client.get_operation(operation, timeout=timeout).done


def test_a_wait_of_no_time(serve: Serve, make_client: MakeClient) -> None:
    """A timeout of 0 hands over what is done, and ends in WaitTimeout where nothing is."""
    server = serve(faults=[Fault.stall(times=1)])
    client = make_client(emulator=server.target)
    stalled = client.async_batch_annotate(REQUESTS, OUT)
    done = client.async_batch_annotate(REQUESTS, OUT)
    client.wait_operation(done)
    assert client.wait_operation(done.name, timeout=0).output_config.gcs_destination.uri == OUT
    with pytest.raises(WaitTimeout):
        client.wait_operation(stalled, timeout=0)
    ended: list[str] = []
    with pytest.raises(WaitTimeout) as caught:
        ended.extend(name for name, _ in client.wait_operations([stalled, done.name], timeout=0))
    assert (ended, caught.value.names) == ([done.name], (stalled.name,))


def test_a_callers_own_request_stays_as_it_is(emulator: Emulator, make_client: MakeClient) -> None:
    """The client's location is set as the parent of what is sent, never of what was given: another client may send that elsewhere."""
    request = v1.AsyncBatchAnnotateImagesRequest(requests=REQUESTS, output_config={"gcs_destination": {"uri": OUT}})
    for location in ("eu", "us"):
        make_client(emulator=emulator.target, location=location, project="p").async_batch_annotate(request)
        assert request.parent == ""
        metadata = [call.metadata for call in emulator.calls if call.method == SUBMIT][-1]
        assert dict(metadata)["x-goog-request-params"] == f"parent=projects/p/locations/{location}"


def test_a_reply_over_the_size_limit_is_not_paid_for_twice(serve: Serve, make_client: MakeClient) -> None:
    """Where the caller's own max_message refuses the reply of a billed call, it is not sent again, and the error says so."""
    server = serve(
        annotator=lambda content, request: v1.AnnotateImageResponse(text_annotations=[{"description": "x" * 5000}]).SerializeToString()
    )
    client = make_client(emulator=server.target, max_message=2000)
    with pytest.raises(CallError, match="larger than max") as caught:
        client.batch_annotate_images(REQUESTS[:1])
    assert (caught.value.code, caught.value.ambiguous) == (grpc.StatusCode.RESOURCE_EXHAUSTED, True)
    assert len(server.calls) == 1


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port where connections are accepted and never answered."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


@pytest.mark.parametrize("method", ["async_batch_annotate", "batch_annotate_images"])
def test_an_unreachable_server(method: str, free_port: int, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody listens, a billed call was provably not sent: the error is not ambiguous and shows gRPC's reason."""
    monkeypatch.setattr("vision_grpc._calls._PROBE", 60.0)
    client = make_client(emulator=f"127.0.0.1:{free_port}", retry=Retry(connect=0.2))
    with pytest.raises(CallError) as caught:
        getattr(client, method)(REQUESTS, **({"output_config": OUT} if method == "async_batch_annotate" else {}))
    assert (caught.value.code, caught.value.ambiguous, caught.value.transient) == (grpc.StatusCode.UNAVAILABLE, False, True)
    assert "nothing was sent" in caught.value.message
    assert "refused" in caught.value.message


def test_a_server_that_never_speaks(silent_port: int, make_client: MakeClient) -> None:
    """A connection that is accepted and never answered is none: nothing was sent, and the deadline holds."""
    client = make_client(emulator=f"127.0.0.1:{silent_port}", retry=Retry(connect=60.0))
    started = time.monotonic()
    with pytest.raises(CallError) as caught:
        client.async_batch_annotate(REQUESTS, OUT, timeout=0.3)
    assert (caught.value.ambiguous, caught.value.code) == (False, grpc.StatusCode.UNAVAILABLE)
    assert "nothing was sent" in caught.value.message
    # Well before the 60 s that it would wait for a connection.
    assert time.monotonic() - started < 30.0


def test_a_server_that_went_away(serve: Serve, make_client: MakeClient) -> None:
    """Also after calls that went well, a submit to a server that is gone was provably not sent, and ends soon."""
    server = serve()
    client = make_client(emulator=server.target, retry=Retry(connect=0.2, attempts=3, initial=0.01))
    client.wait_operation(client.async_batch_annotate(REQUESTS, OUT))
    server.stop()
    # Until the client's side has seen the connection close, nobody can tell; a call that may be repeated makes it look.
    with pytest.raises(CallError, match="UNAVAILABLE"):
        client.get_operation("operations/gone")
    with pytest.raises(CallError) as caught:
        client.async_batch_annotate(REQUESTS, OUT, timeout=30.0)
    assert (caught.value.code, caught.value.ambiguous) == (grpc.StatusCode.UNAVAILABLE, False)
    assert "nothing was sent" in caught.value.message


def test_a_server_that_comes_back(buckets: dict[str, Path], free_port: int, make_client: MakeClient) -> None:
    """A client outlives its server's restart: a wait goes on, and a submit waits for the connection."""
    state = buckets["out"].parent / "operations.sqlite"
    options: dict[str, Any] = {"buckets": buckets, "annotator": lambda content, request: b"", "state": state, "port": free_port}
    with ThreadPoolExecutor(2) as pool:
        with Emulator(**options, faults=[Fault.stall()]) as server:
            client = make_client(emulator=server.target, retry=Retry(initial=0.02, maximum=0.1, connect=60.0))
            operation = client.async_batch_annotate(REQUESTS, OUT)
            waiting = pool.submit(client.wait_operation, operation, timeout=100.0)
            until(lambda: sent(server, "WaitOperation"), "a WaitOperation")
        # Until the client's side has seen the connection close, nobody can tell; a call that may be repeated makes it look.
        with pytest.raises(CallError, match="UNAVAILABLE"):
            client.get_operation(operation)
        submitting = pool.submit(client.async_batch_annotate, REQUESTS, OUT)
        with Emulator(**options):
            assert waiting.result().output_config.gcs_destination.uri == OUT
            assert client.wait_operation(submitting.result()).output_config.gcs_destination.uri == OUT


def test_an_input_that_cannot_be_read(serve: Serve, make_client: MakeClient, buckets: dict[str, Path]) -> None:
    """The operation succeeds; the image that does not exist or may not be read has its own error, and the others do not."""
    server = serve(faults=[Fault.unreadable("secret")])
    client = make_client(emulator=server.target)
    requests = image_requests([PHOTO, "gs://photos/none.png", "gs://secret/a.png"], "text")
    response: Any = client.wait_operation(client.async_batch_annotate(requests, OUT))
    good, missing, forbidden = read_results(response, requests=requests, objects=LocalObjects(buckets))
    assert good.error is None
    assert good.response.text_annotations[0].description == "an apple"
    assert str(missing.error) == "image 1 (gs://photos/none.png): NOT_FOUND: Error opening file: gs://photos/none.png"
    assert str(forbidden.error) == "image 2 (gs://secret/a.png): PERMISSION_DENIED: Error opening file: gs://secret/a.png"


def test_an_image_that_is_broken_or_too_large(buckets: dict[str, Path], make_client: MakeClient) -> None:
    """The operation succeeds; an image that is broken, or of more than 75 megapixels, has its own error."""
    (buckets["photos"] / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    (buckets["photos"] / "huge.png").write_bytes(png_header(10_000, 7_501))
    with Emulator(buckets=buckets) as server:
        client = make_client(emulator=server.target)
        requests = image_requests(["gs://photos/broken.png", "gs://photos/huge.png"], "properties")
        response: Any = client.wait_operation(client.async_batch_annotate(requests, OUT))
    broken, huge = read_results(response, requests=requests, objects=LocalObjects(buckets))
    assert str(broken.error) == "image 0 (gs://photos/broken.png): INVALID_ARGUMENT: Bad image data."
    assert str(huge.error) == "image 1 (gs://photos/huge.png): INVALID_ARGUMENT: Image too large. Please limit to 75 megapixels."


def png_header(width: int, height: int) -> bytes:
    """The start of a PNG of that size: signature, IHDR, and the first chunk of data."""
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) + chunk(b"IDAT", zlib.compress(b""))


def test_output_that_cannot_be_written(serve: Serve, make_client: MakeClient, buckets: dict[str, Path]) -> None:
    """The submit succeeds; the operation ends in PERMISSION_DENIED with the object's name, and nothing is half-written."""
    server = serve(faults=[Fault.unwritable("out")])
    client = make_client(emulator=server.target)
    operation = client.async_batch_annotate(REQUESTS, OUT)
    with pytest.raises(OperationFailed) as caught:
        client.wait_operation(operation)
    assert (caught.value.name, caught.value.code) == (operation.name, grpc.StatusCode.PERMISSION_DENIED)
    assert caught.value.message == "Error writing final output to: gs://out/run/output-1-to-3.json"
    assert list(buckets["out"].rglob("*.json")) == []


@pytest.mark.parametrize(
    ("code", "message", "ambiguous"),
    [
        (grpc.StatusCode.INTERNAL, "", True),
        (grpc.StatusCode.UNAVAILABLE, "The service is currently unavailable.", True),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "Quota exceeded for quota metric 'Requests'.", False),
    ],
    ids=["13 without words", "14", "8 with a quota text"],
)
def test_server_trouble_on_submit(code: grpc.StatusCode, message: str, ambiguous: bool, serve: Serve, make_client: MakeClient) -> None:
    """Trouble on submit is told with the server's words, and whether the batch may have been accepted and billed."""
    server = serve(faults=[Fault.fail(SUBMIT, code, message, times=None)])
    with pytest.raises(CallError) as caught:
        make_client(emulator=server.target).async_batch_annotate(REQUESTS, OUT)
    assert (caught.value.code, caught.value.message, caught.value.ambiguous) == (code, message, ambiguous)
    assert message in str(caught.value)


def test_an_operation_that_ends_with_an_error(serve: Serve, make_client: MakeClient) -> None:
    """Whatever code an operation ends with, the wait ends in OperationFailed with that code and the service's words."""
    server = serve()
    client = make_client(emulator=server.target)
    for code in FAILURES:
        server.faults.add(Fault.fail_operation(code, "The service's own words."))
        operation = client.async_batch_annotate(REQUESTS, OUT)
        with pytest.raises(OperationFailed) as caught:
            client.wait_operation(operation)
        assert (caught.value.name, caught.value.code, caught.value.message) == (operation.name, code, "The service's own words.")


def test_batch_annotate_images(emulator: Emulator, any_client: Client) -> None:
    """Up to 16 images, with inline content too, are annotated in one call."""
    inline = v1.AnnotateImageRequest(image=v1.Image(content=b"inline"), features=[v1.Feature(type="TEXT_DETECTION")])
    response = any_client.batch_annotate_images([*REQUESTS, inline], parent="projects/p", labels={"team": "maps"})
    assert [one.text_annotations[0].description for one in response.responses] == ["an apple", "a bear", "a cat", "inline"]
    (request,) = sent(emulator, "BatchAnnotateImages")
    assert (request.parent, dict(request.labels)) == ("projects/p", {"team": "maps"})


@pytest.mark.parametrize("method", ["batch_annotate_files", "async_batch_annotate_files"])
def test_files_are_the_server_s_to_refuse(method: str, emulator: Emulator, any_client: Client) -> None:
    """The two methods for files are sent, and what the embedded server says to them is shown."""
    item = {"input_config": {"gcs_source": {"uri": "gs://photos/a.pdf"}, "mime_type": "application/pdf"}, "features": [{"type": 5}]}
    with pytest.raises(CallError, match="annotates images, not files") as caught:
        getattr(any_client, method)([item])
    assert caught.value.code is grpc.StatusCode.UNIMPLEMENTED
    assert emulator.calls[0].message.requests[0].input_config.gcs_source.uri == "gs://photos/a.pdf"


@pytest.mark.parametrize("method", ["batch_annotate_images", "batch_annotate_files", "async_batch_annotate_files"])
@pytest.mark.parametrize("requests", [[], None, "gs://photos/a.png", [7]])
def test_the_other_methods_refuse_too(method: str, requests: Iterable[Any], emulator: Emulator, any_client: Client) -> None:
    """No requests, or what is none, is refused before anything is sent."""
    with pytest.raises(ConfigError, match="requests"):
        getattr(any_client, method)(requests)
    assert emulator.calls == []


def test_polling_is_the_client_s_or_the_call_s(serve: Serve, make_client: MakeClient) -> None:
    """A wait takes the client's polling, or its own."""
    server = serve(faults=[Fault.stall()])
    client = make_client(emulator=server.target, polling=Polling(server_wait=0.05, initial=0.01))
    operation = client.async_batch_annotate(REQUESTS, OUT)

    def held() -> set[int]:
        return {request.timeout.ToMilliseconds() for request in sent(server, "WaitOperation")}

    with ThreadPoolExecutor(2) as pool:
        waits = [pool.submit(client.wait_operation, operation)]
        until(held, "a WaitOperation")
        assert held() == {50}
        waits.append(pool.submit(client.wait_operation, operation, polling=Polling(server_wait=0.03)))
        until(lambda: len(held()) > 1, "a WaitOperation of the second wait")
        assert held() == {50, 30}
        server.faults.release()
        for wait in waits:
            assert wait.result().output_config.gcs_destination.uri == OUT
