"""Scripted faults: by call, by operation, by bucket."""

import dataclasses
import threading
import time
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from tests.until import until
from vision_grpc.emulator import Fault, Faults, VirtualClock

from .conftest import Connect, Serve
from .raw import TIMEOUT, Raw, State, batch, metadata_of

Code = grpc.StatusCode
SUBMIT = "AsyncBatchAnnotateImages"


def failure(call: Callable[[], object]) -> grpc.Call:
    """The error that a call ends in."""
    with pytest.raises(grpc.RpcError) as caught:
        call()
    error = caught.value
    assert isinstance(error, grpc.Call)
    return error


def submit(raw: Raw) -> str:
    """Submits one image."""
    return raw.submit(batch(["gs://pics/a.png"])).name


@pytest.mark.parametrize("code", [code for code in Code if code is not Code.OK])
def test_fail_answers_with_any_code(serve: Serve, connect: Connect, code: grpc.StatusCode) -> None:
    """Each of the 16 codes reaches the caller with its words, and nothing was accepted."""
    raw = connect(serve(faults=[Fault.fail(SUBMIT, code, "out of order")]))
    error = failure(lambda: submit(raw))
    assert (error.code(), error.details()) == (code, "out of order")
    assert not raw.list().operations


def test_fail_hits_the_nth_call_so_many_times(serve: Serve, connect: Connect) -> None:
    """Calls before and after the hit ones, and calls of other methods, pass."""
    raw = connect(serve(faults=[Fault.fail("GetOperation", Code.INTERNAL, nth=2, times=2)]))
    name = submit(raw)
    raw.wait(name)
    codes = []
    for _ in range(5):
        try:
            raw.get(name)
            codes.append(Code.OK)
        except grpc.RpcError as error:
            codes.append(error.code())
    assert codes == [Code.OK, Code.INTERNAL, Code.INTERNAL, Code.OK, Code.OK]


def test_faults_count_from_when_they_are_added(serve: Serve, connect: Connect) -> None:
    """A fault added to a running server hits the next call, not one long past; once removed it hits none."""
    server = serve()
    raw = connect(server)
    name = submit(raw)
    fault = Fault.fail("GetOperation", Code.ABORTED, times=None)
    raw.get(name)
    server.faults.add(fault)
    for _ in range(2):
        assert failure(lambda: raw.get(name)).code() is Code.ABORTED
    server.faults.remove(fault)
    raw.get(name)


def test_status_details_travel(serve: Serve, connect: Connect) -> None:
    """A serialised google.rpc.Status arrives as grpc-status-details-bin, so that ErrorInfo and RetryInfo can be sent."""
    status = status_pb2.Status(code=8, message="slow down")
    info = error_details_pb2.RetryInfo()
    info.retry_delay.FromSeconds(3)
    status.details.add().Pack(info)
    raw = connect(serve(faults=[Fault.fail(SUBMIT, Code.RESOURCE_EXHAUSTED, "slow down", status_details=status.SerializeToString())]))
    trailing = dict(failure(lambda: submit(raw)).trailing_metadata() or ())
    assert trailing["grpc-status-details-bin"] == status.SerializeToString()


def test_an_accepted_submit_whose_reply_is_lost_leaves_one_operation(serve: Serve, connect: Connect) -> None:
    """accepted=True does the work first: the caller sees an error, the list shows the operation."""
    faults = [
        Fault.fail(SUBMIT, Code.UNAVAILABLE, accepted=True),
        Fault.drop(SUBMIT, nth=2, accepted=True),
        Fault.hang(SUBMIT, nth=3, accepted=True),
    ]
    server = serve(faults=faults)
    observer = connect(server)
    for count, code in enumerate((Code.UNAVAILABLE, Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED), start=1):
        # A channel of its own each time: on a connection that was cut, also the next call may be lost.
        raw = connect(server)
        assert len(raw.list().operations) == count - 1
        # The deadline that passes is real; until then a busy machine must have got the request to the server.
        timeout = 5.0 if code is Code.DEADLINE_EXCEEDED else TIMEOUT
        assert failure(lambda raw=raw, timeout=timeout: raw.submit(batch(["gs://pics/a.png"]), timeout=timeout)).code() is code  # type: ignore[misc]
        assert len(observer.list().operations) == count


