"""Operations, driven by hand: names, ends, and waiting for one and for many of them."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import grpc
import pytest

from vision_grpc import AuthError, CallError, ConfigError, OperationFailed, WaitTimeout, v1, v1p1beta1, v1p4beta1
from vision_grpc._calls import GET, LIST, WAIT, Call, Gather, Reauthenticate
from vision_grpc._gen.google.longrunning.operations_pb2 import GetOperationRequest, ListOperationsResponse
from vision_grpc._operations import metadata_of, operation_name, outcome_of, wait
from vision_grpc._waits import Waits
from vision_grpc.config import Polling, Retry

from .flows import Failed, Stage

NAME = "projects/p/operations/1"
TRANSIENT = [
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
]
FINAL = [code for code in grpc.StatusCode if code not in (*TRANSIENT, grpc.StatusCode.OK)]
UNIMPLEMENTED = Failed(grpc.StatusCode.UNIMPLEMENTED, "Method not found!")
DOORS: list[Any] = [v1, v1p1beta1, v1p4beta1]

POLLING = Polling(initial=1.0, multiplier=2.0, maximum=12.0, jitter=0.0)


def running(name: str = NAME) -> v1.Operation:
    """An operation that runs."""
    operation = v1.Operation(name=name)
    operation.metadata.Pack(v1.OperationMetadata(state=v1.OperationMetadata.State.RUNNING))
    return operation


def finished(name: str = NAME, door: Any = v1) -> v1.Operation:
    """An operation that succeeded."""
    operation = v1.Operation(name=name, done=True)
    operation.metadata.Pack(door.OperationMetadata(state=door.OperationMetadata.State.DONE))
    operation.response.Pack(
        door.AsyncBatchAnnotateImagesResponse(output_config={"gcs_destination": {"uri": "gs://out/"}, "batch_size": 20})
    )
    return operation


def failed(name: str = NAME, code: int = 7) -> v1.Operation:
    """An operation that ended with an error."""
    operation = v1.Operation(name=name, done=True)
    operation.metadata.Pack(v1.OperationMetadata(state=v1.OperationMetadata.State.DONE))
    operation.error.code, operation.error.message = code, "Error writing final output to: gs://out/"
    return operation


def wait_for(stage: Stage, *outcomes: object, operation: Any = NAME, polling: Polling | None = None, **options: Any) -> Any:
    """Plays a wait."""
    options.setdefault("timeout", None)
    return stage.play(wait(stage.context, operation, polling=polling or POLLING, **options), *outcomes)


@pytest.mark.parametrize(
    "name",
    ["projects/p/operations/1f", "projects/p/locations/eu/operations/1f", "locations/eu/operations/1f", "operations/1f"],
)
@pytest.mark.parametrize("form", [lambda name: name, lambda name: v1.Operation(name=name)], ids=["name", "operation"])
def test_the_four_shapes_of_a_name(name: str, form: Callable[[str], Any]) -> None:
    """Each shape is taken, as a string or in an Operation."""
    assert operation_name(form(name)) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "1f",
        "operations",
        "operations/",
        "projects/p",
        "projects/p/operations/a/b",
        "projects//operations/1",
        "operations/a b",
        "operations/1\n",
        7,
        None,
    ],
)
def test_what_is_no_name(name: Any) -> None:
    """Anything else is refused with the shapes."""
    with pytest.raises(ConfigError, match=r"they look like projects/PROJECT/operations/ID"):
        operation_name(name)


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.__name__.rpartition(".")[2])
def test_responses_and_metadata_are_of_the_type_that_they_name(door: Any) -> None:
    """The Any decides the version, whatever version the request was of."""
    operation = finished(door=door)
    response = outcome_of(operation)
    assert type(response) is door.AsyncBatchAnnotateImagesResponse
    assert response.output_config.batch_size == 20
    assert metadata_of(operation) == door.OperationMetadata(state="DONE")


def test_an_operation_that_failed() -> None:
    """Its error tells name, code, the service's words and the last metadata."""
    with pytest.raises(OperationFailed) as caught:
        outcome_of(failed())
    error = caught.value
    assert (error.name, error.code, error.message) == (NAME, grpc.StatusCode.PERMISSION_DENIED, "Error writing final output to: gs://out/")
    assert error.metadata == v1.OperationMetadata(state="DONE")


