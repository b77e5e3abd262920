"""google.longrunning.Operations: get, wait, list, cancel, delete, and operations over a restart."""

import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import grpc
import pytest

from tests.until import until
from vision_grpc.emulator import Emulator, Fault, VirtualClock

from .conftest import Connect, Serve
from .raw import TIMEOUT, Raw, State, batch, metadata_of

HOUR = 3600


def code_of(call: Callable[[], object]) -> tuple[grpc.StatusCode, str]:
    """The status that a call fails with."""
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return caught.value.code(), caught.value.details() or ""


@pytest.mark.parametrize(
    ("parent", "shapes"),
    [
        ("projects/p", ["projects/p/operations/{}", "operations/{}"]),
        (
            "projects/p/locations/eu",
            ["projects/p/locations/eu/operations/{}", "projects/p/operations/{}", "locations/eu/operations/{}", "operations/{}"],
        ),
    ],
)
def test_names_are_accepted_in_every_shape(raw: Raw, parent: str, shapes: list[str]) -> None:
    """An operation is found by each of the four shapes of its name, and always answers with its full one."""
    name = raw.submit(batch(["gs://pics/a.png"], parent=parent)).name
    for shape in shapes:
        assert raw.get(shape.format(name.rpartition("/")[2])).name == name


def test_unknown_operations_are_not_found(raw: Raw) -> None:
    """Get, wait, cancel and delete answer NOT_FOUND to unknown names, also to known ids in the wrong place."""
    known = raw.submit(batch(["gs://pics/a.png"], parent="projects/p")).name.rpartition("/")[2]
    names = [
        "projects/p/operations/0123456789abcdef", f"projects/q/operations/{known}", f"projects/p/locations/eu/operations/{known}",
        "nonsense", "x" * 10_000, "operations/../operations/x", "projects/p/operations/\0", "\N{SNOWMAN}",
    ]  # fmt: skip
    for name in names:
        for call in (raw.get, raw.wait, raw.cancel, raw.delete):
            assert code_of(lambda call=call, name=name: call(name))[0] is grpc.StatusCode.NOT_FOUND  # type: ignore[misc]


def test_an_empty_name_is_invalid(raw: Raw) -> None:
    """A request without a name is refused as such."""
    assert code_of(lambda: raw.get(""))[0] is grpc.StatusCode.INVALID_ARGUMENT


def test_wait_returns_the_state_at_its_timeout(serve: Serve, connect: Connect) -> None:
    """WaitOperation ends with the present state when its own timeout is over, without an error."""
    raw = connect(serve(faults=[Fault.stall()]))
    name = raw.submit(batch(["gs://pics/a.png"])).name
    started = time.monotonic()
    operation = raw.wait(name, 0.2)
    assert 0.15 < time.monotonic() - started < TIMEOUT / 2
    assert not operation.done
    assert metadata_of(operation).state == State.RUNNING
    assert not raw.wait(name, 0).done
    assert not raw.wait(name, -5).done


