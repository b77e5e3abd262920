"""What the command line's inputs stand for: patterns, lists and staged pictures."""

import json
import operator
import os
import re
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.test_submit import IMAGES, clean, cloud, rows, submit
from vision_grpc import ConfigError
from vision_grpc._cli.inputs import collect, expand, stage
from vision_grpc._cli.lists import read_list
from vision_grpc.emulator import Emulator
from vision_grpc.objects import LocalObjects, ObjectInfo


@pytest.fixture
def bucket(tmp_path: Path) -> LocalObjects:
    """A bucket with pictures in folders."""
    objects = LocalObjects({"photos": tmp_path / "photos"})
    for name in ("a.jpg", "b.png", "2/photo10.jpg", "2/photo2.jpg", "2/deep/c.jpg", "2/notes.txt"):
        objects.write(f"gs://photos/{name}", b"")
    return objects


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("*.jpg", ["a.jpg"]),
        ("**.jpg", ["2/deep/c.jpg", "2/photo2.jpg", "2/photo10.jpg", "a.jpg"]),
        ("2/*.jpg", ["2/photo2.jpg", "2/photo10.jpg"]),
        ("2/photo?.jpg", ["2/photo2.jpg"]),
        ("?.*", ["a.jpg", "b.png"]),
        ("**/*.txt", ["2/notes.txt"]),
    ],
)
def test_patterns(bucket: LocalObjects, pattern: str, names: list[str]) -> None:
    """`*` and `?` stay within a folder, `**` does not; numbers sort as numbers."""
    assert list(expand(f"gs://photos/{pattern}", bucket)) == [f"gs://photos/{name}" for name in names]


@pytest.mark.parametrize(("pattern", "sentence"), [("gs://ph*/a.jpg", "name the bucket"), ("gs://photos/*.gif", "matches no object")])
def test_bad_patterns(bucket: LocalObjects, pattern: str, sentence: str) -> None:
    """A pattern for buckets, or one that matches nothing, is refused in words."""
    with pytest.raises(ConfigError, match=sentence):
        list(expand(pattern, bucket))


def test_matches_are_not_held() -> None:
    """However many objects match, no more than a moment's worth of them is in memory; numbers still sort as numbers."""
    names = [f"gs://photos/{'folder/' * 5}{number}.jpg" for number in range(50_000)]

    class Many(LocalObjects):
        def list(self, prefix: str) -> Iterator[ObjectInfo]:
            return (ObjectInfo(name, 1) for name in reversed(names))

    tracemalloc.start()
    found = collect(expand("gs://photos/**.jpg", Many({})))
    assert all(map(operator.eq, found.uris, names))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(found) == 50_000
    assert peak < 1_000_000  # bytes; the URIs alone are 4 MB


@pytest.mark.parametrize(
    ("name", "text", "column"),
    [
        ("list.txt", "gs://bkt/1.jpg\n\n  gs://bkt/2, two.jpg \r\n", None),
        ("list.jsonl", '{"uri": "gs://bkt/1.jpg", "n": 1}\n{"uri": "gs://bkt/2, two.jpg"}\n', None),
        ("list", '{"image": "gs://bkt/1.jpg"}\n{"image": "gs://bkt/2, two.jpg"}\n', "image"),
        ("list.csv", 'id,uri\n1,gs://bkt/1.jpg\n2,"gs://bkt/2, two.jpg"\n3,\n', None),
        ("list.tsv", 'id,image\n1,gs://bkt/1.jpg\n2,"gs://bkt/2, two.jpg"\n', "image"),
        ("bom.txt", "\ufeffgs://bkt/1.jpg\ngs://bkt/2, two.jpg", None),
    ],
)
def test_lists(tmp_path: Path, name: str, text: str, column: str | None) -> None:
    """Text, JSON Lines and CSV with a named column list the same inputs."""
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert list(read_list(str(tmp_path / name), column)) == ["gs://bkt/1.jpg", "gs://bkt/2, two.jpg"]


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("list.csv", "id,image\n1,gs://bkt/1.jpg\n", "has no column 'uri'; it has id, image"),
        ("list.jsonl", '{"uri": "gs://bkt/1.jpg"}\n{"url": "gs://bkt/2.jpg"}\n', "line 2 has no 'uri'"),
        ("list.jsonl", '{"uri": "gs://bkt/1.jpg"}\n{"uri": \n', "line 2 is not a JSON object"),
        ("list.jsonl", '{"uri": 7}\n', "line 1: 'uri' is not a string"),
        ("list.jsonl", '{"uri": ' + "[" * 100_000, "list.jsonl, line 1 is not a JSON object: it is nested too deeply"),
        ("list.csv", "uri\ngs://bkt/1.jpg\n\n" + "x" * 200_000 + "\n", "list.csv, line 4 is not CSV: field larger than field limit"),
        ("list.csv", "uri\ngs://bkt/1.jpg\ngs://bkt\n", "list.csv, line 3: 'gs://bkt' does not name a bucket and an object"),
        ("list.txt", "gs://bkt/1.jpg\n\n# a comment\n", "list.txt, line 3: # a comment does not exist"),
        ("list.txt", "https://example.com/1.jpg\n", "list.txt, line 1: .* neither a gs:// URI nor a local path"),
        ("list.txt", "x" * 5000, "line 1: x{200}… cannot be read: File name too long"),
    ],
)
def test_bad_lists(tmp_path: Path, name: str, text: str, sentence: str) -> None:
    """What is wrong with a list is said with its line or column."""
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError, match=sentence):
        list(read_list(str(tmp_path / name), None))


