"""What a ledger keeps, refuses and survives."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from vision_grpc import LedgerError, v1
from vision_grpc._job.template import Template
from vision_grpc._ledger.part import Part
from vision_grpc.job import read_standing
from vision_grpc.ledger import Failure, Ledger, LedgerReader, State

SETTINGS = {"output": "gs://out/", "features": ["text"]}
TEXT = Template.of("text", None)


def part(first: int, images: int) -> Part:
    return TEXT.pack(first, [f"gs://photos/{index}.jpg" for index in range(first, first + images)])


def begun(path: Path, **settings: object) -> Ledger:
    ledger = Ledger(path)
    ledger.begin({**SETTINGS, **settings})
    return ledger


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the ledger lies."""
    return tmp_path / "job.db"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    """A ledger with two planned requests of three images."""
    ledger = begun(path)
    ledger.plan([part(0, 3), part(3, 3)])
    yield ledger
    ledger.close()


def test_life_of_a_request(ledger: Ledger) -> None:
    """A request goes from planned to collected, and each step can be read back with what it brought."""
    ledger.intend(1, 2.5)
    assert (ledger.row(1).state, ledger.row(1).cost) == (State.SUBMITTING, 2.5)
    assert ledger.row(1).sent is not None
    ledger.accepted(1, "operations/a")
    assert (ledger.row(1).state, ledger.row(1).operation, ledger.last_operation) == (State.RUNNING, "operations/a", "operations/a")
    ledger.ended(1)
    assert (ledger.row(1).state, ledger.row(1).code) == (State.DONE, None)
    failure = Failure(2, 1, 1, 5, "not found", False)
    assert ledger.collected([(1, 2, [failure])]) is None
    assert ledger.row(1).state is State.COLLECTED
    assert list(ledger.failures()) == ledger.history(2) == [failure]
    assert ledger.history(1) == ledger.history(99) == []
    (tally,) = [tally for tally in ledger.tallies() if tally.state is State.COLLECTED]
    assert (tally.requests, tally.images, tally.ok, tally.failed, tally.sent, tally.cost) == (1, 3, 2, 1, 3, 2.5)


def test_refused_request_is_planned_again(ledger: Ledger) -> None:
    """A request that was provably not accepted counts as never sent."""
    ledger.intend(1, 2.5)
    ledger.refused(1, "no quota")
    row = ledger.row(1)
    assert (row.state, row.sent, row.cost, row.error) == (State.PLANNED, None, 0.0, "no quota")


def test_states_do_not_skip(ledger: Ledger) -> None:
    """A step that does not follow from the state is refused, and changes nothing."""
    steps: list[Callable[[], None]] = [
        partial(ledger.accepted, 1, "operations/a"),
        partial(ledger.refused, 1, ""),
        partial(ledger.ended, 1),
    ]
    for step in steps:
        with pytest.raises(LedgerError, match="changed by another program"):
            step()
    assert ledger.row(1).state is State.PLANNED


def test_images_sent_again_are_a_new_request(ledger: Ledger) -> None:
    """Failed images make a request that knows its parent, its attempt and the images' places; the history follows them."""
    ledger.intend(1, 0)
    ledger.accepted(1, "operations/a")
    ledger.ended(1)
    first = [Failure(0, 1, 1, 13, "internal", True), Failure(2, 1, 1, 14, "unavailable", True)]
    child = ledger.collected([(1, 1, first)], ledger.part(1).select([0, 2]))
    assert child == 3
    row = ledger.row(3)
    assert (row.parent, row.attempt, row.first, row.images) == (1, 2, 0, 2)
    assert ledger.part(3).uris() == ["gs://photos/0.jpg", "gs://photos/2.jpg"]
    assert list(ledger.part(3).indices()) == [0, 2]
    assert ledger.child(1) == row
    ledger.intend(3, 0)
    ledger.ended(3, 3, "bad image")
    second = Failure(2, 3, 2, 3, "bad image", False)
    ledger.collected([(3, 1, [second])])
    assert ledger.history(2) == [first[1], second]
    assert ledger.history(0) == [first[0]]