def test_wait_ends_before_the_callers_deadline(serve: Serve, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wait without a timeout, or with a longer one, answers the present state just before the call's own deadline."""
    # "Just before" is long before here: the caller's deadline is real, and a busy machine needs its time for the reply.
    monkeypatch.setattr("vision_grpc.emulator.longrunning._MARGIN", 40.0)
    raw = connect(serve(faults=[Fault.stall()]))
    name = raw.submit(batch(["gs://pics/a.png"])).name
    assert not raw.wait(name, timeout=40.5).done
    assert not raw.wait(name, HOUR, timeout=40.5).done


def test_wait_answers_as_soon_as_the_operation_ends(serve: Serve, connect: Connect) -> None:
    """A waiting call returns when the operation is done, not later."""
    server = serve(faults=[Fault.stall()])
    raw = connect(server)
    name = raw.submit(batch(["gs://pics/a.png"])).name
    results = []
    thread = threading.Thread(target=lambda: results.append(raw.wait(name, HOUR)))
    thread.start()
    until(lambda: any(call.method == "WaitOperation" for call in server.calls), "the WaitOperation")
    server.faults.release()
    thread.join()
    assert [result.done for result in results] == [True]


def test_wait_obeys_virtual_time(serve: Serve, connect: Connect) -> None:
    """Both the operation's hour and the wait's timeout pass when the clock is moved, and not otherwise."""
    clock = VirtualClock()
    server = serve(clock=clock, operation_seconds=HOUR)
    raw = connect(server)
    name = raw.submit(batch(["gs://pics/a.png"])).name
    results = []
    thread = threading.Thread(target=lambda: results.append(raw.wait(name, HOUR / 2)))
    thread.start()
    until(lambda: len(clock._sleepers) == 2, "the operation and the wait, both asleep")
    clock.advance(HOUR / 2 - 1)
    assert not results
    clock.advance(1)
    thread.join()
    assert not results[0].done
    clock.advance(HOUR)
    assert raw.wait(name).done


def test_cancel_stops_the_work(serve: Serve, connect: Connect, outputs: Path) -> None:
    """A cancelled operation is done with error code 1 in state CANCELLED; images not begun are never annotated."""
    begun, go_on = threading.Semaphore(0), threading.Event()
    count = 0

    def annotate(content: bytes, request: bytes) -> bytes:
        nonlocal count
        count += 1
        begun.release()
        go_on.wait(60)
        return b""

    server = serve(annotator=annotate, workers=1)
    raw = connect(server)
    name = raw.submit(batch(["gs://pics/a.png"] * 50, size=1)).name
    assert begun.acquire(timeout=60)
    raw.cancel(name)
    operation = raw.get(name)
    go_on.set()
    assert operation.done
    assert operation.error.code == 1
    assert metadata_of(operation).state == State.CANCELLED
    server.stop()
    assert count < 50
    assert list(outputs.iterdir()) == []


def test_cancelling_a_queued_operation_takes_it_out_of_the_queue(serve: Serve, connect: Connect) -> None:
    """An operation that waits for the quota is cancelled too, and what is behind it moves up."""
    server = serve(max_images_processing=1, faults=[Fault.stall()])
    raw = connect(server)
    names = [raw.submit(batch(["gs://pics/a.png"], f"gs://out/{n}/")).name for n in range(3)]
    raw.cancel(names[1])
    assert raw.get(names[1]).error.code == 1
    server.faults.release()
    assert raw.wait(names[2]).WhichOneof("result") == "response"
    assert raw.get(names[1]).error.code == 1


def test_cancelling_the_head_of_the_queue_lets_the_next_in(serve: Serve, connect: Connect) -> None:
    """A small operation that waited only behind a cancelled one runs at once, beside the one that runs."""
    raw = connect(serve(max_images_processing=3, faults=[Fault.stall()]))
    running, large, small = (raw.submit(batch(["gs://pics/a.png"] * images, f"gs://out/{n}/")).name for n, images in enumerate((2, 2, 1)))
    assert [metadata_of(raw.get(name)).state for name in (running, large, small)] == [State.RUNNING, State.CREATED, State.CREATED]
    raw.cancel(large)
    assert raw.wait(small, 30).done
    assert not raw.get(running).done


def test_cancelling_what_is_done_changes_nothing(raw: Raw) -> None:
    """Cancel is a best effort: a finished operation keeps its response, and the call succeeds."""
    name = raw.submit(batch(["gs://pics/a.png"])).name
    before = raw.wait(name)
    raw.cancel(name)
    assert raw.get(name) == before


def test_delete_forgets_but_does_not_cancel(serve: Serve, connect: Connect, outputs: Path) -> None:
    """A deleted operation is NOT_FOUND, and its work goes on, as google.longrunning says."""
    server = serve(faults=[Fault.stall()])
    raw = connect(server)
    name = raw.submit(batch(["gs://pics/a.png"])).name
    raw.delete(name)
    assert code_of(lambda: raw.get(name))[0] is grpc.StatusCode.NOT_FOUND
    assert not raw.list().operations
    server.faults.release()
    until((outputs / "output-1-to-1.json").exists, "the output")


def test_list_is_newest_first_in_pages(raw: Raw) -> None:
    """Pages hold page_size operations, newest first; operations that arrive meanwhile shift nothing."""
    names = [raw.submit(batch(["gs://pics/a.png"], f"gs://out/{n}/")).name for n in range(5)]
    first = raw.list(page_size=2)
    raw.submit(batch(["gs://pics/a.png"], "gs://out/late/"))
    second = raw.list(page_size=2, page_token=first.next_page_token)
    third = raw.list(page_size=2, page_token=second.next_page_token)
    assert [o.name for page in (first, second, third) for o in page.operations] == names[::-1]
    assert third.next_page_token == ""
    assert first.operations[0].HasField("metadata")


def test_list_filters_by_state(serve: Serve, connect: Connect) -> None:
    """done and metadata.state select, with = and !=, joined by AND."""
    server = serve(faults=[Fault.stall(nth=2)])
    raw = connect(server)
    done, running, cancelled = (raw.submit(batch(["gs://pics/a.png"], f"gs://out/{n}/")).name for n in range(3))
    raw.wait(done)
    raw.wait(cancelled)
    stalled = serve(faults=[Fault.stall(times=None)])
    assert {o.name for o in raw.list(filter="done=true").operations} == {done, cancelled}
    assert [o.name for o in raw.list(filter="done = false").operations] == [running]
    assert [o.name for o in raw.list(filter='metadata.state = "RUNNING"').operations] == [running]
    assert {o.name for o in raw.list(filter="metadata.state != RUNNING AND done=true").operations} == {done, cancelled}
    assert not raw.list(filter="metadata.state=CANCELLED").operations
    raw.cancel(running)
    assert [o.name for o in raw.list(filter="metadata.state=CANCELLED").operations] == [running]
    assert not connect(stalled).list().operations


def test_list_by_parent(raw: Raw) -> None:
    """Only operations of the project and location that are named are listed; "operations" and nothing mean all."""
    here = raw.submit(batch(["gs://pics/a.png"], "gs://out/1/", parent="projects/p/locations/eu")).name
    there = raw.submit(batch(["gs://pics/a.png"], "gs://out/2/", parent="projects/q")).name
    for name, expected in {
        "": [there, here], "operations": [there, here], "projects/p": [here], "projects/q": [there], "projects/p/locations/eu": [here],
        "projects/p/locations/us": [], "projects/p/locations/-": [here], "projects/p/operations": [here], "projects/r": [],
    }.items():  # fmt: skip
        assert [o.name for o in raw.list(name=name).operations] == expected


@pytest.mark.parametrize(
    "fields",
    [
        {"filter": "done"}, {"filter": "state=RUNNING"}, {"filter": "done=maybe"}, {"filter": "done=true OR done=false"},
        {"filter": "metadata.state=FAILED"}, {"filter": "x" * 10_000}, {"page_size": -1}, {"page_token": "x"},
        {"page_token": "\N{SNOWMAN}"}, {"page_token": "MTIuMTI="}, {"filter": "AND"}, {"name": "buckets/b"}, {"name": "x" * 10_000},
    ],
)  # fmt: skip
def test_what_list_does_not_understand_is_invalid(raw: Raw, fields: dict[str, str]) -> None:
    """A filter outside the grammar, a strange page token, size or parent is refused in words."""
    code, details = code_of(lambda: raw.list(**fields))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert details


def test_a_page_token_is_bound_to_its_question(raw: Raw) -> None:
    """The token of one filter is refused with another."""
    for number in range(2):
        raw.submit(batch(["gs://pics/a.png"], f"gs://out/{number}/"))
    token = raw.list(page_size=1).next_page_token
    assert token
    assert code_of(lambda: raw.list(page_token=token, filter="done=true"))[0] is grpc.StatusCode.INVALID_ARGUMENT


def test_partial_success_is_unimplemented(raw: Raw) -> None:
    """return_partial_success is answered as google.longrunning says of servers without it."""
    assert code_of(lambda: raw.list(return_partial_success=True))[0] is grpc.StatusCode.UNIMPLEMENTED


def test_operations_outlive_a_restart(serve: Serve, connect: Connect, tmp_path: Path, outputs: Path) -> None:
    """With a state file, what was done is still there, what was running runs again, what was deleted stays away."""
    state = tmp_path / "operations.db"
    server = serve(state=state, faults=[Fault.stall(nth=2)])
    raw = connect(server)
    done = raw.wait(raw.submit(batch(["gs://pics/a.png"], "gs://out/1/", parent="projects/p/locations/eu")).name)
    running = raw.submit(batch(["gs://pics/a.png"] * 3, "gs://out/2/", size=2)).name
    gone = raw.wait(raw.submit(batch(["gs://pics/a.png"], "gs://out/3/")).name).name
    raw.delete(gone)
    server.stop()
    assert not (outputs / "2").exists()

    again = connect(serve(state=state))
    assert again.get(done.name) == done
    operation = again.wait(running)
    assert operation.WhichOneof("result") == "response"
    assert metadata_of(operation).create_time.seconds > 0
    assert {path.name for path in (outputs / "2").iterdir()} == {"output-1-to-2.json", "output-3-to-3.json"}
    assert code_of(lambda: again.get(gone))[0] is grpc.StatusCode.NOT_FOUND
    assert [o.name for o in again.list().operations] == [running, done.name]


def test_page_tokens_outlive_a_restart(serve: Serve, connect: Connect, tmp_path: Path) -> None:
    """A page asked for after a restart goes on where the last one ended, also where an older operation was deleted."""
    state = tmp_path / "operations.db"
    server = serve(state=state)
    raw = connect(server)
    names = [raw.submit(batch(["gs://pics/a.png"], f"gs://out/{n}/")).name for n in range(5)]
    raw.delete(names.pop(0))
    first = raw.list(page_size=2)
    server.stop()
    again = connect(serve(state=state))
    late = again.submit(batch(["gs://pics/a.png"], "gs://out/late/")).name
    second = again.list(page_size=2, page_token=first.next_page_token)
    assert [o.name for page in (first, second) for o in page.operations] == names[::-1]
    assert [o.name for o in again.list().operations] == [late, *names[::-1]]


def test_a_state_file_has_one_server(serve: Serve, tmp_path: Path) -> None:
    """A second server on the same file is refused at once, or it would run every unfinished operation again."""
    state = tmp_path / "operations.db"
    server = serve(state=state)
    with pytest.raises(OSError, match="locked"):
        serve(state=state)
    server.stop()
    serve(state=state)


def test_a_state_file_of_something_else_is_refused(tmp_path: Path) -> None:
    """A file that is no journal ends the start in one sentence and is left as it was; another program's database ends it too."""
    state = tmp_path / "notes.txt"
    state.write_text("my notes, not a database, and quite a bit of text at that" * 20)
    with pytest.raises(OSError, match=r"notes\.txt cannot hold the operations"):
        Emulator(buckets={}, annotator=lambda content, request: b"", state=state).start()
    assert state.read_text().startswith("my notes")
    other = tmp_path / "other.db"
    with closing(sqlite3.connect(other)) as database:
        database.execute("CREATE TABLE operations (surgeon TEXT)")
    with pytest.raises(OSError, match=r"other\.db cannot hold the operations"):
        Emulator(buckets={}, annotator=lambda content, request: b"", state=other).start()
    with closing(sqlite3.connect(tmp_path / "theirs.db")) as database:
        database.execute("CREATE TABLE patients (name TEXT)")
        with pytest.raises(OSError, match=r"theirs\.db cannot hold the operations \(it is another program's database\)"):
            Emulator(buckets={}, annotator=lambda content, request: b"", state=tmp_path / "theirs.db").start()
        database.execute("INSERT INTO patients VALUES ('x')")
        assert database.execute("PRAGMA journal_mode").fetchone() == ("delete",)
        assert database.execute("SELECT name FROM sqlite_master").fetchall() == [("patients",)]