def test_list_that_is_no_text(tmp_path: Path) -> None:
    """A picture given as a list is refused in words."""
    with pytest.raises(ConfigError, match="cannot be read"):
        list(read_list(str(IMAGES / "sign.png"), None))


def test_lists_are_not_held(tmp_path: Path) -> None:
    """Of a list of any length, to its end and again, no more than a moment's worth of URIs is in memory; each is taken once, in order."""
    uris = [f"gs://photos/{'folder/' * 5}{index % 50_000:08d}.jpg" for index in range(60_000)]
    (tmp_path / "list.txt").write_text("\n".join(uris))
    once = uris[:50_000]
    tracemalloc.start()
    found = collect(read_list(str(tmp_path / "list.txt"), None))
    for _ in range(2):
        assert all(map(operator.eq, found.uris, once))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (len(found), found.names) == (50_000, ())
    assert peak < 1_000_000  # bytes; the URIs alone are 4 MB


def test_a_list_without_room(tmp_path: Path) -> None:
    """A list that the disk has no room for ends in words, and before anything is sent."""
    listed = tmp_path / "list.txt"
    listed.write_text("".join(f"gs://photos/{index:08d}.jpg\n" for index in range(100_000)))
    code = (
        "import resource, signal, sys\nfrom vision_grpc.submit import main\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\nresource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    words = ["--uris-from", str(listed), "--features", "text", "--output", "gs://out/", "--job", "job.db"]
    done = subprocess.run([sys.executable, "-c", code, *words], cwd=tmp_path, capture_output=True, text=True, check=False, env=clean())
    assert done.returncode == 3, done.stderr
    assert "the list of URIs cannot be kept in a temporary file" in done.stderr
    assert "TMPDIR" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "job.db").exists()


@pytest.mark.parametrize("text", ["gs://bkt/1.jpg\n{picture}\n{rest}", "{picture}\ngs://bkt/1.jpg\n{rest}"])
def test_a_mixed_list(tmp_path: Path, text: str) -> None:
    """A list that names both kinds is refused by the first two that do not go together, whatever comes after them."""
    listed = tmp_path / "list.txt"
    listed.write_text(text.format(picture=IMAGES / "sign.png", rest="nonsense\n"))
    with pytest.raises(ConfigError, match=r"gs://bkt/1.jpg lies in Cloud Storage and .*sign.png on this machine"):
        collect(read_list(str(listed), None))


