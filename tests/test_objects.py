"""Objects in local folders and in a Cloud Storage emulator, which is a real peer: the same promises for both."""

import base64
import json
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import google_crc32c
import pytest
from gcp_storage_emulator.server import create_server
from google.cloud.storage.retry import DEFAULT_RETRY  # type: ignore[import-untyped]

from tests.ports import held_port
from vision_grpc._objects.object import TakesFiles
from vision_grpc.errors import ConfigError
from vision_grpc.objects import GcsObjects, LocalFiles, LocalObjects, ObjectInfo, Objects, open_objects

NAMES = ["a-1", "a/2", "a/b/3", "out-1.json", "out/1", "out10", "ü x?#%.jpg"]


@pytest.fixture(autouse=True)
def no_background_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where OpenTelemetry is installed, google-cloud-storage asks for each bucket's metadata in a thread that outlives the test."""
    monkeypatch.setenv("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")


@pytest.fixture(scope="module")
def storage() -> Iterator[str]:
    """The address of gcp-storage-emulator, holding the bucket "b"."""
    with held_port() as port:
        server = create_server("127.0.0.1", port, in_memory=True, default_bucket="b")
        server.start()
        yield f"http://127.0.0.1:{port}"
        server.stop()


@pytest.fixture
def gcs(storage: str, monkeypatch: pytest.MonkeyPatch) -> GcsObjects:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", storage)
    return GcsObjects()


@pytest.fixture(params=["local", "gcs"])
def objects(request: pytest.FixtureRequest, tmp_path: Path) -> Objects:
    """A place with one bucket, "b"."""
    if request.param == "gcs":
        place: Objects = request.getfixturevalue("gcs")
        return place
    (tmp_path / "b").mkdir()
    return LocalObjects({"b": tmp_path / "b"})


def test_what_was_written_is_read_listed_and_measured(objects: Objects) -> None:
    """Every name and every byte comes back, listings are ordered by name and find by a prefix, not only by folder."""
    data = bytes(range(256)) * 9
    for name in reversed(NAMES):
        objects.write(f"gs://b/t/{name}", data, "image/jpeg")
    assert list(objects.list("gs://b/t/")) == [ObjectInfo(f"gs://b/t/{name}", len(data)) for name in NAMES]
    assert [info.uri for info in objects.list("gs://b/t/out")] == [f"gs://b/t/{name}" for name in NAMES if name.startswith("out")]
    assert [info.uri for info in objects.list("gs://b/t/a/b")] == ["gs://b/t/a/b/3"]
    assert list(objects.list("gs://b/t/none")) == []
    for name in NAMES:
        uri = f"gs://b/t/{name}"
        assert (objects.read(uri), objects.size(uri), objects.exists(uri)) == (data, len(data), True)


def test_an_object_is_replaced_whole(objects: Objects) -> None:
    """A shorter second content leaves nothing of the first; an empty object is an object."""
    for data in (b"long content", b"short", b""):
        objects.write("gs://b/replaced", data)
        assert objects.read("gs://b/replaced") == data


def test_what_is_missing_is_file_not_found(objects: Objects) -> None:
    """A missing object and a missing bucket, by every method; the sentence names it."""
    calls: list[Callable[[str], object]] = [
        objects.read,
        objects.size,
        lambda uri: list(objects.list(uri)),
        lambda uri: objects.write(uri, b""),
    ]
    for call in calls[:2]:
        with pytest.raises(FileNotFoundError, match="gs://b/missing"):
            call("gs://b/missing")
    for call in calls:
        with pytest.raises(FileNotFoundError, match="nobucket"):
            call("gs://nobucket/x")
    assert not objects.exists("gs://b/missing")


@pytest.mark.parametrize("uri", ["gs://b/", "gs://b", "http://b/x", "/etc/passwd", "gs:///x", ""])
def test_a_uri_that_names_no_object_is_refused(objects: Objects, uri: str) -> None:
    """PermissionError, which an emulator can answer with like any other name that may not be read."""
    with pytest.raises(PermissionError):
        objects.read(uri)
    with pytest.raises(PermissionError):
        objects.write(uri, b"")


