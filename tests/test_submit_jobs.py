"""Jobs of the command line around a gap: what is in doubt, what cannot be read, what is another job, and what a cap leaves."""

import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from tests.test_submit import IMAGES, clean, cloud, rows, submit, submits
from vision_grpc._cli import job as job_module
from vision_grpc._ledger.lock import WriterLock
from vision_grpc.emulator import Emulator, Fault
from vision_grpc.job import AnnotationJob
from vision_grpc.objects import LocalObjects
from vision_grpc.submit import main

URIS = [f"gs://pictures/{name}" for name in ("swatches.png", "sign.png", "blank.png")]
WORDS = [*URIS, "--features", "properties", "--output", "gs://results/run/", "--job", "nightly.db"]
ONE_EACH = ["--images-in-flight", "1"]
"""Requests of one image."""


class Torn(LocalObjects):
    """Buckets in which the first object that is written below `part` lacks its end, until it is repaired."""

    def __init__(self, buckets: dict[str, Path], part: str) -> None:
        super().__init__(buckets)
        self._part = part
        self._whole: tuple[str, bytes] | None = None

    def write(self, uri: str, data: bytes, content_type: str = "application/octet-stream") -> None:
        if self._part in uri and self._whole is None:
            self._whole, data = (uri, data), data[:7]
        super().write(uri, data, content_type)

    def repair(self) -> None:
        assert self._whole is not None
        super().write(*self._whole)


@pytest.fixture
def objects(tmp_path: Path) -> Torn:
    """This repository's pictures, and a bucket in which the results of the second request lack their end."""
    (tmp_path / "bucket").mkdir()
    return Torn({"pictures": IMAGES, "results": tmp_path / "bucket"}, "/000002-1/output-")


@pytest.fixture
def server(objects: Torn, tmp_path: Path) -> Iterator[Emulator]:
    """An embedded server whose results can all be read."""
    with Emulator(buckets={"pictures": IMAGES, "results": tmp_path / "bucket"}) as made:
        yield made


def published(tmp_path: Path) -> list[tuple[int, str]]:
    return [(row["index"], row["uri"]) for row in rows(tmp_path / "bucket/run/results.jsonl")]


def test_a_request_in_doubt(server: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A request in doubt between two others is exit code 6 with the option that sends it again, which publishes every line in order."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VISION_EMULATOR_HOST", server.target)
    # The evidence of absence is had at once; the command line has no option for that.
    monkeypatch.setattr(job_module, "AnnotationJob", functools.partial(AnnotationJob, grace=0.0))
    server.faults.add(Fault.fail("AsyncBatchAnnotateImages", grpc.StatusCode.INTERNAL, "", nth=2))
    words = [*WORDS, *ONE_EACH, "--bucket", f"pictures={IMAGES}", "--bucket", "results=bucket"]
    assert main(words) == 6
    said = capsys.readouterr().out
    assert "not known whether accepted: 1 image from 1 on" in said
    assert "2 of 3 images are in nightly.db.results.jsonl" in said
    assert "add --resubmit-unknown" in said
    assert not (tmp_path / "bucket/run/results.jsonl").exists()
    # Without the option nothing is sent, and nothing lost.
    assert main(words) == 6
    assert submits(server) == 3
    assert main([*words, "--resubmit-unknown"]) == 0
    assert published(tmp_path) == list(enumerate(URIS))
    assert submits(server) == 4


def test_results_that_are_repaired(objects: Torn, tmp_path: Path) -> None:
    """Results that cannot be read keep the others from nobody: exit code 3, and every line in order once they are repaired."""
    with Emulator(objects=objects) as server:
        done = cloud(server, tmp_path, *WORDS, *ONE_EACH)
        assert done.returncode == 3, done.stderr
        assert "done, but not readable: 1 image from 1 on" in done.stdout
        assert not (tmp_path / "bucket/run/results.jsonl").exists()
        objects.repair()
        again = cloud(server, tmp_path, *WORDS, *ONE_EACH)
        assert again.returncode == 0, again.stderr
        assert published(tmp_path) == list(enumerate(URIS))
        assert submits(server) == 3