def test_absent_request_becomes_another(ledger: Ledger) -> None:
    """A request proved never to have been accepted keeps its row, costs nothing, and its images wait in a new one."""
    ledger.intend(2, 7.0)
    ledger.doubted(2, "reply lost")
    child = ledger.absent(2, "not accepted")
    assert ledger.row(2).state is State.COLLECTED
    assert (ledger.row(child).state, ledger.row(child).attempt, ledger.part(child).uris()) == (State.PLANNED, 1, ledger.part(2).uris())
    assert sum(tally.cost for tally in ledger.tallies()) == 0


def test_heads_come_in_the_order_of_the_input(ledger: Ledger) -> None:
    """The next uncollected request is found by its first image, and a child waits while its parent does."""
    ledger.plan_again(1, ledger.part(1).select([1]), attempt=2)
    head = ledger.head(-1)
    assert head is not None
    assert head.number == 1
    head = ledger.head(head.first)
    assert head is not None
    assert head.number == 2
    assert ledger.head(head.first) is None


def test_resume_finds_everything(path: Path) -> None:
    """What was being sent becomes unknown at a resume; all else is as it was."""
    ledger = begun(path)
    assert not ledger.resumed
    job = ledger.job
    ledger.plan([part(0, 2), part(2, 2), part(4, 1)])
    ledger.intend(1, 0)
    ledger.intend(2, 0)
    ledger.accepted(2, "operations/b")
    ledger.plan_ends(5)
    ledger.close()
    ledger.close()
    ledger = begun(path)
    assert (ledger.resumed, ledger.job, ledger.total, ledger.planned_images()) == (True, job, 5, 5)
    assert [row.state for row in ledger.rows(*State)] == [State.UNKNOWN, State.RUNNING, State.PLANNED]
    assert ledger.plan([part(5, 1)]) == [4]
    ledger.close()


def test_other_settings_are_refused(path: Path) -> None:
    """A resume with other settings is refused in words that name the setting and both values."""
    ledger = begun(path)
    ledger.plan([part(0, 1)])
    ledger.close()
    with pytest.raises(LedgerError, match=r'features was \["text"\] and is now \["faces"\]'):
        begun(path, features=["faces"])
    begun(path).close()


def test_ledger_without_requests_takes_other_settings(path: Path) -> None:
    """A job whose first input was wrong leaves a ledger that the corrected job may use; one that was without any input is over."""
    begun(path).close()
    ledger = begun(path, features=["faces"])
    assert ledger.settings["features"] == '["faces"]'
    ledger.plan_ends(0)
    ledger.close()
    with pytest.raises(LedgerError, match="features was"):
        begun(path)
    begun(path, features=["faces"]).close()


def test_one_writer_at_a_time(ledger: Ledger, path: Path) -> None:
    """A second writer is told who holds the ledger, in this process and in another; a reader is not disturbed."""
    with pytest.raises(LedgerError, match="already open for writing in this process"):
        begun(path)
    code = f"from vision_grpc.ledger import Ledger\nLedger({str(path)!r}).begin({SETTINGS!r})"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert other.returncode
    assert f"is in use: process {os.getpid()} on " in other.stderr
    with LedgerReader(path) as reader:
        assert reader.job == ledger.job
        ledger.intend(1, 0)
        assert reader.row(1).state is State.SUBMITTING


def test_read_where_nothing_may_be_written() -> None:
    """Who may read a ledger, and not write to its folder, sees how the job stands once it has ended, too."""
    # Below a folder that another user may enter; root may write anywhere, and becomes another.
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "job.db")
        begun(path, output="gs://out/").close()
        Path(folder).chmod(0o555)
        code = (
            "import os\nfrom vision_grpc.job import read_standing\nif os.getuid() == 0:\n    os.setuid(65534)\n"
            f"assert not os.access({folder!r}, os.W_OK)\nprint(read_standing({str(path)!r}).output)"
        )
        other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert (other.stdout, other.stderr) == ("gs://out/\n", "")
        Path(folder).chmod(0o755)


