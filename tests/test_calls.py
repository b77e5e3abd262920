"""A call with its retries, driven by hand: what is sent again and what never is, and how each failure is told."""

import functools
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from google.protobuf.any_pb2 import Any as PackedAny
from google.rpc import error_details_pb2
from google.rpc.status_pb2 import Status

from vision_grpc import AuthError, CallError, ConfigError, v1
from vision_grpc._calls import CANCEL, DELETE, GET, Call, Connect, Method, Reauthenticate, Sleep, annotator, arun, call, call_error, run
from vision_grpc._gen.google.longrunning.operations_pb2 import DeleteOperationRequest, GetOperationRequest
from vision_grpc.config import Retry

from .flows import Failed, Stage

SUBMIT = annotator("v1", "AsyncBatchAnnotateImages")
REQUEST = v1.AsyncBatchAnnotateImagesRequest()
QUESTION = GetOperationRequest(name="operations/1")
OPERATION = v1.Operation(name="operations/1")

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
CONNECTED = None

each_failure = pytest.mark.parametrize("code", FAILURES, ids=lambda code: code.name)


def retry_after(seconds: float) -> bytes:
    """A google.rpc.Status that asks for a pause."""
    packed = PackedAny()
    packed.Pack(error_details_pb2.RetryInfo(retry_delay={"seconds": int(seconds), "nanos": round(seconds % 1 * 1e9)}))
    serialised: bytes = Status(code=8, details=[packed]).SerializeToString()
    return serialised


def submit(stage: Stage, *outcomes: object, timeout: float | None = 60.0) -> Any:
    """Plays a submit."""
    return stage.play(call(stage.context, SUBMIT, REQUEST, timeout=timeout), *outcomes)


def ask(stage: Stage, *outcomes: object, timeout: float | None = 60.0, method: Method = GET) -> Any:
    """Plays a call of an idempotent method."""
    return stage.play(call(stage.context, method, QUESTION, timeout=timeout), *outcomes)


def failure(play: Callable[[], object]) -> CallError:
    """The CallError that the play ends in."""
    with pytest.raises(CallError) as caught:
        play()
    return caught.value


def test_a_call_that_succeeds() -> None:
    """One call, with the time that is left, and its reply is the result."""
    stage = Stage()
    assert ask(stage, OPERATION) is OPERATION
    assert stage.steps == [Call(GET, QUESTION, 60.0)]


@each_failure
def test_an_idempotent_call_is_repeated_after_transient_codes_only(code: grpc.StatusCode) -> None:
    """A transient code is met by another try, any other ends the call at once."""
    stage = Stage()
    if code in TRANSIENT:
        assert ask(stage, Failed(code), OPERATION) is OPERATION
        assert [type(step) for step in stage.steps] == [Call, Sleep, Call]
    elif code is not grpc.StatusCode.UNAUTHENTICATED:
        error = failure(lambda: ask(stage, Failed(code, "No.")))
        assert (error.code, error.message, error.attempts, error.ambiguous) == (code, "No.", 1, False)


@each_failure
def test_a_submit_is_never_repeated_unless_it_was_refused(code: grpc.StatusCode) -> None:
    """After RESOURCE_EXHAUSTED a submit is sent again; after any other code it is not, and the error says if it may have acted."""
    stage = Stage()
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        assert submit(stage, CONNECTED, Failed(code), CONNECTED, OPERATION) is OPERATION
        assert len(stage.calls) == 2
    elif code is not grpc.StatusCode.UNAUTHENTICATED:
        error = failure(lambda: submit(stage, CONNECTED, Failed(code, "No.")))
        assert len(stage.calls) == error.attempts == 1
        assert error.ambiguous is (code in MAYBE_ACCEPTED)
        assert ("may have accepted" in str(error)) is error.ambiguous


def test_a_submit_waits_for_its_connection() -> None:
    """A submit goes out over a connection that stands, and waits for it rather than fail."""
    stage = Stage()
    submit(stage, CONNECTED, OPERATION)
    assert stage.steps == [Connect(20.0), Call(SUBMIT, REQUEST, 60.0, wait_for_ready=True)]