def test_many_threads_share_one_place(objects: Objects) -> None:
    """Writers of one object never mix their contents; other objects do not disturb each other."""
    contents = [bytes([n]) * 5000 for n in range(12)]

    def write(n: int) -> None:
        objects.write("gs://b/shared", contents[n])
        objects.write(f"gs://b/own/{n}", contents[n])
        assert objects.read("gs://b/shared") in contents

    with ThreadPoolExecutor(3) as threads:
        list(threads.map(write, range(12)))
    assert [objects.read(f"gs://b/own/{n}") for n in range(12)] == contents


@pytest.mark.parametrize(
    "name",
    [
        "../secret",
        "a/../../secret",
        "..",
        "./x",
        "a//b",
        "/etc/passwd",
        "a\0b",
        "x" * 1025,
        "y" * 256,
        "a/",
        "\ud800",
        ".vision-grpc-0123456789abcdef.tmp",
    ],
)
def test_names_that_a_bucket_cannot_hold_are_refused(name: str, tmp_path: Path) -> None:
    """Nothing is read or written outside the bucket, by any trick of the name."""
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "b").mkdir()
    objects = LocalObjects({"b": tmp_path / "b"})
    for call in (objects.read, objects.size, objects.exists, lambda uri: objects.write(uri, b"x")):
        with pytest.raises(PermissionError):
            call(f"gs://b/{name}")
    assert {path.name for path in tmp_path.rglob("*")} == {"secret", "b"}
    assert (tmp_path / "secret").read_text() == "secret"


def test_links_out_of_the_bucket_are_refused_and_not_listed(tmp_path: Path) -> None:
    """Links to files and to folders outside; a link inside the bucket is an object like any other."""
    bucket, outside = tmp_path / "b", tmp_path / "outside"
    bucket.mkdir()
    outside.mkdir()
    (outside / "secret").write_text("secret")
    (bucket / "real").write_text("real")
    (bucket / "inner").symlink_to("real")
    (bucket / "file").symlink_to(outside / "secret")
    (bucket / "folder").symlink_to(outside)
    objects = LocalObjects({"b": bucket})
    assert objects.read("gs://b/inner") == b"real"
    assert [info.uri for info in objects.list("gs://b/")] == ["gs://b/inner", "gs://b/real"]
    for name in ("file", "folder/secret", "folder/new"):
        with pytest.raises(PermissionError, match="link"):
            objects.read(f"gs://b/{name}")
        with pytest.raises(PermissionError, match="link"):
            objects.write(f"gs://b/{name}", b"x")
    with pytest.raises(PermissionError):
        objects.list("gs://b/folder/")
    assert [path.name for path in outside.iterdir()] == ["secret"]


def test_links_in_a_circle_are_not_objects(tmp_path: Path) -> None:
    """They are no obstacle to a listing, and an OSError to whoever names them, as a path on the way or at the end."""
    (tmp_path / "circle").symlink_to("circle")
    (tmp_path / "real").write_text("real")
    objects = LocalObjects({"b": tmp_path})
    assert [info.uri for info in objects.list("gs://b/")] == ["gs://b/real"]
    assert [info.uri for info in LocalFiles().list(f"{tmp_path}/")] == [f"{tmp_path}/real"]
    for call in (objects.read, objects.size, lambda uri: objects.write(uri + "/new", b"x")):
        for name in ("circle", "circle/x"):
            with pytest.raises(OSError):
                call(f"gs://b/{name}")


