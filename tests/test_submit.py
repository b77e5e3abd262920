"""The command line as a person or a script meets it: a process of its own, its two outputs, its exit code."""

import atexit
import json
import logging
import os
import pty
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, cast

import grpc
import matplotlib
import pytest

from tests.until import until
from vision_grpc import v1, v1p4beta1
from vision_grpc._cli.command import Voice
from vision_grpc._cli.output import Publisher, read_rows, row
from vision_grpc._cli.session import Held
from vision_grpc._json.encode import dumps
from vision_grpc.emulator import Emulator, Fault
from vision_grpc.objects import LocalFiles
from vision_grpc.results import ImageResult

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "examples/images"


def submit(*words: str | Path, cwd: Path, stdin: str | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs the command, without any credentials of this machine."""
    command = [sys.executable, "-m", "vision_grpc.submit", *map(str, words)]
    return subprocess.run(command, cwd=cwd, input=stdin, capture_output=True, text=True, check=False, env=clean(**environment))


@cache
def home() -> str:
    """A home without credentials, for what the command keeps there; as /nonexistent it would be root's alone to make."""
    folder = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, folder)
    return folder


def clean(**environment: str) -> dict[str, str]:
    hidden = ("GOOGLE_", "VISION_", "STORAGE_", "CLOUDSDK_")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(hidden)}
    return {**kept, "NO_GCE_CHECK": "true", "HOME": home(), **environment}


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Emulator]:
    """An embedded server of its own, with this repository's pictures and an empty bucket."""
    (tmp_path / "bucket").mkdir()
    with Emulator(buckets={"pictures": IMAGES, "results": tmp_path / "bucket"}) as emulator:
        yield emulator


@pytest.fixture
def prompt_server(tmp_path: Path) -> Iterator[Emulator]:
    """The same, for tests of time: its annotations are empty, and take none."""
    (tmp_path / "bucket").mkdir()
    buckets = {"pictures": IMAGES, "results": tmp_path / "bucket"}
    with Emulator(buckets=buckets, annotator=lambda content, request: b"") as emulator:
        yield emulator