@pytest.mark.parametrize(("timeout", "expected"), [(None, 20.0), (5.0, 5.0), (60.0, 20.0)])
def test_the_connection_takes_no_longer_than_the_call(timeout: float | None, expected: float) -> None:
    """The wait for a connection ends with the call's own deadline, if that is earlier."""
    stage = Stage()
    submit(stage, CONNECTED, OPERATION, timeout=timeout)
    assert stage.steps[0] == Connect(expected)


def test_each_try_of_a_submit_has_a_bounded_wait_for_its_connection() -> None:
    """Also where there is no deadline: the server may be gone after a refusal, and a call that waits for it would wait for ever."""
    stage = Stage(retry=Retry(connect=7.0))
    refused = Failed(grpc.StatusCode.RESOURCE_EXHAUSTED)
    error = failure(lambda: submit(stage, CONNECTED, refused, "not here", Failed(grpc.StatusCode.UNAVAILABLE, "Gone."), timeout=None))
    assert [step for step in stage.steps if isinstance(step, Connect)] == [Connect(7.0), Connect(7.0)]
    assert [sent.wait_for_ready for sent in stage.calls] == [False, False]
    assert (error.code, error.ambiguous, error.attempts) == (grpc.StatusCode.UNAVAILABLE, False, 1)
    assert error.message == "not here, the service refused what was sent before: Gone."


@pytest.mark.parametrize("timeout", [float("inf"), 1e12, 10**400])
@pytest.mark.parametrize("method", [GET, SUBMIT], ids=["get", "submit"])
def test_a_timeout_beyond_all_clocks_is_none(timeout: float, method: Method) -> None:
    """Infinity, and what gRPC could not count, is no limit."""
    stage = Stage()
    before = [] if method.idempotent else [CONNECTED]
    assert stage.play(call(stage.context, method, QUESTION, timeout=timeout), *before, OPERATION) is OPERATION
    assert stage.calls[0].timeout is None


@pytest.mark.parametrize("timeout", [float("nan"), -1, -0.001, float("-inf"), "5", True, [5]])
@pytest.mark.parametrize("method", [GET, SUBMIT], ids=["get", "submit"])
def test_what_is_no_timeout(timeout: Any, method: Method) -> None:
    """What is no time is refused before any step is taken."""
    stage = Stage()
    with pytest.raises(ConfigError, match="timeout must be a number of seconds"):
        stage.play(call(stage.context, method, QUESTION, timeout=timeout))
    assert stage.steps == []