def test_an_operation_that_still_runs_has_no_outcome() -> None:
    """The outcome of a running operation is refused with the way to it."""
    with pytest.raises(ConfigError, match="wait for it with wait_operation"):
        outcome_of(running())


def test_a_response_that_is_not_ours() -> None:
    """A response of a foreign type is named; a damaged one is DATA_LOSS."""
    operation = v1.Operation(name=NAME, done=True)
    operation.response.type_url = "type.googleapis.com/google.cloud.speech.v1.LongRunningRecognizeResponse"
    with pytest.raises(ConfigError, match=r"google\.cloud\.speech\.v1\.LongRunningRecognizeResponse"):
        outcome_of(operation)
    operation.response.type_url = "type.googleapis.com/google.cloud.vision.v1.AsyncBatchAnnotateImagesResponse"
    operation.response.value = b"\xff\xff"
    with pytest.raises(CallError, match="damaged") as caught:
        outcome_of(operation)
    assert caught.value.code is grpc.StatusCode.DATA_LOSS


@pytest.mark.parametrize("response", [{}, {"response": {}}], ids=["none", "empty"])
def test_an_operation_that_is_done_and_tells_nothing(response: Any) -> None:
    """A finished operation without response and error is DATA_LOSS, never a response of None."""
    with pytest.raises(CallError, match="neither a response nor an error") as caught:
        outcome_of(v1.Operation(name=NAME, done=True, **response))
    assert caught.value.code is grpc.StatusCode.DATA_LOSS


@pytest.mark.parametrize(
    ("type_name", "value"),
    [("google.cloud.vision.v1p9.OperationMetadata", b""), ("google.cloud.vision.v1.OperationMetadata", b"\xff\xff"), ("", b"")],
    ids=["of a future version", "damaged", "without a type"],
)
def test_metadata_that_cannot_be_read_ends_no_wait(type_name: str, value: bytes) -> None:
    """Metadata informs and decides nothing: where it cannot be read, it is None, and the operation runs, ends or fails as it does."""
    odd, done, bad = running(), finished(), failed()
    for operation in (odd, done, bad):
        operation.metadata.type_url = type_name and f"type.googleapis.com/{type_name}"
        operation.metadata.value = value
    seen: list[Any] = []
    assert wait_for(Stage(), odd, done, on_progress=seen.append) is done
    assert seen == []
    with pytest.raises(OperationFailed, match="Error writing") as caught:
        outcome_of(bad)
    assert caught.value.metadata is None


def test_wait_operation_is_used_where_it_is_served() -> None:
    """WaitOperation holds the call at the server, for as long as the polling says, and no pause is added to that."""
    stage = Stage()
    polled = [stage.later(20.0, running()), stage.later(20.0, running()), stage.later(3.0, finished())]
    assert wait_for(stage, *polled, timeout=None).done
    assert [step.method for step in stage.calls] == [WAIT] * 3
    assert [(step.request.timeout.seconds, step.timeout) for step in stage.calls] == [(20, 50.0)] * 3  # type: ignore[attr-defined]
    assert stage.sleeps == []
    assert stage.now == 43.0


def test_a_wait_that_the_server_answers_at_once_is_no_busy_loop() -> None:
    """Where WaitOperation does not hold, the growing interval paces the polls."""
    stage = Stage()
    wait_for(stage, *[running()] * 3, finished())
    assert stage.sleeps == [1.0, 2.0, 4.0]


def test_unimplemented_is_remembered() -> None:
    """A server without WaitOperation is asked for it once; from then on, by every wait of the client, GetOperation is used."""
    stage = Stage()
    wait_for(stage, UNIMPLEMENTED, running(), finished())
    assert [step.method for step in stage.calls] == [WAIT, GET, GET]
    wait_for(stage, finished())
    assert stage.calls[-1].method is GET