@pytest.mark.parametrize("tls", [None, True])
def test_drop_cuts_the_connection(serve: Serve, tls: bool | None) -> None:
    """The connection is cut under the call, which the caller learns at once, and nothing was accepted; TLS or not."""
    server = serve(faults=[Fault.drop(SUBMIT)], tls=tls)

    def open_channel() -> grpc.Channel:
        options = [("grpc.use_local_subchannel_pool", 1)]
        if not tls:
            return grpc.insecure_channel(server.target, options)
        return grpc.secure_channel(server.target, grpc.ssl_channel_credentials(server.root_certificate), options)

    with open_channel() as channel:
        started = time.monotonic()
        assert failure(lambda: submit(Raw(channel))).code() is Code.UNAVAILABLE
        assert time.monotonic() - started < TIMEOUT / 2
    with open_channel() as channel:
        assert not Raw(channel).list().operations
        submit(Raw(channel))


def test_drop_cuts_only_the_callers_connection(serve: Serve, connect: Connect) -> None:
    """A call that waits on another connection goes on."""
    server = serve(faults=[Fault.drop("GetOperation"), Fault.stall()])
    one, other = connect(server), connect(server)
    name = submit(one)
    results = []
    waiting = threading.Thread(target=lambda: results.append(other.wait(name)))
    waiting.start()
    until(lambda: any(call.method == "WaitOperation" for call in server.calls), "the WaitOperation")
    assert failure(lambda: one.get(name)).code() is Code.UNAVAILABLE
    server.faults.release()
    waiting.join()
    assert results[0].done


def test_hang_ends_at_the_callers_deadline(serve: Serve, connect: Connect) -> None:
    """A hanging call answers nothing, and the server goes on serving others."""
    raw = connect(serve(faults=[Fault.hang("GetOperation", times=None)]))
    name = submit(raw)
    assert failure(lambda: raw.get(name, timeout=0.3)).code() is Code.DEADLINE_EXCEEDED
    assert raw.wait(name).done


def test_delay_holds_replies(serve: Serve, connect: Connect) -> None:
    """The reply comes after that time of the server's clock, with the work already done."""
    clock = VirtualClock()
    server = serve(clock=clock, faults=[Fault.delay(SUBMIT, 60)])
    raw = connect(server)
    replies = []
    thread = threading.Thread(target=lambda: replies.append(submit(raw)))
    thread.start()
    until(lambda: raw.list().operations, "the operation")
    assert not replies
    while thread.is_alive():
        clock.advance(60)
        thread.join(0.01)
    assert raw.wait(replies[0]).done


@pytest.mark.parametrize("method", ["WaitOperation", "ListOperations", "CancelOperation", "DeleteOperation"])
def test_methods_can_be_missing(serve: Serve, connect: Connect, method: str) -> None:
    """UNIMPLEMENTED is answered to every call of the method, as the real service does for Wait."""
    raw = connect(serve(faults=[Fault.unimplemented(method)]))
    name = submit(raw)
    calls: dict[str, Callable[[], object]] = {
        "WaitOperation": lambda: raw.wait(name), "ListOperations": raw.list, "CancelOperation": lambda: raw.cancel(name),
        "DeleteOperation": lambda: raw.delete(name),
    }  # fmt: skip
    for _ in range(3):
        assert failure(calls[method]).code() is Code.UNIMPLEMENTED
    raw.get(name)


def test_a_stalled_operation_runs_until_released(serve: Serve, connect: Connect) -> None:
    """Only the n-th operation stalls; release() lets it end, and cancelling one of several leaves the others stalled."""
    server = serve(faults=[Fault.stall(nth=2, times=2)])
    raw = connect(server)
    first, second, third = (submit(raw) for _ in range(3))
    assert raw.wait(first).done
    raw.cancel(second)
    assert not raw.wait(third, 0.1).done
    assert metadata_of(raw.get(third)).state == State.RUNNING
    server.faults.release()
    assert raw.wait(third).WhichOneof("result") == "response"
    assert raw.get(second).error.code == 1


def test_removing_a_stall_releases_what_it_holds(serve: Serve, connect: Connect) -> None:
    """Disarming is letting go: remove() and clear() both."""
    server = serve()
    raw = connect(server)
    ways: list[Callable[[Fault], None]] = [server.faults.remove, lambda _: server.faults.clear()]
    for disarm in ways:
        fault = Fault.stall()
        server.faults.add(fault)
        name = submit(raw)
        assert not raw.wait(name, 0.05).done
        disarm(fault)
        assert raw.wait(name).done