def test_lock_goes_with_its_process(path: Path) -> None:
    """A writer that is killed leaves a ledger that the next may write."""
    code = (
        "import os, signal\nfrom vision_grpc.ledger import Ledger\n"
        f"ledger = Ledger({str(path)!r})\nledger.begin({SETTINGS!r})\nos.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    begun(path).close()


@pytest.mark.parametrize("keep", [0, 1, 100, 4096, 6000, 20_000, -1])
def test_cut_off_file_is_refused(path: Path, keep: int) -> None:
    """A ledger cut off anywhere, also in the middle of a page, is refused in words and left as it is."""
    ledger = begun(path)
    ledger.plan([part(first, 500) for first in range(0, 5000, 500)])
    ledger.close()
    whole = path.read_bytes()
    assert len(whole) > 20_000
    cut = whole[:keep]
    path.write_bytes(cut)
    with pytest.raises(LedgerError, match=r"damaged|is empty|not a ledger"):
        begun(path)
    assert path.read_bytes() == cut
    path.write_bytes(whole)
    begun(path).close()


def test_damaged_images_are_noticed(ledger: Ledger, path: Path) -> None:
    """Images that are not what was written are refused, by their checksum, before they are sent."""
    other = part(0, 2)
    with sqlite3.connect(path) as database:
        database.execute("UPDATE parts SET packed = ? WHERE number = 1", (other.packed,))
    database.close()
    with pytest.raises(LedgerError, match="its checksum differs"):
        ledger.part(1).uris()
    with sqlite3.connect(path) as database:
        database.execute("UPDATE parts SET packed = ? WHERE number = 1", (b"garbage",))
    database.close()
    with pytest.raises(LedgerError, match="damaged"):
        ledger.part(1).uris()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("DELETE FROM meta", "makes no sense: KeyError"),
        ("DELETE FROM meta WHERE key = 'settings'", "makes no sense: KeyError\\('settings'\\)"),
        ("UPDATE meta SET value = '{' WHERE key = 'settings'", "makes no sense: JSONDecodeError"),
        ("UPDATE meta SET value = '[]' WHERE key = 'settings'", "makes no sense: AttributeError"),
        ("UPDATE meta SET value = 'many' WHERE key = 'writes'", "makes no sense: ValueError"),
        ("UPDATE requests SET state = 9 WHERE number = 2", "request 2 is in a state that there is not"),
        ("UPDATE requests SET state = 2 WHERE number = 1", "request 1 is in a state that there is not"),
        ("DROP TABLE requests", "no such table: requests"),
    ],
)
def test_nonsense_is_damage(ledger: Ledger, path: Path, change: str, words: str) -> None:
    """A file that SQLite finds sound, and that says what no ledger says, is refused as damaged by writer and reader."""
    ledger.close()
    with sqlite3.connect(path) as database:
        database.execute(change)
    database.close()
    for opening in (begun, LedgerReader, read_standing):
        with pytest.raises(LedgerError, match=rf"job.db is damaged \(.*{words}.*restore it from a copy"):
            opening(path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("UPDATE parts SET kind = 7 WHERE number = 1", "images of a kind 7"),
        ("UPDATE parts SET places = x'00' WHERE number = 1", "is damaged: Error -"),
        ("UPDATE requests SET images = 99 WHERE number = 3", "their places are not theirs"),
        ("UPDATE requests SET failures = x'00' WHERE number = 1", "the failures of request 1 cannot be read"),
        ("DELETE FROM parts WHERE number = 1", "it lacks the row 1"),
    ],
)
def test_nonsense_within_a_request_is_damage(ledger: Ledger, path: Path, change: str, words: str) -> None:
    """What is read of one request alone is found to be damaged when it is read."""
    ledger.plan_again(1, ledger.part(1).select([0, 2]), attempt=2)
    with sqlite3.connect(path) as database:
        database.execute(change)
    database.close()
    with LedgerReader(path) as reader, pytest.raises(LedgerError, match=words):
        for number in (1, 3):
            reader.part(number).indices()
        list(reader.failures())