def test_intervals_grow_to_their_maximum() -> None:
    """GetOperation is repeated after intervals that grow by the multiplier up to the maximum."""
    stage = Stage()
    stage.context.server_waits = False
    wait_for(stage, *[running()] * 6, finished(), polling=Polling(initial=1.0, multiplier=2.0, maximum=10.0, jitter=0.0))
    assert stage.sleeps == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0]


def test_intervals_are_jittered() -> None:
    """The jitter's draw shortens each interval by at most its share."""
    stage = Stage(draw=0.5)
    stage.context.server_waits = False
    wait_for(stage, running(), running(), finished(), polling=Polling(initial=1.0, multiplier=2.0, jitter=0.2))
    assert stage.sleeps == pytest.approx([0.9, 1.8])


@pytest.mark.parametrize("method", [WAIT, GET], ids=lambda method: method.name)
@pytest.mark.parametrize("code", TRANSIENT, ids=lambda code: code.name)
def test_a_transient_failure_delays_a_wait(code: grpc.StatusCode, method: Any) -> None:
    """One poll, or many in a row, that end in a transient code only delay the wait, with a backoff."""
    stage = Stage(retry=Retry(attempts=2, initial=1.0, maximum=4.0))
    stage.context.server_waits = method is WAIT
    assert wait_for(stage, *[Failed(code)] * 5, running(), Failed(code), finished()).done
    assert [step.method for step in stage.calls] == [method] * 8
    assert stage.sleeps == [1.0, 2.0, 4.0, 4.0, 4.0, 1.0, 1.0]


@pytest.mark.parametrize(
    "code", [code for code in FINAL if code.name not in ("CANCELLED", "UNIMPLEMENTED", "UNAUTHENTICATED")], ids=lambda code: code.name
)
def test_any_other_failure_ends_a_wait(code: grpc.StatusCode) -> None:
    """A code that no other poll can change ends the wait with its CallError."""
    stage = Stage()
    with pytest.raises(CallError, match="No such thing") as caught:
        wait_for(stage, running(), Failed(code, "No such thing."))
    assert caught.value.code is code
    assert not caught.value.ambiguous


def test_a_server_that_shuts_down_does_not_end_a_wait() -> None:
    """CANCELLED, by which gRPC tells of a server that resets its calls, delays a wait; a server that goes on so ends it."""
    stopped = Failed(grpc.StatusCode.CANCELLED, "CANCELLED")
    assert wait_for(Stage(retry=Retry(attempts=3)), stopped, stopped, running(), stopped, finished()).done
    with pytest.raises(CallError) as caught:
        wait_for(Stage(retry=Retry(attempts=3)), stopped, stopped, stopped)
    assert (caught.value.code, caught.value.attempts) == (grpc.StatusCode.CANCELLED, 3)


def test_a_wait_that_get_does_not_serve_either() -> None:
    """UNIMPLEMENTED from GetOperation too is an error, not a loop."""
    with pytest.raises(CallError) as caught:
        wait_for(Stage(), UNIMPLEMENTED, UNIMPLEMENTED)
    assert (caught.value.method, caught.value.code) == ("GetOperation", grpc.StatusCode.UNIMPLEMENTED)


def test_a_wait_renews_a_refused_token_once() -> None:
    """A poll refused as UNAUTHENTICATED is repeated with a new token; refused again in a row, it ends the wait."""
    refused = Failed(grpc.StatusCode.UNAUTHENTICATED)
    stage = Stage()
    assert wait_for(stage, refused, None, running(), refused, None, finished()).done
    assert sum(isinstance(step, Reauthenticate) for step in stage.steps) == 2
    with pytest.raises(CallError):
        wait_for(Stage(), refused, None, refused)


def test_a_wait_outlives_a_token_server_that_is_busy() -> None:
    """A passing failure to fetch a token delays the wait; a lasting one ends it."""
    assert wait_for(Stage(), AuthError("busy", transient=True), finished()).done
    with pytest.raises(AuthError, match="revoked"):
        wait_for(Stage(), AuthError("revoked"))