def test_pipes_and_folders_are_not_objects(tmp_path: Path) -> None:
    """Opening a pipe would wait for ever; both are answered as missing."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    objects = LocalObjects({"b": tmp_path})
    for name in ("pipe", "folder", "pipe/x"):
        with pytest.raises(FileNotFoundError):
            objects.read(f"gs://b/{name}")
        assert not objects.exists(f"gs://b/{name}")
    assert list(objects.list("gs://b/")) == []


def test_a_write_that_fails_leaves_nothing(tmp_path: Path) -> None:
    """Neither half an object nor the unfinished file; the old content stays."""
    objects = LocalObjects({"b": tmp_path})
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError):
        objects.write("gs://b/taken", b"x")
    objects.write("gs://b/kept", b"old")
    with pytest.raises(TypeError):
        objects.write("gs://b/kept", "not bytes")  # type: ignore[arg-type]
    assert objects.read("gs://b/kept") == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kept", "taken"]


def test_local_paths_are_a_place_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder, a prefix inside it, and a relative path; a bucket's directory is made by its first write."""
    LocalObjects({"out": tmp_path / "new" / "out"}).write("gs://out/run-1.json", b"{}")
    folder = tmp_path / "new" / "out"
    for place, expected in ((folder, f"{folder}/run-1.json"), (folder / "run", f"{folder}/run-1.json")):
        files, prefix = open_objects(place)
        assert [info.uri for info in files.list(prefix)] == [expected]
        assert files.read(expected) == b"{}"
    monkeypatch.chdir(folder)
    assert [info.uri for info in LocalFiles().list("ru")] == ["run-1.json"]
    LocalFiles().write("deep/er/file", b"x")
    assert LocalFiles().size("deep/er/file") == 1
    assert LocalFiles().exists("deep/er/file")
    with pytest.raises(ValueError, match="s3://"):
        open_objects("s3://b/x")


def test_gs_uris_open_cloud_storage(gcs: GcsObjects) -> None:
    """open_objects serves gs:// by the environment's storage, and what it returns goes to other processes."""
    gcs.write("gs://b/opened/x", b"1")
    opened, prefix = open_objects("gs://b/opened/")
    again = pickle.loads(pickle.dumps(opened))
    assert [info.uri for info in again.list(prefix)] == ["gs://b/opened/x"]


def test_large_objects_travel_whole(gcs: GcsObjects) -> None:
    """Above 8 MiB the library uploads in another way (resumable)."""
    data = os.urandom(1 << 20) * 9
    gcs.write("gs://b/large", data)
    assert gcs.read("gs://b/large") == data


def test_a_file_is_stored_whole(objects: Objects, tmp_path: Path) -> None:
    """Its content replaces the object's; a file that is not there is said."""
    assert isinstance(objects, TakesFiles)
    file = tmp_path / "results.jsonl"
    for data in (b"long content", b""):
        file.write_bytes(data)
        objects.write_file("gs://b/from-file", file, "application/jsonl")
        assert objects.read("gs://b/from-file") == data
    with pytest.raises(FileNotFoundError):
        objects.write_file("gs://b/from-file", tmp_path / "missing")


UPLOAD = """
import sys, tracemalloc
from pathlib import Path
from vision_grpc.objects import GcsObjects, LocalObjects
file, bucket = map(Path, sys.argv[1:])
for objects in (LocalObjects({"b": bucket}), GcsObjects()):
    objects.write("gs://b/first", b"")
    tracemalloc.start()
    objects.write_file("gs://b/large-file", file)
    print(objects.size("gs://b/large-file"), tracemalloc.get_traced_memory()[1])
    tracemalloc.stop()
"""


def test_a_large_file_is_stored_a_part_at_a_time(storage: str, tmp_path: Path) -> None:
    """The most that Python holds of it is less than its size, however large it is."""
    file, size = tmp_path / "results.jsonl", 40 << 20
    with file.open("wb") as sparse:
        sparse.truncate(size)
    environ = os.environ | {"STORAGE_EMULATOR_HOST": storage}
    command = [sys.executable, "-c", UPLOAD, str(file), str(tmp_path / "bucket")]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    for line in done.stdout.splitlines():
        stored, held = map(int, line.split())
        assert (stored, held < size / 2) == (size, True), line
    assert len(done.stdout.splitlines()) == 2


Answer = tuple[int, dict[str, str], bytes, int]
CONTENT = b"hello world" * 2000
GOOD = {"X-Goog-Hash": "crc32c=" + base64.b64encode(google_crc32c.value(CONTENT).to_bytes(4, "big")).decode()}