@pytest.mark.parametrize(("number", "code", "said"), [("SIGTERM", 143, "terminated. "), ("SIGINT", 130, "\ninterrupted. ")])
def test_stopped_while_it_publishes(number: str, code: int, said: str, server: Emulator, tmp_path: Path) -> None:
    """A signal that comes when all results are there, and are being written, ends the command in words, and leaves no temporary file."""
    (tmp_path / "tmp").mkdir()
    program = (
        "import os, signal, sys\nfrom vision_grpc._cli import output\nfrom vision_grpc.submit import main\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell's background jobs ignore it
        f"output.in_order = lambda *_: os.kill(os.getpid(), signal.{number})\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    words = [*WORDS, "--bucket", f"pictures={IMAGES}", "--bucket", "results=bucket"]
    environment = clean(VISION_EMULATOR_HOST=server.target, TMPDIR=str(tmp_path / "tmp"))
    command = [sys.executable, "-c", program, *words]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == code, done.stderr
    assert done.stderr == f"{said}Resume: the same command, with --job nightly.db\n"
    assert not list((tmp_path / "tmp").iterdir())
    assert cloud(server, tmp_path, *WORDS).returncode == 0
    assert published(tmp_path) == list(enumerate(URIS))


def test_no_home(server: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A user without a home folder, as some containers have, is asked for --job, where the ledger would have lain there."""

    def nowhere() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VISION_EMULATOR_HOST", server.target)
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", nowhere)
    words = [*WORDS, "--bucket", f"pictures={IMAGES}", "--bucket", "results=bucket"]
    words = [word for word in words if word not in ("--job", "nightly.db")]
    assert main(words) == 2
    assert "there is no home folder to keep the job's ledger in: name a file with --job" in capsys.readouterr().err
    assert not server.calls


def test_other_pictures_of_the_same_names(tmp_path: Path) -> None:
    """A local job is told from one of other pictures by the same names, and from one with another output: exit code 2, nothing lost."""
    for folder, name in (("a", "swatches.png"), ("b", "sign.png")):
        (tmp_path / folder).mkdir()
        shutil.copy(IMAGES / name, tmp_path / folder / "IMG_1.png")

    def run(folder: str, output: str) -> tuple[int, str]:
        done = submit("IMG_1.png", "--features", "properties", "--output", f"../{output}", "--job", "../w.db", cwd=tmp_path / folder)
        return done.returncode, done.stderr

    assert run("a", "out") == (0, "")
    standing = submit("--status", "w.db", cwd=tmp_path).stdout
    assert "writes to a folder of this machine" in standing
    assert "gs://" not in standing
    first = (tmp_path / "out/results.jsonl").read_bytes()
    code, said = run("b", "out")
    assert code == 2
    assert "belongs to a job with other inputs" in said
    code, said = run("a", "elsewhere")
    assert code == 2
    assert "--output ../elsewhere is not the folder that the job in ../w.db was begun with" in said
    assert len(said.splitlines()) == 1
    assert not (tmp_path / "elsewhere").exists()
    os.utime(tmp_path / "a/IMG_1.png", ns=(1, 1))  # it may have been changed
    assert run("a", "out")[0] == 2
    assert (tmp_path / "out/results.jsonl").read_bytes() == first


def test_a_second_process_on_a_local_job(tmp_path: Path) -> None:
    """Who works on the job of another process is told which, exit code 2; the other goes on undisturbed."""
    words = (IMAGES / "swatches.png", "--features", "properties", "--output", "out", "--job", "w.db")
    lock = WriterLock(tmp_path / "w.db")
    lock.begin(0)
    before = sorted(tmp_path.glob("w.db*"))
    done = submit(*words, cwd=tmp_path)
    assert done.returncode == 2
    assert f"process {os.getpid()}" in done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(tmp_path.glob("w.db*")) == before
    lock.release()
    assert submit(*words, cwd=tmp_path).returncode == 0


def test_a_second_process_leaves_the_lines_alone(server: Emulator, tmp_path: Path) -> None:
    """Who is refused because another process works on the job does not cut off the line that the other is just writing."""
    lines = tmp_path / "nightly.db.results.jsonl"
    lines.write_bytes(b'{"index":0,"uri":"gs://pictures/swatches.png","resp')
    lock = WriterLock(tmp_path / "nightly.db")
    lock.begin(0)
    done = cloud(server, tmp_path, *WORDS)
    assert done.returncode == 2
    assert f"process {os.getpid()}" in done.stderr
    assert lines.read_bytes() == b'{"index":0,"uri":"gs://pictures/swatches.png","resp'
    lock.release()
    assert cloud(server, tmp_path, *WORDS).returncode == 0
    assert published(tmp_path) == list(enumerate(URIS))


def test_a_job_keeps_the_size_of_its_requests(server: Emulator, tmp_path: Path) -> None:
    """--images-in-flight makes requests as small as it needs, and may change in a resume, but not below the requests that there are."""
    for words, code in ((["--images-in-flight", "2", "--max-images", "2"], 7), (["--images-in-flight", "1"], 2), ([], 0)):
        done = cloud(server, tmp_path, *WORDS, *words)
        assert done.returncode == code, done.stderr
        if code == 2:
            assert "--images-in-flight 1: the job in nightly.db has requests of 2 images: give 2 or more" in done.stderr
    assert published(tmp_path) == list(enumerate(URIS))
    assert submits(server) == 2


@pytest.mark.parametrize(
    ("words", "sent", "said"),
    [
        (
            ["--max-images", "2"],
            0,
            "stopped by --max-images 2: only whole requests are sent, the next holds 3 images, and 0 were sent so far; "
            "give --max-images 3 or more, or begin another --job with smaller requests, which --images-in-flight makes",
        ),
        (["--max-images", "2", *ONE_EACH], 2, "the next holds 1 image, and 2 were sent so far; give --max-images 3 or more\n"),
        (
            ["--max-cost", "0.004", "--price", "properties=1.50"],
            0,
            "stopped by --max-cost 0.004: only whole requests are sent, the next holds 3 images, and 0.00 was spent so far; "
            "give --max-cost 0.01 or more, or begin another --job",
        ),
        (["--max-cost", "3", "--price", "properties=1500", *ONE_EACH], 2, "and 3.00 was spent so far; give --max-cost 4.50 or more\n"),
    ],
)
@pytest.mark.parametrize("quiet", [(), ("--quiet",)])
def test_a_cap_is_explained(words: list[str], sent: int, said: str, quiet: tuple[str, ...], server: Emulator, tmp_path: Path) -> None:
    """Exit code 7 says which cap it was, why nothing more was sent, and what lets the job go on; doing that completes it."""
    done = cloud(server, tmp_path, *WORDS, *words, *quiet)
    assert done.returncode == 7, done.stderr
    assert said in (done.stderr if quiet else done.stdout)
    assert submits(server) == sent
    cap, least = said.partition("give ")[2].split()[:2]
    assert cloud(server, tmp_path, *WORDS, *words, cap, least).returncode == 0
    assert published(tmp_path) == list(enumerate(URIS))