def test_a_wait_that_a_busy_token_server_outlasts_says_so() -> None:
    """Where a wait ends for want of a token, WaitTimeout tells that no poll was sent, and why."""
    busy = AuthError("the token server is busy", transient=True)
    stage = Stage()
    waits = waits_for(stage, [NAME], lists=False, timeout=0)
    with pytest.raises(WaitTimeout, match="the last poll was not sent: the token server is busy") as one:
        wait_for(Stage(), busy, timeout=0)
    assert stage.play(waits.round(), busy) == []
    with pytest.raises(WaitTimeout, match="the last poll was not sent: the token server is busy") as several:
        stage.play(waits.round())
    assert one.value.last_error is several.value.last_error is busy


def test_retry_info_delays_a_poll() -> None:
    """A poll's RetryInfo is obeyed."""
    from .test_calls import retry_after

    stage = Stage()
    wait_for(stage, Failed(grpc.StatusCode.RESOURCE_EXHAUSTED, "Quota.", retry_after(77)), finished())
    assert stage.sleeps == [77.0]


def test_the_deadline_ends_a_wait() -> None:
    """At its own deadline, not before and not after, a wait ends in WaitTimeout with name, last metadata and last poll error."""
    stage = Stage(retry=Retry(initial=100.0, maximum=100.0))
    with pytest.raises(WaitTimeout) as caught:
        wait_for(stage, running(), Failed(grpc.StatusCode.INTERNAL, "Oh."), timeout=50.0)
    error = caught.value
    assert stage.now == 50.0
    assert (error.name, error.names) == (NAME, (NAME,))
    assert error.metadata == v1.OperationMetadata(state="RUNNING")
    assert isinstance(error.last_error, CallError)
    assert (error.last_error.code, error.last_error.message) == (grpc.StatusCode.INTERNAL, "Oh.")
    assert f"resume with wait_operation('{NAME}')" in str(error)


def test_a_wait_of_no_time_asks_once() -> None:
    """A timeout of 0 asks how things stand, as any poll does but without being held, and then says that time is up."""
    stage = Stage()
    assert wait_for(stage, finished(), timeout=0).done
    assert (type(stage.calls[0].request), stage.calls[0].timeout) == (GetOperationRequest, Polling().call_timeout)
    for outcomes in ([running()], [Failed(grpc.StatusCode.UNAVAILABLE)], [Failed(grpc.StatusCode.UNAUTHENTICATED), None, running()]):
        with pytest.raises(WaitTimeout, match="after 0 s"):
            wait_for(Stage(), *outcomes, timeout=0)


@pytest.mark.parametrize("timeout", [float("inf"), 1e12])
def test_a_wait_longer_than_all_clocks_has_no_end(timeout: float) -> None:
    """Infinity, and what gRPC could not count, is no limit."""
    stage = Stage()
    wait_for(stage, finished(), timeout=timeout)
    assert stage.calls[0].request.timeout.seconds == Polling().server_wait  # type: ignore[attr-defined]
    assert waits_for(stage, names(5), timeout=timeout).timeout is None


@pytest.mark.parametrize("timeout", [float("nan"), -1, "5", True])
def test_what_is_no_timeout(timeout: Any) -> None:
    """What is no time is refused before anything is asked."""
    stage = Stage()
    for use in (lambda: wait_for(stage, timeout=timeout), lambda: waits_for(stage, names(5), timeout=timeout)):
        with pytest.raises(ConfigError, match="timeout must be a number of seconds"):
            use()
    assert stage.steps == []


def test_a_poll_that_succeeds_clears_the_last_error() -> None:
    """last_error is that of the last poll only."""
    stage = Stage()
    with pytest.raises(WaitTimeout) as caught:
        wait_for(stage, Failed(grpc.StatusCode.INTERNAL), stage.later(10.0, running()), timeout=10.0)
    assert caught.value.last_error is None