class _Flaky(BaseHTTPRequestHandler):
    """Answers each request by the next of the server's answers: status, headers, body, and how much of it is sent."""

    def do_GET(self) -> None:
        status, headers, body, sent = self.server.answers.pop(0)  # type: ignore[attr-defined]
        if self.headers["Range"] and status == 200:
            start = int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
            self.server.resumed_at.append(start)  # type: ignore[attr-defined]
            status, body = 206, body[start:]
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:sent])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def flaky(monkeypatch: pytest.MonkeyPatch) -> Iterator[ThreadingHTTPServer]:
    """A storage server of our own that gives the answers it is told to."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Flaky)
    server.answers, server.resumed_at = [], []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{server.server_port}")
    # The library pauses for a second and more between tries; there is nothing to learn from waiting for them.
    monkeypatch.setattr("google.cloud.storage.retry.DEFAULT_RETRY", DEFAULT_RETRY.with_delay(0.001, 0.001))
    monkeypatch.setattr("vision_grpc._objects.gcs._SECONDS_IN_ALL", 5.0)
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def answer(status: int, body: bytes = b"", headers: dict[str, str] | None = None, sent: int | None = None) -> Answer:
    return status, headers or {}, body, len(body) if sent is None else sent


def test_an_emulator_without_a_scheme(monkeypatch: pytest.MonkeyPatch) -> None:
    """STORAGE_EMULATOR_HOST without its scheme is said to be wrong, and nothing is tried for minutes."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "localhost:9000")
    with pytest.raises(OSError, match="gs://b/x failed: STORAGE_EMULATOR_HOST must begin with http:// or https://, not 'localhost:9000'"):
        GcsObjects().read("gs://b/x")


def test_transient_failures_are_retried(flaky: Any) -> None:
    """503 and 429, then the object."""
    flaky.answers += [answer(503), answer(429), answer(200, CONTENT, GOOD)]
    assert GcsObjects().read("gs://b/x") == CONTENT
    assert flaky.answers == []


def test_a_download_that_ends_early_is_resumed(flaky: Any) -> None:
    """The rest is fetched from where the connection broke, and the whole is checked."""
    flaky.answers += [answer(200, CONTENT, GOOD, sent=15000), answer(200, CONTENT, GOOD)]
    assert GcsObjects().read("gs://b/x") == CONTENT
    assert flaky.resumed_at == [8192]


@pytest.mark.parametrize("resumed", [False, True])
def test_a_damaged_download_is_refused(resumed: bool, flaky: Any) -> None:
    """In one go or resumed: the checksum is that of the stored object, or the bytes are not returned."""
    damaged = CONTENT[:-1] + b"D"
    if resumed:
        flaky.answers.append(answer(200, CONTENT, GOOD, sent=15000))
    flaky.answers.append(answer(200, damaged, GOOD))
    with pytest.raises(OSError, match="gs://b/x"):
        GcsObjects().read("gs://b/x")
    assert flaky.resumed_at == [8192] * resumed


def test_refusals_keep_the_words_of_the_service(flaky: Any) -> None:
    """403 is PermissionError, 404 FileNotFoundError, 400 another OSError; none is tried again."""
    words = b"bob@x does not have storage.objects.get access."
    flaky.answers.append(answer(403, words, {"Content-Type": "text/plain"}))
    with pytest.raises(PermissionError, match=r"gs://b/x may not be touched: bob@x does not have storage.objects.get access."):
        GcsObjects().read("gs://b/x")
    flaky.answers.append(answer(404, b"No such object: b/x", {"Content-Type": "text/html"}))
    with pytest.raises(FileNotFoundError, match=r"gs://b/x does not exist: No such object: b/x"):
        GcsObjects().read("gs://b/x")
    flaky.answers.append(answer(400, b'{"error": {"code": 400, "message": "Invalid bucket name."}}', {"Content-Type": "application/json"}))
    with pytest.raises(OSError, match=r"gs://b/x failed: Invalid bucket name.") as caught:
        GcsObjects().size("gs://b/x")
    assert not isinstance(caught.value, FileNotFoundError | PermissionError)
    assert flaky.answers == []