def test_standing_is_a_jobs(path: Path) -> None:
    """A ledger of something else than a job has no standing, in words."""
    ledger = Ledger(path)
    ledger.begin({})
    ledger.close()
    with pytest.raises(LedgerError, match="is not a job's"):
        read_standing(path)


def test_lock_that_cannot_be_written(path: Path) -> None:
    """A disk that is full under the lock's file is told in words, with its name; nothing stays locked."""
    code = (
        "import resource, signal\nfrom vision_grpc import LedgerError\nfrom vision_grpc.ledger import Ledger\n"
        "from vision_grpc._ledger.lock import WriterLock\nfrom pathlib import Path\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"lock = WriterLock(Path({str(path)!r}))\n"
        "limits = resource.getrlimit(resource.RLIMIT_FSIZE)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (8, limits[1]))\n"
        "try:\n    lock.begin(1)\nexcept LedgerError as error:\n    print(error)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, limits)\nlock.release()\n"
        f"Ledger({str(path)!r}).begin({SETTINGS!r})"
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (other.returncode, other.stderr) == (0, "")
    assert f"{path}.lock cannot be written: File too large; make room" in other.stdout


def test_lost_writes_are_noticed(path: Path, tmp_path: Path) -> None:
    """A ledger without its last durable writes, an older copy for instance, is refused: it would send again what was sent."""
    ledger = begun(path)
    ledger.plan([part(0, 1), part(1, 1)])
    ledger.intend(1, 0)
    ledger.close()
    copy = tmp_path / "copy.db"
    shutil.copy(path, copy)
    ledger = begun(path)
    ledger.accepted(1, "operations/a") if ledger.row(1).state is State.UNKNOWN else None
    ledger.intend(2, 0)
    ledger.close()
    shutil.copy(copy, path)
    with pytest.raises(LedgerError, match=r"lost its last 2 durable writes.*remove .*job.db.lock"):
        begun(path)
    Path(f"{path}.lock").unlink()
    begun(path).close()


def test_wal_cut_off_is_noticed(path: Path, tmp_path: Path) -> None:
    """A -wal file cut off in the middle loses writes without SQLite minding; the lock file tells."""
    ledger = begun(path)
    ledger.plan([part(0, 1)])
    for file in (path, Path(f"{path}-wal")):
        shutil.copy(file, tmp_path / f"kept-{file.name}")
    ledger.intend(1, 0)
    wal = (Path(f"{path}-wal")).read_bytes()
    shutil.copy(path, tmp_path / "kept-job.db")
    ledger.close()
    shutil.copy(tmp_path / "kept-job.db", path)
    Path(f"{path}-wal").write_bytes(wal[: len(wal) - 2000])
    with pytest.raises(LedgerError, match="lost its last 1 durable writes"):
        begun(path)


def test_foreign_files_are_refused(path: Path, tmp_path: Path) -> None:
    """A text file, another program's database and a ledger of another version are refused and left alone."""
    path.write_text("nightly results, do not touch\n")
    with pytest.raises(LedgerError, match="is not a ledger, and was not changed"):
        begun(path)
    assert path.read_text() == "nightly results, do not touch\n"
    path.unlink()
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE music (title)")
    database.close()
    with pytest.raises(LedgerError, match="another program's SQLite file"):
        begun(path)
    path.unlink()
    begun(path).close()
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version=99")
    database.close()
    with pytest.raises(LedgerError, match="version 99, this package reads version 1"):
        begun(path)
    with pytest.raises(LedgerError, match="version 99"):
        LedgerReader(path)
    with pytest.raises(LedgerError, match="there is no ledger"):
        LedgerReader(tmp_path / "none.db")
    with pytest.raises(LedgerError, match="cannot be opened"):
        begun(tmp_path / "nowhere" / "job.db")


def test_orphaned_wal_is_refused(path: Path) -> None:
    """A new ledger is not made beside the -wal of a lost one, whose writes would be taken for its own."""
    Path(f"{path}-wal").write_bytes(b"x" * 100)
    with pytest.raises(LedgerError, match="whose last writes it holds"):
        begun(path)
    assert not path.exists()


def test_full_disk_loses_nothing(ledger: Ledger, path: Path) -> None:
    """Where no page can be added the write fails in words, all or nothing, and goes through once there is room."""
    database = ledger._database
    assert database is not None
    pages = database.execute("PRAGMA page_count").fetchone()[0]
    database.execute(f"PRAGMA max_page_count={pages + 1}")
    with pytest.raises(LedgerError, match="no space is left for the ledger"):
        ledger.plan([part(first, 500) for first in range(6, 50_000, 500)])
    assert ledger.planned_images() == 6
    database.execute("PRAGMA max_page_count=1000000")
    assert ledger.plan([part(6, 500)]) == [3]


def test_times_are_written_and_decide_nothing(path: Path) -> None:
    """A clock that goes back leaves odd times in the ledger and nothing else."""
    times = iter([2e9, 2e9, 1e9, 5.0, 4.0, 3.0, 2.0])
    ledger = Ledger(path, clock=lambda: next(times))
    ledger.begin(SETTINGS)
    ledger.plan([part(0, 1)])
    ledger.intend(1, 0)
    ledger.accepted(1, "operations/a")
    ledger.ended(1)
    assert ledger.row(1).state is State.DONE
    ledger.close()


def test_requests_are_kept_as_they_were() -> None:
    """Requests with features and context of their own come back byte for byte, and URIs among them get the job's."""
    own = v1.AnnotateImageRequest(features=[v1.Feature(type=v1.Feature.Type.FACE_DETECTION, max_results=3)])
    own.image.source.image_uri = "gs://photos/own.jpg"
    own.image_context.language_hints.append("de")
    packed = TEXT.pack(0, [own, "gs://photos/plain.jpg", {"image": {"source": {"image_uri": "gs://photos/bare.jpg"}}}])
    message: Any = TEXT.build(packed, v1, destination="gs://out/1/", batch_size=5, parent="projects/p", labels={"a": "b"})
    assert message.requests[0] == own
    assert [request.features[0].type for request in message.requests[1:]] == [v1.Feature.Type.TEXT_DETECTION] * 2
    assert packed.uris() == ["gs://photos/own.jpg", "gs://photos/plain.jpg", "gs://photos/bare.jpg"]
    assert (message.output_config.gcs_destination.uri, message.output_config.batch_size) == ("gs://out/1/", 5)
    assert (message.parent, dict(message.labels)) == ("projects/p", {"a": "b"})
    assert TEXT.cost(packed, {v1.Feature.Type.TEXT_DETECTION: 1.5, v1.Feature.Type.FACE_DETECTION: 2.0}) == pytest.approx(0.005)


def test_ten_million_uris_take_little(path: Path) -> None:
    """URIs with random names take under 20 bytes each, so that ten million take under 200 MB."""
    ledger = begun(path)
    uris = [f"gs://my-photos/2026/11/{os.urandom(8).hex()}.jpg" for _ in range(40_000)]
    ledger.plan([TEXT.pack(first, uris[first : first + 2000]) for first in range(0, len(uris), 2000)])
    ledger.close()
    assert path.stat().st_size / len(uris) < 20