def test_no_poll_outlasts_the_deadline() -> None:
    """Calls, and the time that the server is asked to hold them, are cut to what is left of the wait."""
    stage = Stage()
    wait_for(stage, stage.later(6.0, running()), finished(), timeout=10.0)
    first, second = stage.calls
    assert first.timeout == 10.0
    assert first.request.timeout.seconds == 9  # type: ignore[attr-defined]
    assert second.timeout == 4.0
    assert second.request.timeout.seconds == 3  # type: ignore[attr-defined]


def test_a_finished_operation_is_not_asked_for() -> None:
    """An Operation that is done already ends its wait without a call."""
    stage = Stage()
    assert wait_for(stage, operation=finished()).done
    assert stage.steps == []


def test_on_progress_receives_metadata() -> None:
    """on_progress is called with each poll's metadata, also the last."""
    seen: list[Any] = []
    wait_for(Stage(), v1.Operation(name=NAME), running(), finished(), on_progress=seen.append)
    assert [v1.OperationMetadata.State.Name(metadata.state) for metadata in seen] == ["RUNNING", "DONE"]


async def _awaited(metadata: object) -> None:
    raise AssertionError("nobody awaits this")


@pytest.mark.parametrize("on_progress", ["print", 5, _awaited, partial(_awaited)])
def test_what_cannot_be_told_of_progress(on_progress: Any) -> None:
    """What cannot be called, or would have to be awaited, is refused before anything is asked."""
    stage = Stage()
    with pytest.raises(ConfigError, match="on_progress must be a plain function"):
        wait_for(stage, on_progress=on_progress)
    assert stage.steps == []