def cloud(server: Emulator, tmp_path: Path, *words: str, stdin: str | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    buckets = ("--bucket", f"pictures={IMAGES}", "--bucket", f"results={tmp_path / 'bucket'}")
    return submit(*words, *buckets, cwd=tmp_path, stdin=stdin, VISION_EMULATOR_HOST=server.target, **environment)


def test_local_folder(tmp_path: Path) -> None:
    """A folder of pictures is annotated here: real text, real colours, one honest error, in natural order."""
    done = submit(IMAGES, "--features", "text,properties", "--output", "out/", cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    found = {Path(row["uri"]).name: row for row in rows(tmp_path / "out/results.jsonl")}
    assert list(found) == sorted(found)
    assert "CORNER MARKET" in found["receipt.png"]["response"]["fullTextAnnotation"]["text"]
    assert found["broken.jpg"] == {
        "index": 1,
        "uri": str(IMAGES / "broken.jpg"),
        "response": {},
        "error": {"code": 3, "message": "Bad image data."},
    }
    assert [name for name, row in found.items() if "error" in row] == ["broken.jpg"]
    assert all(row["response"]["imagePropertiesAnnotation"]["dominantColors"]["colors"] for row in found.values() if "error" not in row)
    assert "7 of 8 images annotated, 1 failed: out/results.jsonl" in done.stdout
    assert "embedded server" in done.stdout
    assert not done.stderr
    assert len(list((tmp_path / "out").glob("*/000001-1/output-1-to-8.json"))) == 1


def test_faces(tmp_path: Path) -> None:
    """A photo of a person ends with exit code 0 and one face."""
    photo = Path(matplotlib.get_data_path()) / "sample_data/grace_hopper.jpg"
    shutil.copy(photo, tmp_path / "my photo #1.jpg")
    done = submit("my photo #1.jpg", "--features", "faces", "--output", "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "my photo #1.jpg: 1 face at " in done.stdout


def test_annotations_beside_an_error(tmp_path: Path) -> None:
    """A feature that cannot be computed is an error of each image, and the others' annotations are kept beside it."""
    done = submit(IMAGES / "sign.png", "--features", "text,labels", "--output", "out", "--json", cwd=tmp_path)
    assert done.returncode == 1
    (row,) = [json.loads(line) for line in done.stdout.splitlines()]
    assert row == rows(tmp_path / "out/results.jsonl")[0]
    assert row["error"]["code"] == 12
    assert "LABEL_DETECTION" in row["error"]["message"]
    assert "HARBOUR STREET" in row["response"]["textAnnotations"][0]["description"]


def test_options_reach_the_server(server: Emulator, tmp_path: Path) -> None:
    """max-results, model, languages, aspect ratios, batch size and labels arrive in the request."""
    words = ["gs://pictures/sign.png", "--features", "crops,text", "--output", "gs://results/a", "--max-results", "3", "--batch-size", "5"]
    words += [
        "--model",
        "builtin/latest",
        "--language",
        "en",
        "--language",
        "de",
        "--aspect-ratio",
        "1.5",
        "--label",
        "team=maps",
        "--quiet",
    ]
    done = cloud(server, tmp_path, *words)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    request: Any = next(call.message for call in server.calls if call.method.endswith("AsyncBatchAnnotateImages"))
    assert [(feature.max_results, feature.model) for feature in request.requests[0].features] == [(3, "builtin/latest")] * 2
    assert list(request.requests[0].image_context.language_hints) == ["en", "de"]
    assert list(request.requests[0].image_context.crop_hints_params.aspect_ratios) == [1.5]
    assert (request.output_config.batch_size, dict(request.labels)) == (5, {"team": "maps"})


def test_bucket_to_bucket(server: Emulator, tmp_path: Path) -> None:
    """gs:// inputs from arguments, a file and standard input are annotated by the emulator; results.jsonl lies in the bucket."""
    (tmp_path / "uris.txt").write_text("gs://pictures/sign.png\n\n  gs://pictures/missing.png\n")
    words = ["gs://pictures/receipt.png", "--uris-from", "uris.txt", "--features", "text", "--output", "gs://results/run"]
    done = cloud(server, tmp_path, *words)
    assert done.returncode == 1, done.stderr
    written = rows(tmp_path / "bucket/run/results.jsonl")
    assert [row["uri"] for row in written] == ["gs://pictures/receipt.png", "gs://pictures/sign.png", "gs://pictures/missing.png"]
    assert (
        written[2]["error"] == {"code": 5, "message": "Error opening file: gs://pictures/missing.png."} or written[2]["error"]["code"] == 5
    )
    assert written[0]["response"]["context"]["uri"] == "gs://pictures/receipt.png"


def test_no_wait_of_many(prompt_server: Emulator, tmp_path: Path) -> None:
    """More images than one request takes are several operations, each named, and --wait of all of them has every image in order."""
    uris = [f"gs://pictures/{number}.png" for number in range(2001)]
    (tmp_path / "uris.txt").write_text("\n".join(uris))
    words = ["--uris-from", "uris.txt", "--features", "text", "--output", "gs://results/run/", "--no-wait"]
    started = cloud(prompt_server, tmp_path, *words)
    assert started.returncode == 0, started.stderr
    names = started.stdout.split()
    messages = [cast(Any, call.message) for call in prompt_server.calls if call.method == "AsyncBatchAnnotateImages"]
    assert [len(message.requests) for message in messages] == [2000, 1]
    waits = [word for name in names for word in ("--wait", name)]
    waited = cloud(prompt_server, tmp_path, *waits, "--output", "gs://results/run/", "--quiet")
    assert waited.returncode == 1, waited.stderr  # there are no such pictures
    assert [row["uri"] for row in rows(tmp_path / "bucket/run/results.jsonl")] == uris


def test_other_releases_keep_their_fields(tmp_path: Path) -> None:
    """What v1p4beta1 alone knows, a celebrity's name, is in the rows that the report and the columns are made of."""
    response = v1p4beta1.AnnotateImageResponse()
    response.face_annotations.add().recognition_result.add(confidence=0.5).celebrity.name = "c/1"
    lines = tmp_path / "results.jsonl"
    lines.write_bytes(dumps(row(ImageResult(0, "gs://b/x.jpg", cast(Any, response)), keep_context=True)) + b"\n")
    (result,) = read_rows(lines, "v1p4beta1")
    assert result.response == response
    (result,) = read_rows(lines, "v1p1beta1")
    assert isinstance(result.response, v1.AnnotateImageResponse)


def test_no_wait_then_wait(server: Emulator, tmp_path: Path) -> None:
    """--no-wait prints the operation's name alone on standard output; --wait takes it up again in another process."""
    words = ["gs://pictures/sign.png", "--features", "text", "--output", "gs://results/run/", "--no-wait"]
    started = cloud(server, tmp_path, *words)
    assert started.returncode == 0, started.stderr
    (name,) = started.stdout.split()
    assert f"--wait {name}" in started.stderr
    waited = cloud(server, tmp_path, "--wait", name, "--output", "gs://results/run/", "--json")
    assert waited.returncode == 0, waited.stderr
    assert json.loads(waited.stdout)["uri"] == "gs://pictures/sign.png"
    assert rows(tmp_path / "bucket/run/results.jsonl") == [json.loads(waited.stdout)]


def test_deadline(server: Emulator, tmp_path: Path) -> None:
    """A deadline that passes is exit code 5, with the command that resumes; the same command then finishes, and sends nothing again."""
    server.faults.add(Fault.stall())
    words = ["gs://pictures/sign.png", "--features", "text", "--output", "gs://results/run/"]
    done = cloud(server, tmp_path, *words, "--timeout", "0.5", XDG_STATE_HOME=str(tmp_path / "state"))
    assert done.returncode == 5, done.stderr
    assert "nothing is lost. Resume: run the same command again" in done.stdout
    server.faults.release()
    again = cloud(server, tmp_path, *words, XDG_STATE_HOME=str(tmp_path / "state"))
    assert again.returncode == 0, again.stderr
    assert submits(server) == 1
    assert rows(tmp_path / "bucket/run/results.jsonl")[0]["uri"] == "gs://pictures/sign.png"
    assert not (tmp_path / "state/vision-grpc").exists()


def test_deadline_of_a_wait(server: Emulator, tmp_path: Path) -> None:
    """--wait that passes its deadline is exit code 5, with the line that waits again."""
    server.faults.add(Fault.stall())
    words = ["gs://pictures/sign.png", "--features", "text", "--output", "gs://results/run/", "--no-wait"]
    (name,) = cloud(server, tmp_path, *words).stdout.split()
    done = cloud(server, tmp_path, "--wait", name, "--timeout", "0.2")
    assert done.returncode == 5
    assert f"python -m vision_grpc.submit --wait {name}" in done.stderr


def submits(server: Emulator) -> int:
    return sum(call.method == "AsyncBatchAnnotateImages" for call in server.calls)


def start(server: Emulator, tmp_path: Path, *words: str) -> subprocess.Popen[str]:
    """The command in the background, until its operation runs at the service."""
    buckets = ("--bucket", f"pictures={IMAGES}", "--bucket", f"results={tmp_path / 'bucket'}")
    command = [sys.executable, "-m", "vision_grpc.submit", *words, *buckets]
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=clean(VISION_EMULATOR_HOST=server.target, XDG_STATE_HOME=str(tmp_path / "state")),
    )
    waits = ("GetOperation", "WaitOperation", "ListOperations")
    until(lambda: any(call.method in waits for call in server.calls), "the command's wait for its operation")
    return process


WORDS = ("gs://pictures/sign.png", "--features", "text", "--output", "gs://results/run/")


def test_interrupt(server: Emulator, tmp_path: Path) -> None:
    """Ctrl-C once waits for what runs, twice stops at once and leaves it running; the same command takes it up again."""
    server.faults.add(Fault.stall())
    process = start(server, tmp_path, *WORDS)
    process.send_signal(signal.SIGINT)
    assert process.stdout is not None
    seen = ""
    while "interrupt again to stop at once" not in seen:
        line = process.stdout.readline()
        assert line, seen
        seen += line
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=250)
    assert process.returncode == 130
    assert "Resume: run the same command again" in out
    assert "Traceback" not in err
    server.faults.release()
    again = cloud(server, tmp_path, *WORDS, XDG_STATE_HOME=str(tmp_path / "state"))
    assert (again.returncode, submits(server)) == (0, 1), again.stderr


def test_terminated(prompt_server: Emulator, tmp_path: Path) -> None:
    """SIGTERM lets what runs end, within a deadline: exit code 143 only where something is left."""
    prompt_server.faults.add(Fault.stall())
    process = start(prompt_server, tmp_path, *WORDS)
    process.send_signal(signal.SIGTERM)
    assert process.stdout is not None
    while "for at most 25 s" not in process.stdout.readline():
        pass
    prompt_server.faults.release()
    out, _ = process.communicate(timeout=250)
    assert process.returncode == 0
    assert "1 of 1 image annotated" in out


def test_killed(server: Emulator, tmp_path: Path) -> None:
    """After SIGKILL the same command goes on where it stopped: one request in all, one result an image."""
    server.faults.add(Fault.stall())
    process = start(server, tmp_path, *WORDS, "--job", "nightly.db")
    process.kill()
    process.communicate()
    shown = submit("--status", "nightly.db", "--json", cwd=tmp_path)
    assert json.loads(shown.stdout)["progress"]["requests"]["running"] == 1
    assert "running: being processed" in submit("--status", "nightly.db", cwd=tmp_path).stdout
    server.faults.release()
    again = cloud(server, tmp_path, *WORDS, "--job", "nightly.db")
    assert (again.returncode, submits(server)) == (0, 1), again.stderr
    assert len(rows(tmp_path / "bucket/run/results.jsonl")) == 1
    assert json.loads(submit("--status", "nightly.db", "--json", cwd=tmp_path).stdout)["progress"]["ok"] == 1
    finished = cloud(server, tmp_path, *WORDS, "--job", "nightly.db")
    assert (finished.returncode, submits(server)) == (0, 1), finished.stderr
    assert "1 of 1 image annotated" in finished.stdout


@pytest.mark.parametrize("place", ["out", "gs://results/run/"])
@pytest.mark.parametrize("more", [(), ("--format", "html,parquet")])
def test_a_finished_job_again(place: str, more: tuple[str, ...], server: Emulator, tmp_path: Path) -> None:
    """The command of a complete job, run again, leaves its results as they are, and makes another format of them where one is asked for."""
    local = place == "out"
    words = (str(IMAGES / "swatches.png") if local else "gs://pictures/swatches.png", "--features", "properties", "--output", place)
    results = tmp_path / ("out" if local else "bucket/run") / "results.jsonl"

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return submit(*words, cwd=tmp_path) if local else cloud(server, tmp_path, *words)

    assert run(*words, "--job", "w.db").returncode == 0
    first = results.read_bytes()
    assert b"swatches.png" in first
    again = run(*words, "--job", "w.db", *more)
    assert again.returncode == 0, again.stderr
    assert results.read_bytes() == first
    if more:
        assert "swatches.png" in results.with_name("report.html").read_text()
        assert parquet_rows(results.with_name("results.parquet")) == 1


def parquet_rows(path: Path) -> int:
    import pyarrow.parquet

    return int(pyarrow.parquet.read_table(path).num_rows)


def test_a_finished_job_without_its_lines(tmp_path: Path) -> None:
    """Where the lines beside a complete ledger were taken away, the published results stay and the command says so."""
    words = (IMAGES / "swatches.png", "--features", "properties", "--output", "out", "--job", "w.db")
    assert submit(*words, cwd=tmp_path).returncode == 0
    first = (tmp_path / "out/results.jsonl").read_bytes()
    (tmp_path / "w.db.results.jsonl").unlink()
    again = submit(*words, cwd=tmp_path)
    assert again.returncode == 2
    assert "should hold the results of 1 image, and holds 0" in again.stderr
    assert (tmp_path / "out/results.jsonl").read_bytes() == first


def test_other_inputs(server: Emulator, tmp_path: Path) -> None:
    """A ledger of other inputs or settings is refused in words, and nothing is sent."""
    assert cloud(server, tmp_path, *WORDS, "--job", "nightly.db").returncode == 0
    before = submits(server)
    for words, said in (
        (("gs://pictures/page.png", *WORDS[1:]), "belongs to a job with other inputs"),
        ((*WORDS, "--max-results", "3"), "features was "),
        ((*WORDS, "--language", "de"), 'image_context was {} and is now {"languageHints": ["de"]}'),
    ):
        other = cloud(server, tmp_path, *words, "--job", "nightly.db")
        assert other.returncode == 2, other.stdout
        assert "nightly.db" in other.stderr
        assert said in other.stderr
        assert "Traceback" not in other.stderr
    assert submits(server) == before


def test_in_doubt(server: Emulator, tmp_path: Path) -> None:
    """A request that may have been accepted ends the job with exit code 6; it is not sent again without being told to."""
    server.faults.add(Fault.fail("AsyncBatchAnnotateImages", grpc.StatusCode.UNAVAILABLE, "gone", accepted=True))
    server.faults.add(Fault.unimplemented("ListOperations"))
    server.faults.add(Fault.unwritable("results"))
    done = cloud(server, tmp_path, *WORDS, "--job", "nightly.db", "--timeout", "5")
    assert done.returncode in (5, 6), done.stderr
    assert submits(server) == 1
    assert "nothing is lost" in done.stdout


def test_caps(server: Emulator, tmp_path: Path) -> None:
    """A cap on images or cost stops before more is spent: exit code 7."""
    for cap in (["--max-images", "1"], ["--max-cost", "0.001", "--price", "text=1.50"]):
        words = ["gs://pictures/sign.png", "gs://pictures/page.png", *WORDS[1:], *cap, "--job", f"{cap[0].strip('-')}.db"]
        done = cloud(server, tmp_path, *words)
        assert done.returncode == 7, done.stderr
    assert submits(server) == 0


def test_progress_only_on_a_terminal(tmp_path: Path) -> None:
    """On a terminal there is a progress bar; in a pipe standard error stays empty."""
    shutil.copy(IMAGES / "sign.png", tmp_path)
    words = [sys.executable, "-m", "vision_grpc.submit", "sign.png", "--features", "properties", "--output", "out"]
    master, slave = pty.openpty()
    process = subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, stderr=slave, env=clean(TERM="xterm"))
    os.close(slave)
    seen = b""
    try:
        while chunk := os.read(master, 4096):
            seen += chunk
    except OSError:  # Linux says EIO where the other end of a terminal is closed
        pass
    process.communicate()
    os.close(master)
    assert process.returncode == 0
    assert b"images" in seen
    assert submit("sign.png", "--features", "properties", "--output", "out", cwd=tmp_path).stderr == ""


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "no input"),
        (["missing.png", "--features", "text", "--output", "out"], "missing.png does not exist"),
        (["empty", "--features", "text", "--output", "out"], "empty holds no pictures"),
        (["a.png", "--output", "out"], "no features"),
        (["a.png", "--features", "text"], "no output"),
        (["a.png", "--features", "txet", "--output", "out"], "did you mean 'text'"),
        (["a.png", "gs://bkt/c", "--features", "text", "--output", "out"], "no one server reads both"),
        (["gs://bkt/\udcff.jpg", "--features", "text", "--output", "gs://bkt/x"], "input 1: 'gs://bkt/\\udcff.jpg' is not valid Unicode"),
        (["gs://bkt/photos/", "--features", "text", "--output", "gs://bkt/x"], "give the pattern 'gs://bkt/photos/**'"),
        (["gs://bkt/", "--features", "text", "--output", "gs://bkt/x"], "give the pattern 'gs://bkt/**'"),
        (["a.png", "--features", "text", "--output", "http://bkt/x"], "neither a folder nor gs://bucket/folder/"),
        (["a.png", "--features", "text", "--output", "out", "--location", "eu"], "--location is for gs:// images"),
        (["gs://bkt/c", "--features", "text", "--output", "gs://bkt/x", "--bucket", "bkt=nowhere"], "bkt=nowhere: there is no such folder"),
        (["gs://bkt/c", "--features", "text", "--output", "gs://bkt/x", "--bucket", "bkt"], "not of the form NAME=FOLDER"),
        (["a.png", "--features", "text", "--output", "out", "--model", "foo"], "builtin/stable"),
        (["a.png", "--features", "text", "--output", "out", "--format", ""], "names no format"),
        (["a.png", "--features", "crops", "--output", "out", "--aspect-ratio", "16/x"], "'x' is not a positive number"),
        (["a.png", "--features", "text,faces", "--output", "out", "--max-cost", "1", "--price", "text=1"], "there is no price of faces"),
        (["--wait", "nonsense"], "'nonsense' is not an operation's name"),
        (["--wait", ""], "'' is not an operation's name"),
        (["a.png", "--features", "text", "--output", "gs://bucket/x/"], "give a local folder"),
        (["gs://bkt/c", "--features", "text", "--output", "out"], "give gs://bucket/folder/"),
        (["gs://b", "--features", "text", "--output", "gs://bkt/x"], "input 1: 'gs://b' does not name a bucket"),
        (["https://example.com/a.png", "--features", "text", "--output", "out"], "neither a gs:// URI nor a local path"),
        (["a.png", "--features", "text", "--output", "a.png"], "is a file"),
        (["a.png", "--features", "text", "--output", "out", "--no-wait"], "embedded one"),
        (["a.png", "--features", "text", "--output", "out", "--batch-size", "101"], "more than 100"),
        (["a.png", "--features", "text", "--output", "out", "--batch-size", "0"], "positive whole number"),
        (["a.png", "--features", ",", "--output", "out"], "names no feature"),
        (["a.png", "--features", "text", "--output", "out", "--timeout", "-1"], "positive number"),
        (["a.png", "--features", "text", "--output", "out", "--max-cost", "1"], "--max-cost needs prices"),
        (["a.png", "--features", "text", "--output", "out", "--price", "txt=1"], "no such feature"),
        (["a.png", "--features", "text", "--output", "out", "--price", "text=1"], "--price is for --max-cost"),
        (["a.png", "--features", "text", "--output", "out", "--uri-column", "x"], "--uri-column is for --uris-from"),
        (["a.png", "--features", "text", "--output", "out", "--format", "xml"], "there is no format 'xml'"),
        (["--status", "nowhere.db"], "nowhere.db"),
        (["a.png", "--features", "text", "--output", "out", "--label", "Team=x"], "labels: key 'Team'"),
        (["a.png", "--features", "text", "--output", "out", "--language", "\udcff"], "--language holds something that is not text"),
        (["", "--features", "text", "--output", "out"], "one of the inputs is empty"),
        (["a.png", "--features", "text", "--output", "/proc/x"], "--output /proc/x cannot be written"),
        (["a.png", "--features", "text", "--output", "out", "--job", "empty"], "is a folder"),
        (["--uris-from", "/dev/null", "--features", "text", "--output", "gs://bkt/x"], "/dev/null is empty"),
        (["a.png", "--status", "a.db"], "--status only looks"),
        (["--wait", "operations/1", "a.png"], "--wait takes up"),
        (["--wait", "operations/1", "--max-images", "5"], "leave --max-images out"),
        (["--wait", "operations/1", "--resubmit-unknown"], "leave --resubmit-unknown out"),
        (["--wait", "operations/1", "--status", "a.db"], "leave --wait out"),
        (["--status", "a.db", "--format", "html"], "leave --format out"),
        *(
            (["gs://bkt/c", "--features", "text", "--output", "gs://bkt/x", "--no-wait", *words], f"leave {words[0]} out")
            for words in (
                ["--max-images", "5"],
                ["--max-cost", "5"],
                ["--attempts", "2"],
                ["--resubmit-unknown"],
                ["--images-in-flight", "5"],
                ["--requests-per-minute", "5"],
                ["--format", "html"],
                ["--timeout", "5"],
                ["--job", "a.db"],
            )
        ),
        (["--uris-from", "nowhere.txt", "--features", "text", "--output", "gs://b/x"], "nowhere.txt cannot be read"),
        (["--frobnicate"], "unrecognized arguments"),
    ],
)
def test_bad_usage(words: list[str], sentence: str, tmp_path: Path) -> None:
    """Wrong usage is exit code 2 and one sentence, and nothing is written."""
    (tmp_path / "empty").mkdir()
    shutil.copy(IMAGES / "blank.png", tmp_path / "a.png")
    before = sorted(tmp_path.rglob("*"))
    done = submit(*words, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert sentence in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_no_credentials(tmp_path: Path) -> None:
    """Without credentials the cloud is not called: exit code 4 and the way out."""
    done = submit("gs://bucket/a.png", "--features", "text", "--output", "gs://bucket/out/", "--endpoint", "localhost:1", cwd=tmp_path)
    assert done.returncode == 4
    words = ["gs://bucket/a.png", "--features", "text", "--output", "gs://bucket/out/", "--endpoint", "localhost:1", "--no-wait"]
    started = submit(*words, cwd=tmp_path)
    assert started.returncode == 4
    assert "may have accepted" not in started.stderr
    waited = submit("--wait", "operations/1", "--endpoint", "localhost:1", cwd=tmp_path)
    assert waited.returncode == 4
    assert "gcloud auth application-default login" in waited.stderr


def test_refused_by_the_service(server: Emulator, tmp_path: Path) -> None:
    """An error of the service is exit code 3 with its own words."""
    done = cloud(server, tmp_path, "--wait", "projects/p/operations/0123456789abcdef")
    assert done.returncode == 3
    assert "NOT_FOUND" in done.stderr
    assert "Traceback" not in done.stderr


def test_emulator_without_its_bucket(server: Emulator, tmp_path: Path) -> None:
    """Results that this process cannot reach are named with the way out, not looked for in the real cloud."""
    words = ["gs://pictures/sign.png", "--features", "properties", "--output", "gs://results/run/"]
    done = submit(*words, cwd=tmp_path, VISION_EMULATOR_HOST=server.target)
    assert done.returncode == 2
    assert "--bucket NAME=FOLDER" in done.stderr


def test_awkward_files(tmp_path: Path) -> None:
    """Names that are no UTF-8, that could move a cursor, dangling links and pipes: each is one line, and the others are annotated."""
    pictures = tmp_path / "p"
    pictures.mkdir()
    for name in (b"a.png", b"bad\xff.png", b"new\nline.png", b"esc\x1b[31m.png"):
        shutil.copy(IMAGES / "swatches.png", os.fsencode(pictures) + b"/" + name)  # type: ignore[arg-type]
    (pictures / "dangling.png").symlink_to("/nowhere.png")
    os.mkfifo(pictures / "pipe.jpg")
    done = submit("p", "--features", "properties", "--output", "out", "--format", "html", cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    found = {row["uri"]: row.get("error", {}).get("message") for row in rows(tmp_path / "out/results.jsonl")}
    assert set(found) == {"p/a.png", "p/bad\\xff.png", "p/new\nline.png", "p/esc\x1b[31m.png", "p/dangling.png", "p/pipe.jpg"}
    assert {name for name, error in found.items() if error} == {"p/dangling.png", "p/pipe.jpg"}
    assert "Error opening file: p/dangling.png" in str(found["p/dangling.png"])
    assert "\x1b" not in done.stdout
    assert "p/new\\nline.png: colours" in done.stdout


def test_reader_that_goes_away(tmp_path: Path) -> None:
    """A reader that goes away, as head does, ends the reading and not the work."""
    command = f"{sys.executable} -m vision_grpc.submit {IMAGES}/sign.png {IMAGES}/page.png --features properties --output out --json"
    done = subprocess.run(f"{command} | head -c 5", shell=True, cwd=tmp_path, env=clean(), capture_output=True, text=True, check=True)
    assert "Traceback" not in done.stderr
    assert len(rows(tmp_path / "out/results.jsonl")) == 2


def test_wait_without_its_bucket(server: Emulator, tmp_path: Path) -> None:
    """Whether the results can be read is found out before the wait."""
    done = submit("--wait", "operations/1", cwd=tmp_path, VISION_EMULATOR_HOST=server.target)
    assert done.returncode == 2
    assert "--bucket NAME=FOLDER" in done.stderr
    assert not server.calls


def test_no_server(tmp_path: Path) -> None:
    """A server that does not run is said after the client's connect time, exit code 3; the job is kept, and nothing was sent."""
    (tmp_path / "out").mkdir()
    words = ["gs://photos/a.jpg", "--features", "text", "--output", "gs://out/r/", "--bucket", "out=out", "--job", "a.db"]
    done = submit(*words, cwd=tmp_path, VISION_EMULATOR_HOST="127.0.0.1:1")
    assert done.returncode == 3
    assert "no connection to 127.0.0.1:1 within 10 s, nothing was sent" in done.stderr
    assert "Resume: the same command" in done.stderr
    assert json.loads(submit("--status", "a.db", "--json", cwd=tmp_path).stdout)["progress"]["sent"] == 0


@pytest.mark.parametrize(
    ("words", "more"),
    [
        (["--wait", "operations/1"], "taken up again by: python -m vision_grpc.submit --wait operations/1"),
        (["gs://photos/a.jpg", "--features", "text", "--output", "gs://out/r/", "--no-wait"], "nothing was sent"),
    ],
)
def test_operations_without_a_server(words: list[str], more: str, tmp_path: Path) -> None:
    """--wait and --no-wait say so too, and nothing is said to be accepted."""
    (tmp_path / "out").mkdir()
    done = submit(*words, "--bucket", "out=out", cwd=tmp_path, VISION_EMULATOR_HOST="127.0.0.1:1")
    assert done.returncode == 3
    assert "no connection to 127.0.0.1:1 within 10 s" in done.stderr
    assert more in done.stderr
    assert "may have accepted" not in done.stderr


def test_interrupt_without_a_server(tmp_path: Path) -> None:
    """Ctrl-C where nothing runs does not promise to wait for what runs; exit code 130."""
    (tmp_path / "out").mkdir()
    words = ["gs://photos/a.jpg", "--features", "text", "--output", "gs://out/r/", "--bucket", "out=out", "--job", "a.db"]
    command = [sys.executable, "-m", "vision_grpc.submit", *words]
    environment = clean(VISION_EMULATOR_HOST="127.0.0.1:1")
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    assert "annotating 1 image" in process.stdout.readline()
    until((tmp_path / "a.db").exists, "the ledger")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "sending nothing more" in out
    assert "runs at the service" not in out


def test_sending_is_held() -> None:
    """Whenever a job's log says that sending is held, a line says why; at once, and then once a minute."""
    said: list[str] = []
    held = Held(said.append)
    for seconds in (1000.0, 1010.0, 1061.0):
        facts = {"vision_share": 1.0, "vision_error": "no connection to b:1", "created": seconds}
        held.handle(logging.makeLogRecord({"levelno": logging.WARNING, **facts}))
    held.handle(logging.makeLogRecord({"levelno": logging.WARNING, "created": 2000.0}))
    assert said == ["sending is held, and tried again: no connection to b:1"] * 2


def test_unknown_output_bucket(server: Emulator, tmp_path: Path) -> None:
    """An output bucket that is not among --bucket is noticed before anything is sent."""
    words = ["gs://pictures/sign.png", "--features", "text", "--output", "gs://elsewhere/run/"]
    done = cloud(server, tmp_path, *words)
    assert done.returncode == 2
    assert "--output gs://elsewhere/run/ could not be read: There is no bucket 'elsewhere'" in done.stderr
    name = "projects/p/operations/0123456789abcdef"
    assert cloud(server, tmp_path, "--wait", name, "--output", "gs://elsewhere/run/").returncode == 2
    assert not server.calls


@pytest.mark.parametrize(
    ("redirection", "words", "code", "said"),
    [
        (">&-", "", 0, ""),
        (">/dev/full", "", 0, ""),
        ("2>&-", "--json", 0, ""),
        ("2>/dev/full", "--json", 0, ""),
        (">&- 2>&-", "", 0, ""),
        ("<&- >&- 2>&-", "", 0, ""),
        (">&-", "--json", 8, "standard output cannot be written: it is closed"),
        (">/dev/full", "--json", 8, "standard output cannot be written: No space left on device"),
        (">/dev/full", "--json --quiet", 8, "standard output cannot be written: No space left on device"),
    ],
)
def test_unwritable_streams(redirection: str, words: str, code: int, said: str, tmp_path: Path) -> None:
    """Words that nobody can read do not stop the work; results that cannot be written for --json do, in a sentence and with exit code 8."""
    command = f"{sys.executable} -m vision_grpc.submit {IMAGES}/swatches.png --features properties --output out {words} {redirection}"
    done = subprocess.run(command, shell=True, cwd=tmp_path, env=clean(), capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr
    assert code or len(rows(tmp_path / "out/results.jsonl")) == 1


def test_closed_output_of_status(tmp_path: Path) -> None:
    """--status says so too, where its table cannot be written; wrong usage stays exit code 2 where nobody can read why."""
    command = f"{sys.executable} -m vision_grpc.submit"
    assert submit(IMAGES / "swatches.png", "--features", "properties", "--output", "out", "--job", "w.db", cwd=tmp_path).returncode == 0
    for words, code in (("--status w.db >/dev/full", 8), ("--status w.db --json >&-", 8), ("--frobnicate 2>&-", 2), ("2>&-", 2)):
        done = subprocess.run(f"{command} {words}", shell=True, cwd=tmp_path, env=clean(), capture_output=True, text=True, check=False)
        assert (done.returncode, "Traceback" in done.stderr) == (code, False), done.stderr


def begin(server: Emulator, tmp_path: Path, uri: str = "gs://pictures/swatches.png", output: str = "gs://results/run/") -> str:
    """Starts an operation with --no-wait; returns its name."""
    started = cloud(server, tmp_path, uri, "--features", "properties", "--output", output, "--no-wait")
    assert started.returncode == 0, started.stderr
    return started.stdout.strip()


def test_wait_for_one_that_failed(server: Emulator, tmp_path: Path) -> None:
    """Of several operations the results of those that ended well are written; the others are said, and the exit code is not 0."""
    good = begin(server, tmp_path)
    bad = begin(server, tmp_path, output="gs://elsewhere/run/")
    gone = "projects/p/operations/0123456789abcdef"
    done = cloud(server, tmp_path, "--wait", bad, "--wait", good, "--wait", gone, "--output", "gs://results/run/")
    assert done.returncode == 3
    assert "Error writing final output to: gs://elsewhere/run/" in done.stderr
    assert gone in done.stderr or "NOT_FOUND" in done.stderr
    assert [row["uri"] for row in rows(tmp_path / "bucket/run/results.jsonl")] == ["gs://pictures/swatches.png"]


def test_wait_for_the_same_twice(server: Emulator, tmp_path: Path) -> None:
    """An operation that is named twice, also in two of the four shapes of its name, counts once."""
    name = begin(server, tmp_path)
    shapes = [name, name, name[name.index("operations/") :]]
    words = [word for shape in shapes for word in ("--wait", shape)]
    done = cloud(server, tmp_path, *words, "--output", "gs://results/run/")
    assert done.returncode == 0, done.stderr
    assert "1 of 1 image annotated" in done.stdout


def test_wait_whose_results_are_gone(server: Emulator, tmp_path: Path) -> None:
    """Where an operation is done and its results cannot be read, the way to read them again is said, not that it runs on."""
    name = begin(server, tmp_path)
    assert cloud(server, tmp_path, "--wait", name).returncode == 0
    for shard in (tmp_path / "bucket").rglob("output-*.json"):
        shard.unlink()
    done = cloud(server, tmp_path, "--wait", name)
    assert done.returncode == 3
    assert f"this operation is done; read the results again by: python -m vision_grpc.submit --wait {name}" in done.stderr
    assert "runs on" not in done.stderr


def test_resume_line_of_an_emulator(server: Emulator, tmp_path: Path) -> None:
    """--no-wait without --bucket says in its resume line which bucket must be named to read the results, where nothing else names it."""
    words = ["gs://pictures/swatches.png", "--features", "properties", "--output", "gs://results/run/", "--no-wait"]
    done = submit(*words, cwd=tmp_path, VISION_EMULATOR_HOST=server.target)
    assert done.stderr.rstrip().endswith("--output gs://results/run/ --bucket results=FOLDER")
    buckets = json.dumps({"results": str(tmp_path / "bucket")})
    done = submit(*words, cwd=tmp_path, VISION_EMULATOR_HOST=server.target, VISION_EMULATOR_BUCKETS=buckets)
    assert done.stderr.rstrip().endswith("--output gs://results/run/")


def test_results_of_an_operation_in_a_folder(server: Emulator, tmp_path: Path) -> None:
    """--wait brings them from the bucket, wherever that is said to be, to a folder of this machine."""
    name = begin(server, tmp_path)
    buckets = json.dumps({"results": str(tmp_path / "bucket")})
    environment = {"VISION_EMULATOR_HOST": server.target, "VISION_EMULATOR_BUCKETS": buckets}
    done = submit("--wait", name, "--output", "here", cwd=tmp_path, **environment)
    assert done.returncode == 0, done.stderr
    assert len(rows(tmp_path / "here/results.jsonl")) == 1
    (tmp_path / "file").touch()
    calls = len(server.calls)
    for place, said in (("file", "--output file is a file"), ("s3://b/x", "--output: 's3://b/x/' is not a Cloud Storage prefix")):
        done = submit("--wait", name, "--output", place, cwd=tmp_path, **environment)
        assert (done.returncode, said in done.stderr) == (2, True), done.stderr
    assert len(server.calls) == calls


def test_terminated_wait(server: Emulator, tmp_path: Path) -> None:
    """SIGTERM ends --wait as Ctrl-C does, with the line that waits again; exit code 143."""
    server.faults.add(Fault.stall())
    name = begin(server, tmp_path)
    process = start(server, tmp_path, "--wait", name)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 143, err
    assert f"terminated. this operation is taken up again by: python -m vision_grpc.submit --wait {name}" in err


def test_output_at_the_root(tmp_path: Path) -> None:
    """--output / means the root of the file system, not the current directory."""
    voice = Voice(None, None, machine=False, quiet=True)
    assert Publisher("/", (), LocalFiles(), voice, "v1").place == "/"
    assert Publisher("gs://results/run//", (), LocalFiles(), voice, "v1").place == "gs://results/run"


def test_help(tmp_path: Path) -> None:
    """--help shows examples and exit codes, and loads neither grpc nor protobuf, so that it answers at once."""
    code = "import sys; sys.argv = ['submit', '--help']\nimport runpy\ntry: runpy.run_module('vision_grpc.submit', run_name='__main__')\n"
    code += "except SystemExit as end: assert not end.code\nassert not {'grpc', 'google.protobuf', 'numpy'} & set(sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert "examples:" in done.stdout
    assert "exit codes:" in done.stdout


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
@pytest.mark.parametrize("machine", [False, True])
def test_letters_that_the_terminal_lacks(tmp_path: Path, encoding: str, machine: bool) -> None:
    """Names and found text are written out where a stream's encoding lacks their letters; JSON is UTF-8 whatever it is."""
    shutil.copy(IMAGES / "sign.png", tmp_path / "знак.png")
    words = ["знак.png", "--features", "text", "--output", "out", *(["--json"] if machine else [])]
    command = [sys.executable, "-m", "vision_grpc.submit", *words]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False, env=clean(PYTHONIOENCODING=encoding))
    assert (done.returncode, b"Traceback" in done.stderr) == (0, False)
    if machine:
        assert json.loads(done.stdout.decode())["uri"] == "знак.png"
    else:
        known = "знак.png" if encoding == "utf-8" else r"\u0437\u043d\u0430\u043a.png"
        assert f"{known}: text " in done.stdout.decode(encoding)
    assert rows(tmp_path / "out/results.jsonl")[0]["uri"] == "знак.png"


def test_what_is_left_out_is_said(tmp_path: Path) -> None:
    """Files that are not taken for pictures, names that come again, and features that cannot be computed here are said beforehand."""
    (tmp_path / "photos").mkdir()
    for name in ("a.png", "b.heic", "c.HEIC", "notes"):
        shutil.copy(IMAGES / "blank.png", tmp_path / "photos" / name)
    words = ["--features", "properties,labels", "--language", "de", "--language", "ru"]
    done = submit("photos", "photos/a.png", *words, "--output", "out", cwd=tmp_path)
    assert done.returncode == 1
    assert "the embedded server does not read --language ru: text in it is missed or misread" in done.stderr
    assert "photos: passed over 3 files not called as pictures are (2 .heic, 1 without an ending)" in done.stdout
    assert "each image is taken once: 1 name came again, and is left out" in done.stdout
    assert "the embedded server cannot compute LABEL_DETECTION: every image will have an error that says so" in done.stderr
    assert "annotating 1 picture " in done.stdout


def test_inputs_stand_anywhere(tmp_path: Path) -> None:
    """Inputs before, between and behind options are all taken, in their order; after "--" also such as begin with a dash."""
    for name in ("a.png", "b.png", "-c.png"):
        shutil.copy(IMAGES / "blank.png", tmp_path / name)
    words = ["--features", "properties", "--output", "out"]
    done = submit("a.png", *words, "b.png", "--format", "jsonl", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert [row["uri"] for row in rows(tmp_path / "out/results.jsonl")] == ["a.png", "b.png"]
    assert submit("a.png", *words, "--", "-c.png", cwd=tmp_path).returncode == 0
    assert [row["uri"] for row in rows(tmp_path / "out/results.jsonl")] == ["a.png", "-c.png"]


def test_quiet_says_how_many_failed(tmp_path: Path) -> None:
    """--quiet leaves out all but what failed, which is one line on standard error."""
    done = submit(IMAGES / "broken.jpg", IMAGES / "blank.png", "--features", "properties", "--output", "out", "--quiet", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "1 of 2 images annotated, 1 failed: out/results.jsonl\n"


def test_local_pictures_go_in_small_requests(tmp_path: Path) -> None:
    """Local pictures are sent ten at a time, so that a stop loses little."""
    (tmp_path / "photos").mkdir()
    for number in range(25):
        shutil.copy(IMAGES / "blank.png", tmp_path / "photos" / f"{number}.png")
    assert submit("photos", "--features", "properties", "--output", "out", "--job", "job.db", cwd=tmp_path).returncode == 0
    standing = submit("--status", "job.db", "--json", cwd=tmp_path)
    assert json.loads(standing.stdout)["progress"]["requests"]["collected"] == 3
    assert [row["index"] for row in rows(tmp_path / "out/results.jsonl")] == list(range(25))


def test_a_folder_without_room(tmp_path: Path) -> None:
    """Where the output cannot be written, that is said once, by the folder's own name, and is exit code 3."""
    shutil.copy(IMAGES / "blank.png", tmp_path)
    code = (
        "import errno, sys\nfrom vision_grpc.objects import LocalObjects\nfrom vision_grpc.submit import main\n"
        "def write(*_):\n    raise OSError(errno.ENOSPC, 'No space left on device')\n"
        "LocalObjects.write = write\nsys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", code, "blank.png", "--features", "properties", "--output", "out"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, env=clean())
    assert done.returncode == 3
    assert "--output out could not be written: No space left on device" in done.stderr
    assert "Error writing final output to: out/" in done.stdout
    assert "gs://" not in done.stdout


def test_a_local_job_that_was_killed_goes_on(tmp_path: Path) -> None:
    """A kill between a request's intent and its answer is settled at once where nothing is paid for, and every picture has its line."""
    (tmp_path / "photos").mkdir()
    for number in range(25):
        shutil.copy(IMAGES / "blank.png", tmp_path / "photos" / f"{number}.png")
    killed = (
        "import os, sys\nfrom vision_grpc._job.service import ClientService\nfrom vision_grpc.submit import main\n"
        "calls, submit = [], ClientService.submit\n"
        "def kill(self, *words):\n    calls.append(1)\n    return os._exit(9) if len(calls) == 2 else submit(self, *words)\n"
        "ClientService.submit = kill\nsys.exit(main(sys.argv[1:]))"
    )
    words = ["photos", "--features", "properties", "--output", "out", "--job", "job.db"]
    first = subprocess.run([sys.executable, "-c", killed, *words], cwd=tmp_path, capture_output=True, check=False, env=clean())
    assert first.returncode == 9
    done = submit(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    assert [row["index"] for row in rows(tmp_path / "out/results.jsonl")] == list(range(25))