@pytest.mark.parametrize("code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED])
def test_a_submit_without_a_connection_is_not_sent(code: grpc.StatusCode) -> None:
    """Without a connection the submit is never sent: one unambiguous error with gRPC's reason, by way of a harmless call."""
    stage = Stage()
    error = failure(lambda: submit(stage, "no connection to host:443", Failed(code, "refused by the host")))
    assert [sent.method for sent in stage.calls] == [GET]
    assert (error.code, error.ambiguous, error.transient) == (grpc.StatusCode.UNAVAILABLE, False, True)
    assert "no connection to host:443, nothing was sent" in error.message
    if code is grpc.StatusCode.UNAVAILABLE:
        assert "refused by the host" in error.message


@pytest.mark.parametrize("answer", [OPERATION, Failed(grpc.StatusCode.NOT_FOUND)], ids=["reply", "refusal"])
def test_a_connection_that_comes_late_is_used(answer: object) -> None:
    """Where the harmless call is answered after all, the submit goes out."""
    stage = Stage()
    assert submit(stage, "no connection yet", answer, OPERATION) is OPERATION
    assert [sent.method for sent in stage.calls] == [GET, SUBMIT]


def test_a_connection_that_comes_too_late() -> None:
    """Where the deadline has passed once the connection stands, nothing is sent, and the error is not ambiguous."""
    stage = Stage()
    error = failure(lambda: submit(stage, stage.later(5.0, "no connection yet"), OPERATION, timeout=5.0))
    assert (error.code, error.ambiguous) == (grpc.StatusCode.DEADLINE_EXCEEDED, False)
    assert "before anything was sent" in error.message
    assert [sent.method for sent in stage.calls] == [GET]


def test_attempts_and_backoff_are_bounded() -> None:
    """Backoffs grow to their maximum, by the jitter's draw, and the attempts are counted in the error."""
    stage = Stage(retry=Retry(attempts=5, initial=1.0, multiplier=3.0, maximum=5.0), draw=0.5)
    error = failure(lambda: ask(stage, *[Failed(grpc.StatusCode.UNAVAILABLE)] * 5, timeout=None))
    assert stage.sleeps == [0.5, 1.5, 2.5, 2.5]
    assert error.attempts == 5
    assert "after 5 attempts" in str(error)
    assert isinstance(error.__cause__, Failed)


def test_the_deadline_is_that_of_all_attempts() -> None:
    """Each attempt gets what is left of the time, and no pause is begun that would outlast it."""
    stage = Stage(retry=Retry(attempts=9, initial=4.0, multiplier=1.0))
    error = failure(lambda: ask(stage, *[stage.later(1.0, Failed(grpc.StatusCode.INTERNAL))] * 3, timeout=12.0))
    assert [sent.timeout for sent in stage.calls] == [12.0, 7.0, 2.0]
    assert error.attempts == 3
    assert stage.now == 11.0


@pytest.mark.parametrize("method", [GET, SUBMIT], ids=["get", "submit"])
def test_retry_info_is_obeyed(method: Method) -> None:
    """A pause is never shorter than the server's RetryInfo asks for, also beyond the maximum."""
    stage = Stage(retry=Retry(initial=0.1, maximum=0.2))
    busy = Failed(grpc.StatusCode.RESOURCE_EXHAUSTED, "Quota.", retry_after(42.5))
    outcomes = [busy, OPERATION] if method.idempotent else [CONNECTED, busy, CONNECTED, OPERATION]
    assert stage.play(call(stage.context, method, QUESTION, timeout=60.0), *outcomes) is OPERATION
    assert stage.sleeps == [42.5]


def test_no_server_stops_a_client_for_longer_than_a_day() -> None:
    """RetryInfo has room for ten thousand years, which no clock can sleep."""
    stage = Stage()
    busy = Failed(grpc.StatusCode.RESOURCE_EXHAUSTED, "Quota.", retry_after(315_576_000_000))
    assert ask(stage, busy, OPERATION, timeout=None) is OPERATION
    assert stage.sleeps == [86_400.0]


def test_retry_info_beyond_the_deadline_ends_the_call() -> None:
    """Where the server asks for more time than is left, the call ends at once with its error."""
    stage = Stage()
    busy = Failed(grpc.StatusCode.RESOURCE_EXHAUSTED, "Quota.", retry_after(100))
    error = failure(lambda: submit(stage, CONNECTED, busy, timeout=60.0))
    assert stage.sleeps == []
    assert [type(detail).__name__ for detail in error.details] == ["RetryInfo"]
    assert not error.ambiguous


@pytest.mark.parametrize("method", [GET, SUBMIT], ids=["get", "submit"])
def test_a_refused_token_is_renewed_once(method: Method) -> None:
    """UNAUTHENTICATED is met by one more try with a new token, also for a submit, which was refused."""
    refused = Failed(grpc.StatusCode.UNAUTHENTICATED, "Expired.")
    before = [] if method.idempotent else [CONNECTED]
    stage = Stage()
    assert stage.play(call(stage.context, method, QUESTION, timeout=60.0), *before, refused, None, *before, OPERATION) is OPERATION
    assert [type(step) for step in stage.steps if type(step) is not Connect] == [Call, Reauthenticate, Call]
    stage = Stage()
    error = failure(lambda: stage.play(call(stage.context, method, QUESTION, timeout=60.0), *before, refused, None, *before, refused))
    assert (error.code, error.attempts, error.ambiguous) == (grpc.StatusCode.UNAUTHENTICATED, 2, False)


def test_no_credentials_end_a_call() -> None:
    """An AuthError is not repeated."""
    stage = Stage()
    with pytest.raises(AuthError, match="no key"):
        submit(stage, CONNECTED, AuthError("no key"))
    assert len(stage.calls) == 1


def test_a_delete_that_acted_before_it_failed() -> None:
    """NOT_FOUND on the second try of a delete whose first may have acted is success."""
    stage = Stage()
    request = DeleteOperationRequest(name="operations/1")
    flow = call(stage.context, DELETE, request, timeout=60.0)
    assert stage.play(flow, Failed(grpc.StatusCode.UNAVAILABLE), Failed(grpc.StatusCode.NOT_FOUND)) is None


@pytest.mark.parametrize(
    "before",
    [[], [Failed(grpc.StatusCode.UNAUTHENTICATED), None], [Failed(grpc.StatusCode.RESOURCE_EXHAUSTED)]],
    ids=["first", "after a new token", "after a quota"],
)
def test_a_delete_of_what_was_never_there(before: list[object]) -> None:
    """NOT_FOUND is an error where no earlier try can have deleted it."""
    stage = Stage()
    error = failure(lambda: ask(stage, *before, Failed(grpc.StatusCode.NOT_FOUND), method=DELETE))
    assert error.code is grpc.StatusCode.NOT_FOUND


def test_a_cancel_of_what_was_never_there() -> None:
    """NOT_FOUND ends a cancel with its error, on any try."""
    stage = Stage()
    error = failure(lambda: ask(stage, Failed(grpc.StatusCode.UNAVAILABLE), Failed(grpc.StatusCode.NOT_FOUND), method=CANCEL))
    assert error.code is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize(
    ("words", "ambiguous"),
    [
        ("Stream removed (CLIENT: Received message larger than max (5000 vs. 100))", True),
        ("CLIENT: Sent message larger than max (1000 vs. 100)", False),
        ("SERVER: Received message larger than max (3000 vs. 2000)", False),
        ("Stream removed (received metadata size exceeds hard limit (value length 20000 vs. 16384))", True),
        ("received metadata size exceeds hard limit (value length 20000 vs. 16384)", False),
    ],
)
def test_a_message_over_a_size_limit_is_not_sent_again(words: str, ambiguous: bool) -> None:
    """gRPC's own RESOURCE_EXHAUSTED is no quota: no retry, and ambiguous where it is the reply that was too large."""
    stage = Stage()
    error = failure(lambda: submit(stage, CONNECTED, Failed(grpc.StatusCode.RESOURCE_EXHAUSTED, words)))
    assert (error.attempts, error.ambiguous, error.transient) == (1, ambiguous, False)
    stage = Stage()
    assert failure(lambda: ask(stage, Failed(grpc.StatusCode.RESOURCE_EXHAUSTED, words))).attempts == 1


@pytest.mark.parametrize("status", [None, b"", b"\xff\xff"], ids=["none", "empty", "damaged"])
def test_an_error_without_readable_details(status: bytes | None) -> None:
    """Without details, or with damaged ones, the error still tells code and words."""
    error = call_error(GET, Failed(grpc.StatusCode.INTERNAL, "Oh.", status), 1)
    assert (error.code, error.message, error.details) == (grpc.StatusCode.INTERNAL, "Oh.", ())


def test_the_rpc_table() -> None:
    """Operations' methods may be repeated; ImageAnnotator's are billed and may not."""
    for name in ("AsyncBatchAnnotateImages", "AsyncBatchAnnotateFiles", "BatchAnnotateImages", "BatchAnnotateFiles"):
        method = annotator("v1", name)
        assert (method.idempotent, method.routing) == (False, "parent")
    for method in (GET, CANCEL, DELETE):
        assert (method.idempotent, method.routing) == (True, "name")


async def test_both_drivers_do_the_same() -> None:
    """run and arun answer a flow alike: replies are sent, gRPC's and credentials' errors thrown, all else passes through."""
    outcomes: list[object] = [CONNECTED, Failed(grpc.StatusCode.RESOURCE_EXHAUSTED), None, OPERATION]

    def perform(script: list[object], _: object) -> object:
        outcome = script.pop(0)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    async def aperform(script: list[object], step: object) -> object:
        return perform(script, step)

    stage = Stage()
    for ending in (OPERATION, AuthError("no key"), Failed(grpc.StatusCode.INTERNAL), KeyError("a bug")):
        sync, other = [*outcomes[:-1], ending], [*outcomes[:-1], ending]
        flows = [call(stage.context, SUBMIT, REQUEST, timeout=None) for _ in range(2)]
        results: list[object] = []
        try:
            results.append(run(flows[0], functools.partial(perform, sync)))
        except Exception as error:
            results.append(str(error))
        try:
            results.append(await arun(flows[1], functools.partial(aperform, other)))
        except Exception as error:
            results.append(str(error))
        assert results[0] == results[1]
        assert not sync
        assert not other