@pytest.mark.parametrize("body", [b"{broken", b'{"error": "denied"}', b'{"error": {"errors": 5}}', b"[]", b"\xff", b""])
@pytest.mark.parametrize("status", [200, 403])
def test_answers_of_another_shape_are_os_errors_too(status: int, body: bytes, flaky: Any) -> None:
    """What a proxy may answer instead of the service: broken JSON, JSON of another shape, no text; by every method."""
    json = {"Content-Type": "application/json"}
    calls: list[Callable[[str], object]] = [GcsObjects().size]
    if status == 403:
        calls += [GcsObjects().read, GcsObjects().exists, lambda uri: list(GcsObjects().list(uri))]
    for call in calls:
        flaky.answers[:] = [answer(status, body, json)]
        with pytest.raises(OSError, match="gs://b/x"):
            call("gs://b/x")


def test_a_bucket_name_that_cannot_be_is_an_os_error(flaky: Any) -> None:
    """The library refuses it before it asks; no method lets that through as another error."""
    with pytest.raises(OSError, match="gs://-b/x failed: Bucket names must"):
        GcsObjects().read("gs://-b/x")
    assert flaky.answers == []


def test_a_fork_makes_its_own_connections(storage: str) -> None:
    """A client used before the fork works in parent and child after it."""
    program = (
        "import os; from vision_grpc.objects import GcsObjects; gcs = GcsObjects(); gcs.write('gs://b/forked', b'1'); child = os.fork()\n"
        "read = gcs.read('gs://b/forked')\n"
        "if child == 0: os._exit(0 if read == b'1' else 1)\n"
        "print(read, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))"
    )
    # In a process of its own: this one runs the emulator's thread, which a fork would cut off in the middle of anything.
    environ = os.environ | {"STORAGE_EMULATOR_HOST": storage}
    done = subprocess.run([sys.executable, "-c", program], env=environ, capture_output=True, text=True, check=True, timeout=250)
    assert done.stdout == "b'1' 0\n"


def test_a_missing_package_is_one_sentence() -> None:
    """Without google-cloud-storage the module imports, and the first gs:// place says what to install."""
    program = (
        "import sys; sys.modules['google.cloud.storage'] = None; from vision_grpc.objects import open_objects\n"
        "try: open_objects('gs://b/x')\nexcept ModuleNotFoundError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "gs:// objects need google-cloud-storage: pip install 'vision-grpc[gcs]'.\n"


def test_the_buckets_of_an_emulator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Vision is an emulator, gs:// is its directories or a storage emulator, and never Cloud Storage unasked."""
    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
    monkeypatch.setenv("VISION_EMULATOR_HOST", "localhost:1")
    with pytest.raises(ConfigError, match="the emulator at localhost:1 are not in Google Cloud Storage"):
        open_objects("gs://b/x")
    assert isinstance(open_objects("gs://b/x", emulator="")[0], GcsObjects)
    assert isinstance(open_objects(tmp_path)[0], LocalFiles)
    monkeypatch.delenv("VISION_EMULATOR_HOST")
    with pytest.raises(ConfigError, match="the emulator at localhost:2"):
        open_objects("gs://b/x", emulator="localhost:2")
    monkeypatch.setenv("VISION_EMULATOR_BUCKETS", json.dumps({"b": str(tmp_path)}))
    (tmp_path / "x").write_bytes(b"found")
    assert open_objects("gs://b/x", emulator="localhost:2")[0].read("gs://b/x") == b"found"
    for wrong in ("b=/tmp", '["b"]', '{"b": 1}'):
        monkeypatch.setenv("VISION_EMULATOR_BUCKETS", wrong)
        with pytest.raises(ConfigError, match="VISION_EMULATOR_BUCKETS must be a JSON object"):
            open_objects("gs://b/x")