def test_an_error_of_on_progress_reaches_the_caller() -> None:
    """What on_progress raises ends the wait: that is how a caller gives up."""

    def give_up(_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        wait_for(Stage(), running(), on_progress=give_up)


def names(count: int) -> list[str]:
    """Names of that many operations."""
    return [f"projects/p/operations/{index:03}" for index in range(count)]


def page(operations: Sequence[v1.Operation], token: str = "") -> ListOperationsResponse:
    """A page of a list."""
    return ListOperationsResponse(operations=operations, next_page_token=token)


def waits_for(stage: Stage, wanted: Sequence[str], *, lists: bool = True, **options: Any) -> Waits:
    """A wait for those operations."""
    stage.context.server_lists = lists
    waits = Waits(stage.context, options.pop("polling", POLLING), **options)
    waits.add(wanted)
    return waits


def test_without_list_all_that_is_due_is_asked_at_once() -> None:
    """Where the server has no list, each operation is polled at its own growing interval, those that are due together."""
    stage = Stage()
    waits = waits_for(stage, names(3), lists=False)
    one, two, three = names(3)
    assert stage.play(waits.round(), [running(one), finished(two), failed(three)]) == [(two, finished(two)), (three, failed(three))]
    assert stage.play(waits.round(), [running(one)]) == []
    assert stage.play(waits.round(), [finished(one)]) == [(one, finished(one))]
    assert stage.sleeps == [1.0, 2.0]
    assert len(waits) == 0


def test_at_most_64_calls_are_under_way() -> None:
    """Hundreds of operations are asked for in portions."""
    stage = Stage()
    wanted = names(150)
    waits = waits_for(stage, wanted, lists=False)
    portions = [[finished(name) for name in wanted[start : start + 64]] for start in (0, 64, 128)]
    ended = stage.play(waits.round(), *portions)
    assert [name for name, _ in ended] == wanted
    assert [len(step.calls) for step in stage.steps] == [64, 64, 22]


def test_with_list_one_call_a_page_tells_what_runs() -> None:
    """Where the server lists, only the operations that it does not show as running are asked for."""
    stage = Stage()
    wanted = names(6)
    waits = waits_for(stage, wanted)
    others = [running("projects/p/operations/other")]
    ended = stage.play(
        waits.round(),
        page([running(name) for name in wanted[:2]], "more"),
        page([running(name) for name in wanted[2:5]] + others),
        [finished(wanted[5])],
    )
    assert ended == [(wanted[5], finished(wanted[5]))]
    first, second, polls = stage.steps
    assert [(step.method, step.request.name, step.request.filter, step.request.page_token) for step in (first, second)] == [
        (LIST, "projects/p", "done=false", ""),
        (LIST, "projects/p", "done=false", "more"),
    ]
    assert [sent.request.name for sent in polls.calls] == [wanted[5]]
    assert len(waits) == 5


def test_each_collection_is_listed() -> None:
    """Operations of several projects and locations are listed below each of them."""
    stage = Stage()
    wanted = ["projects/a/operations/1", "projects/a/locations/eu/operations/2", "operations/3", "locations/us/operations/4"]
    waits = waits_for(stage, wanted)
    ended = stage.play(waits.round(), page([]), page([]), page([]), page([]), [finished(name) for name in wanted])
    assert len(ended) == 4
    assert [step.request.name for step in stage.steps[:4]] == ["locations/us", "operations", "projects/a", "projects/a/locations/eu"]


@pytest.mark.parametrize("code", ["UNIMPLEMENTED", "INVALID_ARGUMENT", "PERMISSION_DENIED"])
def test_a_server_that_does_not_list_is_remembered(code: str) -> None:
    """A list that is not served or not allowed is not asked for again, and GetOperation takes its place."""
    stage = Stage()
    wanted = names(5)
    waits = waits_for(stage, wanted)
    assert stage.play(waits.round(), Failed(grpc.StatusCode[code]), [running(name) for name in wanted]) == []
    assert len(stage.play(waits.round(), [finished(name) for name in wanted])) == 5
    assert [step.method for step in stage.steps if isinstance(step, Call)] == [LIST]


def test_a_list_that_fails_once_is_asked_for_again() -> None:
    """A passing failure of the list costs one round of GetOperation."""
    stage = Stage()
    wanted = names(5)
    waits = waits_for(stage, wanted)
    assert stage.play(waits.round(), Failed(grpc.StatusCode.UNAVAILABLE), [running(name) for name in wanted]) == []
    assert len(stage.play(waits.round(), page([]), [finished(name) for name in wanted])) == 5


def test_quiet_lists_are_asked_for_less_often() -> None:
    """While nothing ends, the interval between lists grows."""
    stage = Stage()
    wanted = names(5)
    waits = waits_for(stage, wanted)
    for _ in range(4):
        assert stage.play(waits.round(), page([running(name) for name in wanted])) == []
    assert stage.sleeps == [2.0, 4.0, 8.0]


@pytest.mark.parametrize("code", TRANSIENT, ids=lambda code: code.name)
def test_a_transient_failure_delays_only_its_own_operation(code: grpc.StatusCode) -> None:
    """One failed poll among many delays that operation and no other."""
    stage = Stage(retry=Retry(initial=4.0))
    waits = waits_for(stage, names(3), lists=False)
    one, two, three = names(3)
    assert [name for name, _ in stage.play(waits.round(), [finished(one), Failed(code), running(three)])] == [one]
    assert [name for name, _ in stage.play(waits.round(), [finished(three)])] == [three]
    assert stage.play(waits.round(), [finished(two)]) == [(two, finished(two))]
    assert stage.now == 4.0


def test_a_final_failure_ends_only_its_own_operation() -> None:
    """A name that the server does not know ends with its CallError, beside the others' results."""
    stage = Stage()
    waits = waits_for(stage, names(2), lists=False)
    (_, first), (_, error) = stage.play(waits.round(), [finished(names(2)[0]), Failed(grpc.StatusCode.NOT_FOUND, "Unknown.")])
    assert first.done
    assert isinstance(error, CallError)
    assert (error.code, error.message) == (grpc.StatusCode.NOT_FOUND, "Unknown.")
    assert len(waits) == 0


def test_an_operation_with_odd_metadata_ends_no_other() -> None:
    """Metadata of an unknown type in one operation does not disturb the rest."""
    odd = running(names(2)[0])
    odd.metadata.type_url = "type.googleapis.com/google.cloud.vision.v9.OperationMetadata"
    stage = Stage()
    waits = waits_for(stage, names(2), lists=False)
    assert [name for name, _ in stage.play(waits.round(), [odd, finished(names(2)[1])])] == [names(2)[1]]


def test_a_refused_token_is_renewed_for_all() -> None:
    """Polls refused as UNAUTHENTICATED are repeated once with a new token."""
    refused = Failed(grpc.StatusCode.UNAUTHENTICATED)
    stage = Stage()
    waits = waits_for(stage, names(2), lists=False)
    ended = stage.play(waits.round(), [refused, refused], None, [finished(name) for name in names(2)])
    assert [name for name, _ in ended] == names(2)
    assert [type(step) for step in stage.steps] == [Gather, Reauthenticate, Gather]


@pytest.mark.parametrize("lists", [True, False], ids=["list", "get"])
def test_many_waits_outlive_a_token_server_that_is_busy(lists: bool) -> None:
    """A passing failure to fetch a token delays them all, and no operation is lost."""
    stage = Stage(retry=Retry(initial=3.0))
    wanted = names(5)
    waits = waits_for(stage, wanted, lists=lists)
    assert stage.play(waits.round(), AuthError("busy", transient=True)) == []
    assert stage.play(waits.round(), *([page([])] if lists else []), [finished(name) for name in wanted])[-1][0] == wanted[-1]
    assert stage.sleeps == [3.0]


def test_what_has_ended_is_handed_over_before_bad_credentials_are_told() -> None:
    """Results that came before the credentials failed for good are not lost; the next round raises."""
    stage = Stage()
    wanted = names(70)
    waits = waits_for(stage, wanted, lists=False)
    assert len(stage.play(waits.round(), [finished(name) for name in wanted[:64]], AuthError("revoked"))) == 64
    with pytest.raises(AuthError, match="revoked"):
        stage.play(waits.round(), AuthError("revoked"))
    assert len(waits) == 6


@pytest.mark.parametrize("lists", [True, False], ids=["list", "get"])
def test_the_deadline_ends_many_waits(lists: bool) -> None:
    """At the deadline, WaitTimeout names all that still run; no call was given more time than was left."""
    stage = Stage()
    wanted = names(5)
    waits = waits_for(stage, wanted, lists=lists, timeout=2.0)
    still = [running(name) for name in wanted]
    with pytest.raises(WaitTimeout) as caught:
        while True:
            stage.play(waits.round(), page(still) if lists else still)
    assert stage.now == 2.0
    assert caught.value.names == tuple(wanted)
    assert caught.value.metadata == v1.OperationMetadata(state="RUNNING")
    assert all(0 < (sent.timeout or 0) <= 2.0 for sent in stage.calls)


@pytest.mark.parametrize("lists", [True, False], ids=["list", "get"])
def test_many_waits_of_no_time_ask_once(lists: bool) -> None:
    """With a timeout of 0 what has ended is handed over, before WaitTimeout names the others."""
    stage = Stage()
    wanted = names(5)
    waits = waits_for(stage, wanted, lists=lists, timeout=0)
    still = [running(name) for name in wanted[1:]]
    answers = [page(still), [finished(wanted[0])]] if lists else [[finished(wanted[0]), *still]]
    assert [name for name, _ in stage.play(waits.round(), *answers)] == wanted[:1]
    assert {sent.timeout for sent in stage.calls} == {Polling().call_timeout}
    with pytest.raises(WaitTimeout) as caught:
        stage.play(waits.round())
    assert set(caught.value.names) == set(wanted[1:])


def test_a_name_given_twice_is_waited_for_once() -> None:
    """Names are a set."""
    stage = Stage()
    waits = waits_for(stage, [NAME, NAME], lists=False)
    waits.add([NAME])
    assert len(waits) == 1
    assert len(stage.play(waits.round(), [finished()])) == 1