def test_operations_last_in_virtual_time(serve: Serve, connect: Connect) -> None:
    """last() is for one operation, slow() for each of its images; a day passes when the clock is told so."""
    clock = VirtualClock()
    raw = connect(serve(clock=clock, faults=[Fault.last(86_400, times=1), Fault.slow(10, nth=2, times=1)]))
    day, slow, quick = (
        raw.submit(batch(["gs://pics/a.png"], "gs://out/1/")),
        raw.submit(batch(["gs://pics/a.png"] * 3, "gs://out/2/")),
        submit(raw),
    )
    assert raw.wait(quick).done
    clock.advance(29)
    assert not raw.get(slow.name).done
    clock.advance(1)
    assert raw.wait(slow.name).done
    assert not raw.get(day.name).done
    clock.advance(86_370)
    assert raw.wait(day.name).done


def test_an_operation_can_fail_as_a_whole(serve: Serve, connect: Connect, outputs: Path) -> None:
    """The operation ends in the given error and writes nothing."""
    raw = connect(serve(faults=[Fault.fail_operation(Code.INTERNAL, "lost a machine")]))
    operation = raw.wait(submit(raw))
    assert (operation.error.code, operation.error.message) == (13, "lost a machine")
    assert not list(outputs.iterdir())


def test_buckets_can_be_unreadable_and_unwritable(serve: Serve, connect: Connect, outputs: Path) -> None:
    """An unreadable bucket costs its images, an unwritable one the operation; both heal when the fault is removed."""
    server = serve()
    raw = connect(server)
    unreadable, unwritable = Fault.unreadable("pics"), Fault.unwritable("out")
    server.faults.add(unreadable)
    assert raw.wait(submit(raw)).WhichOneof("result") == "response"
    assert '"code": 7' in (outputs / "output-1-to-1.json").read_text()
    server.faults.remove(unreadable)
    server.faults.add(unwritable)
    operation = raw.wait(submit(raw))
    assert (operation.error.code, operation.error.message) == (7, "Error writing final output to: gs://out/output-1-to-1.json")
    server.faults.remove(unwritable)
    assert raw.wait(submit(raw)).WhichOneof("result") == "response"
    assert '"code"' not in (outputs / "output-1-to-1.json").read_text()


@pytest.mark.parametrize(
    "make",
    [
        lambda: Fault.fail("Poll", Code.INTERNAL), lambda: Fault.fail(SUBMIT, Code.OK), lambda: Fault.fail(SUBMIT, Code.INTERNAL, nth=0),
        lambda: Fault.drop(SUBMIT, times=0), lambda: Fault.delay(SUBMIT, -1), lambda: Fault.last(float("nan")),
        lambda: Fault.fail("", Code.INTERNAL), lambda: Fault.unreadable("gs://pics"),
        lambda: Fault.unwritable("out/run"), lambda: Fault.unreadable(""), lambda: Fault.unreadable("Bad_Name"),
        lambda: Fault.fail(SUBMIT, "UNAVAILABLE"), lambda: Fault.fail_operation(13),  # type: ignore[arg-type]
        lambda: Fault.fail(SUBMIT, Code.INTERNAL, 5), lambda: Fault.fail(SUBMIT, Code.INTERNAL, status_details="x"),  # type: ignore[arg-type]
        lambda: Fault.stall(nth="2"), lambda: Fault.stall(times=1.5), lambda: Fault.last("5"),  # type: ignore[arg-type]
    ],
)  # fmt: skip
def test_nonsense_faults_are_refused(make: Callable[[], Fault]) -> None:
    """A fault that could never hit is a ValueError at once, in one sentence."""
    with pytest.raises(ValueError, match=r"^Fault: [^\n]+\.$"):
        make()


def test_what_is_no_fault_is_refused() -> None:
    """Only a Fault can be armed, and nothing is where one of several is none."""
    faults = Faults()
    with pytest.raises(ValueError, match="one of faults is 'stall'"):
        faults.add(Fault.unimplemented("GetOperation"), "stall")  # type: ignore[arg-type]
    assert not faults.for_call("GetOperation")


def test_a_fault_is_frozen() -> None:
    """Faults are values: they cannot be changed after they are armed."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        Fault.stall().nth = 2  # type: ignore[misc]


def test_faults_of_one_call_hit_in_the_order_of_arming() -> None:
    """All faults that are due are returned, each with its own count."""
    delay, fail = Fault.delay("GetOperation", 1), Fault.fail("GetOperation", Code.INTERNAL, nth=2)
    faults = Faults([delay, fail])
    assert [faults.for_call("GetOperation") for _ in range(3)] == [[delay], [delay, fail], [delay]]
    assert faults.for_call("ListOperations") == []