def test_each_input_once(tmp_path: Path) -> None:
    """A picture named twice, by itself and by its folder, is annotated once; hidden files and other files are left out."""
    for name in ("photo10.JPG", "photo2.jpg", ".hidden.jpg", "notes.txt", ".git/x.png", "sub/a.webp"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    found = collect([str(tmp_path / "photo2.jpg"), str(tmp_path)])
    assert [Path(name).name for name in found.names] == ["photo2.jpg", "photo10.JPG", "a.webp"]
    assert found.local
    assert len(set(found.uris)) == 3


def test_names_that_look_alike(tmp_path: Path) -> None:
    """A file whose name holds the byte 0xff and one named by the four characters that stand for it are two pictures."""
    for name in (b"x\xff.png", b"x\\xff.png"):
        (tmp_path / os.fsdecode(name)).write_bytes(b"")
    found = collect([str(tmp_path)])
    assert len(set(found.names)) == len(set(found.uris)) == 2
    assert {os.fsencode(Path(path).name) for path in found.paths.values()} == {b"x\xff.png", b"x\\xff.png"}


def test_stage(tmp_path: Path) -> None:
    """Staging uploads by content: the same picture under two names once, and a second run uploads nothing."""
    objects = LocalObjects({"staged": tmp_path / "staged"})
    names = [tmp_path / "a.PNG", tmp_path / "b.png", tmp_path / "c.png"]
    for path, content in zip(names, (b"same", b"same", b"other"), strict=True):
        path.write_bytes(content)
    uris, uploaded = stage([str(path) for path in names], "gs://staged/in/", objects)
    assert uris[0] == uris[1] != uris[2]
    assert uris[0].endswith(".png")
    assert uploaded == 2
    assert stage([str(path) for path in names], "gs://staged/in/", objects) == (uris, 0)


@pytest.mark.parametrize("name", [b"x.p\xff", b"x.p\nng", b"x.p#1", b"x"])
def test_stage_names_no_object_by_what_the_service_could_not_read(name: bytes, tmp_path: Path) -> None:
    """The end of a file's name is left out where it is more than letters and digits."""
    path = tmp_path / os.fsdecode(name)
    path.write_bytes(b"picture")
    (uri,), _ = stage([str(path)], "gs://staged/in/", LocalObjects({"staged": tmp_path / "staged"}))
    assert re.fullmatch("gs://staged/in/[0-9a-f]{32}", uri)


def test_submit_stages(tmp_path: Path) -> None:
    """Local pictures with --stage go to the bucket, and are annotated there under the names that the user gave."""
    (tmp_path / "bucket").mkdir()
    with Emulator(buckets={"results": tmp_path / "bucket"}, annotator=lambda content, request: b"") as server:
        words = ["--stage", "gs://results/in", "--features", "text", "--output", "gs://results/out/"]
        first = cloud(server, tmp_path, str(IMAGES), *words)
        assert first.returncode == 0, first.stderr
        assert "uploaded 8 of 8 pictures" in first.stdout
        missing = "gs://results/in/missing.png"
        again = cloud(server, tmp_path, missing, str(IMAGES), missing, *words, "--format", "html")
        assert "uploaded 0 of 8 pictures" in again.stdout
    named = [row["uri"] for row in rows(tmp_path / "bucket/out/results.jsonl")]
    assert named == [missing, *sorted(str(path) for path in IMAGES.iterdir())]
    # The report shows the pictures of this machine too, and says why it cannot show others.
    page = (tmp_path / "bucket/out/report.html").read_text()
    assert page.count("data:image/jpeg;base64,") == 7
    assert re.findall(r'"missing":"([^"]*)', page) == [f"{missing} does not exist.", "the file could not be read as a picture"]


def test_nothing_is_staged_for_an_order_that_is_wrong(tmp_path: Path) -> None:
    """An output in no bucket and a URI that names no object are noticed before the first upload."""
    stage = ["--features", "text", "--stage", "gs://results/in/", "--bucket", f"results={tmp_path / 'bucket'}"]
    for words, said in ((["--output", "out"], "is a local folder"), (["gs://x", "--output", "gs://results/"], "'gs://x' does not name")):
        done = submit(IMAGES, *words, *stage, cwd=tmp_path)
        assert (done.returncode, said in done.stderr) == (2, True), done.stderr
    assert not (tmp_path / "bucket").exists()


def test_submit_pattern(tmp_path: Path) -> None:
    """A pattern on the command line stands for the objects that match."""
    (tmp_path / "bucket").mkdir()
    with Emulator(buckets={"pictures": IMAGES, "results": tmp_path / "bucket"}, annotator=lambda content, request: b"") as server:
        done = cloud(server, tmp_path, "gs://pictures/*.jpg", "--features", "text", "--output", "gs://results/out/", "--json")
    assert done.returncode == 0, done.stderr
    uris = [json.loads(line)["uri"] for line in done.stdout.splitlines()]
    assert uris == [f"gs://pictures/{name}.jpg" for name in ("broken", "landscape", "rotated")]


def test_awkward_names(tmp_path: Path) -> None:
    """A name that no file can have is wrong usage in one sentence; standard input may begin with a byte order mark."""
    for words in (["x" * 300, "--output", "out"], [str(IMAGES), "--output", "x" * 300]):
        done = submit(*words, "--features", "properties", cwd=tmp_path)
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
        assert "File name too long" in done.stderr
    words = ["--uris-from", "-", "--features", "properties", "--output", "out"]
    assert submit(*words, cwd=tmp_path, stdin=f"\ufeff{IMAGES}/swatches.png\n").returncode == 0


def test_standard_input(tmp_path: Path) -> None:
    """--uris-from - reads names from a pipe, as find prints them."""
    command = [sys.executable, "-m", "vision_grpc.submit", "--uris-from", "-", "--features", "properties", "--output", "out"]
    done = subprocess.run(command, input=f"{IMAGES}/sign.png\n", cwd=tmp_path, capture_output=True, text=True, check=False, env=clean())
    assert done.returncode == 0, done.stderr
    assert len(rows(tmp_path / "out/results.jsonl")) == 1


def test_standard_input_is_given_again(tmp_path: Path) -> None:
    """A job of names from a pipe says, when it stops, that a resume needs them again; given again, it goes on, and sends nothing twice."""
    (tmp_path / "bucket").mkdir()
    listed = "gs://pictures/sign.png\ngs://pictures/swatches.png\n"
    words = ["--uris-from", "-", "--features", "text", "--output", "gs://results/run/", "--job", "job.db", "--images-in-flight", "1"]
    with Emulator(buckets={"pictures": IMAGES, "results": tmp_path / "bucket"}, annotator=lambda content, request: b"") as server:
        done = cloud(server, tmp_path, *words, "--max-images", "1", stdin=listed)
        assert done.returncode == 7, done.stderr
        assert "Resume: the same command, with --job job.db, and the same list on standard input once more" in done.stdout
        again = cloud(server, tmp_path, *words)
        assert again.returncode == 2
        assert "--uris-from - is empty" in again.stderr
        assert cloud(server, tmp_path, *words, stdin=listed).returncode == 0
        assert len([call for call in server.calls if call.method == "AsyncBatchAnnotateImages"]) == 2
    assert [row["uri"] for row in rows(tmp_path / "bucket/run/results.jsonl")] == listed.split()


def test_a_list_that_can_be_read_once(tmp_path: Path) -> None:
    """A named pipe, as the shell's <(...), is a list like any other, also without --job."""
    (tmp_path / "bucket").mkdir()
    os.mkfifo(tmp_path / "names")
    writer = threading.Thread(target=(tmp_path / "names").write_text, args=("gs://pictures/sign.png\ngs://pictures/sign.png\n",))
    writer.start()
    with Emulator(buckets={"pictures": IMAGES, "results": tmp_path / "bucket"}, annotator=lambda content, request: b"") as server:
        done = cloud(server, tmp_path, "--uris-from", "names", "--features", "text", "--output", "gs://results/run/")
    writer.join()
    assert done.returncode == 0, done.stderr
    assert [row["uri"] for row in rows(tmp_path / "bucket/run/results.jsonl")] == ["gs://pictures/sign.png"]


def test_formats(tmp_path: Path) -> None:
    """html and parquet are written beside results.jsonl, under the names that the user gave."""
    import pyarrow.parquet

    done = submit(IMAGES, "--features", "properties", "--output", "out", "--format", "html,parquet", cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert "out/results.jsonl, out/report.html, out/results.parquet" in done.stdout
    table = pyarrow.parquet.read_table(tmp_path / "out/results.parquet")
    assert table["uri"].to_pylist() == [row["uri"] for row in rows(tmp_path / "out/results.jsonl")]
    assert "receipt.png" in (tmp_path / "out/report.html").read_text()
