"""Shards to results: the order, the join, the errors, and every way in which an output can be wrong."""

import asyncio
import itertools
import multiprocessing
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from gcp_storage_emulator.server import create_server
from google.cloud import storage  # type: ignore[import-untyped,unused-ignore]

from vision_grpc import v1, v1p4beta1
from vision_grpc.errors import ConfigError, ImageError, OperationFailed, ResultsError
from vision_grpc.messages import to_json
from vision_grpc.objects import LocalFiles, LocalObjects, ObjectInfo
from vision_grpc.results import ImageResult, aread_results, failed_uris, read_results

URIS = [f"gs://photos/{n}.jpg" for n in range(45)]


def response(uri: str) -> v1.AnnotateImageResponse:
    answer = v1.AnnotateImageResponse(context=v1.ImageAnnotationContext(uri=uri))
    answer.label_annotations.add(description=uri)
    if uri.endswith("7.jpg"):
        answer.error.code, answer.error.message = 3, "Bad image data."
    return answer


def shard(first: int, last: int, uris: list[str] = URIS, *, holds: range | None = None) -> tuple[str, str]:
    """The name and content of the shard that the service would write for images first..last."""
    inside = holds or range(first - 1, last)
    batch = v1.BatchAnnotateImagesResponse(responses=[response(uris[index]) for index in inside])
    return f"output-{first}-to-{last}.json", to_json(batch, indent=True)


def write(folder: Path, *shards: tuple[str, str]) -> Path:
    for name, text in shards:
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """45 images in shards of 2, so that a listing sorts 11 before 3."""
    return write(tmp_path, *(shard(first, min(first + 1, 45)) for first in range(1, 46, 2)))


def collect(output: Any, **options: Any) -> list[ImageResult]:
    """What both twins read, which is the same."""
    results = list(read_results(output, **options))

    async def read() -> list[ImageResult]:
        return [result async for result in aread_results(output, **options)]

    def comparable(result: ImageResult) -> tuple[object, ...]:
        return result.index, result.uri, result.response, str(result.error)

    assert list(map(comparable, asyncio.run(read()))) == list(map(comparable, results))
    return results


def test_results_come_in_the_order_of_the_request(out: Path) -> None:
    """By number, not by name; each with its index, its URI and its typed response."""
    results = collect(out)
    assert [result.index for result in results] == list(range(45))
    assert [result.uri for result in results] == URIS
    assert [result.response.label_annotations[0].description for result in results] == URIS
    assert isinstance(results[0].response, v1.AnnotateImageResponse)


def test_an_error_stands_beside_its_annotations(out: Path) -> None:
    """`ok`, `error` and `raise_for_error` agree; the annotations that were made are kept."""
    results = collect(out, requests=URIS)
    failed = [result for result in results if not result.ok]
    assert failed_uris(results) == [result.uri for result in failed] == [uri for uri in URIS if uri.endswith("7.jpg")]
    error = failed[0].error
    assert isinstance(error, ImageError)
    assert (error.code.value[0], error.message, error.index, error.uri) == (3, "Bad image data.", 7, URIS[7])
    assert failed[0].response.label_annotations
    with pytest.raises(ImageError, match="Bad image data"):
        failed[0].raise_for_error()
    assert results[0].raise_for_error() is results[0]


def image_request(uri: str) -> v1.AnnotateImageRequest:
    return v1.AnnotateImageRequest(image=v1.Image(source=v1.ImageSource(image_uri=uri)))


@pytest.mark.parametrize(
    "requests",
    [
        URIS,
        [image_request(uri) for uri in URIS],
        v1.AsyncBatchAnnotateImagesRequest(requests=[image_request(uri) for uri in URIS]),
        [v1p4beta1.AnnotateImageRequest(image=v1p4beta1.Image(source=v1p4beta1.ImageSource(gcs_image_uri=uri))) for uri in URIS],
    ],
    ids=["URIs", "messages", "request", "legacy field"],
)
def test_requests_in_every_form_are_joined(out: Path, requests: Any) -> None:
    """URIs, messages, a whole request, and the older field for the URI."""
    assert [result.uri for result in read_results(out, requests=requests)] == URIS


def operation(**fields: Any) -> v1.Operation:
    return v1.Operation(name="projects/p/operations/1", **fields)


def test_output_in_every_form_is_found(out: Path) -> None:
    """A folder as str and Path, a name prefix, OutputConfig, response, and a finished Operation; versions follow the message."""
    config = v1.OutputConfig(gcs_destination=v1.GcsDestination(uri=f"{out}/"))
    beta = v1p4beta1.AsyncBatchAnnotateImagesResponse()
    beta.output_config.gcs_destination.uri = f"{out}/"
    finished = operation(done=True)
    finished.response.Pack(beta)
    for output in (str(out), f"{out}/", out, config, v1.AsyncBatchAnnotateImagesResponse(output_config=config), beta, finished):
        assert [result.uri for result in read_results(output)] == URIS
    assert isinstance(next(read_results(finished)).response, v1p4beta1.AnnotateImageResponse)
    assert isinstance(next(read_results(out, version="v1p4beta1")).response, v1p4beta1.AnnotateImageResponse)


def test_a_destination_is_a_prefix_and_need_not_be_a_folder(tmp_path: Path) -> None:
    """Two runs in one folder under different prefixes do not meet; deeper and other objects are not shards."""
    for run, uris in (("run1-", URIS[:2]), ("run2-", URIS[2:4])):
        name, text = shard(1, 2, uris)
        (tmp_path / f"{run}{name}").write_text(text)
    (tmp_path / "run1-output-1-to-2.json.bak").write_text("x")
    (tmp_path / "run1-output-x").mkdir()
    objects = LocalObjects({"b": tmp_path})
    assert [result.uri for result in read_results("gs://b/run1-", objects=objects)] == URIS[:2]
    assert [result.uri for result in read_results("gs://b/run2-", objects=objects)] == URIS[2:4]
    assert [result.uri for result in read_results(tmp_path / "run2-")] == URIS[2:4]
    (tmp_path / "output-1-to-2.json").write_text(shard(1, 2)[1])
    assert [result.uri for result in read_results(tmp_path, objects=LocalFiles())] == URIS[:2]


class Recording:
    """Objects in memory that count what is read but not yet used."""

    def __init__(self, contents: dict[str, bytes]) -> None:
        self.contents = contents
        self.reads = 0
        self.lock = threading.Lock()

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        return (ObjectInfo(uri, len(data)) for uri, data in sorted(self.contents.items()) if uri.startswith(prefix))

    def read(self, uri: str) -> bytes:
        with self.lock:
            self.reads += 1
        return self.contents[uri]

    def write(self, uri: str, data: bytes, content_type: str = "") -> None:
        raise NotImplementedError

    def exists(self, uri: str) -> bool:
        return uri in self.contents

    def size(self, uri: str) -> int:
        return len(self.contents[uri])


@pytest.mark.parametrize(
    ("output", "options", "words"),
    [
        (5, {}, "int"),
        ("", {}, "output is empty"),
        (v1.OutputConfig(), {}, "gcs_destination.uri is empty"),
        (v1.AnnotateImageRequest(), {}, "AnnotateImageRequest"),
        ("s3://b/x", {}, "s3://b/x"),
        (operation(), {}, "still runs"),
        ("out", {"requests": "gs://b/x"}, "sequence"),
        ("out", {"requests": [v1.AnnotateImageRequest()]}, r"requests\[0\]"),
        ("out", {"version": "v2"}, "v2"),
        ("out", {"requests": 5}, "requests must be .* not one int"),
        ("out", {"requests": [URIS[0], {"image": {}}]}, r"requests\[1\] must be an AnnotateImageRequest or a URI, not dict"),
        ("out", {"workers": 0}, "workers"),
        ("out", {"workers": "2"}, "workers must be a number of at least 1.*'2'"),
        ("out", {"workers": 2, "objects": Recording({})}, "workers needs objects that can be pickled.*_thread.lock"),
    ],
)
def test_arguments_that_make_no_sense_are_refused_at_once(output: Any, options: dict[str, Any], words: str) -> None:
    """ConfigError, in words, before anything is read."""
    with pytest.raises(ConfigError, match=words):
        read_results(output, **options)


def test_a_failed_operation_has_no_results() -> None:
    """Its own error is raised, not a complaint about missing objects."""
    failed = operation(done=True)
    failed.error.code, failed.error.message = 7, "Error writing final output to: gs://b/x"
    with pytest.raises(OperationFailed, match="Error writing final output"):
        read_results(failed)


Break = Callable[[Path], None]


def broken(what: str) -> Break:
    """Ways to break the five shards of ten images in `folder`."""

    def break_it(folder: Path) -> None:
        third, fourth = folder / "output-21-to-30.json", folder / "output-31-to-40.json"
        text = third.read_text()
        match what:
            case "missing":
                third.unlink()
            case "missing start":
                (folder / "output-1-to-10.json").unlink()
            case "missing end":
                (folder / "output-41-to-45.json").unlink()
            case "doubled":
                write(folder, shard(21, 25))
            case "overlapping":
                write(folder, shard(25, 34))
            case "beyond":
                write(folder, shard(46, 47, URIS * 2))
            case "foreign":
                third.write_text(fourth.read_text())
            case "cut":
                third.write_text(text[: len(text) // 2])
            case "cut at a response":
                third.write_text(text[: text.rindex('    {\n      "labelAnnotations"')])
            case "empty":
                third.write_bytes(b"")
            case "binary":
                third.write_bytes(bytes(range(256)))
            case "not a shard":
                third.write_text('{"responses": "none"}')
            case "too many":
                third.write_text(shard(1, 1, holds=range(20, 31))[1])
            case "too few":
                third.write_text(shard(1, 1, holds=range(20, 27))[1])
            case "a hole":
                text = to_json(v1.BatchAnnotateImagesResponse(responses=[response(URIS[n]) for n in range(20, 30) if n != 24]))
                third.write_text(text)

    return break_it


@pytest.mark.parametrize(
    ("what", "named", "kept"),
    [
        ("missing", "output-11-to-20.json", 35),
        ("missing start", "", 35),
        ("missing end", "output-31-to-40.json", 40),
        ("doubled", "output-21-to-30.json", 45),
        ("overlapping", "output-25-to-34.json", 45),
        ("beyond", "output-46-to-47.json", 45),
        ("foreign", "output-21-to-30.json", 35),
        ("cut", "output-21-to-30.json", 35),
        ("cut at a response", "output-21-to-30.json", 35),
        ("empty", "output-21-to-30.json", 35),
        ("binary", "output-21-to-30.json", 35),
        ("not a shard", "output-21-to-30.json", 35),
        ("too many", "output-21-to-30.json", 35),
        ("too few", "output-21-to-30.json", 42),
        ("a hole", "output-21-to-30.json", 44),
    ],
)
def test_whatever_is_wrong_names_its_object(what: str, named: str, kept: int, tmp_path: Path) -> None:
    """Strict: ResultsError after the results before it. Not strict: all that is whole, in order, and the problems."""
    write(tmp_path, *(shard(first, min(first + 9, 45)) for first in range(1, 46, 10)))
    broken(what)(tmp_path)
    got = []
    with pytest.raises(ResultsError) as caught:
        for result in read_results(tmp_path, requests=URIS):
            got.append(result)
    assert caught.value.uri == f"{tmp_path}/{named}"
    assert str(tmp_path) in str(caught.value)
    assert [result.uri for result in got] == URIS[: len(got)]

    lenient = read_results(tmp_path, requests=URIS, strict=False)
    results = list(lenient)
    assert [result.uri for result in results] == [URIS[result.index] for result in results]
    assert [result.response.context.uri for result in results] == [result.uri for result in results]
    assert len(results) == kept
    assert str(caught.value) in map(str, lenient.problems)


FOREIGN = [uri.replace("photos", "other") for uri in URIS]


@pytest.mark.parametrize("stale", ["cut off", "foreign", "same images"])
def test_a_stale_object_does_not_cost_the_whole_one_beside_it(stale: str, tmp_path: Path) -> None:
    """Of two objects of the same images every image is yielded once, and what is wrong with the stale one is said."""
    name, text = shard(1, 10, FOREIGN if stale == "foreign" else URIS)
    write(tmp_path, (name, text[:99] if stale == "cut off" else text), shard(1, 20), shard(21, 30))
    lenient = read_results(tmp_path, requests=URIS[:30], strict=False)
    assert [result.index for result in lenient] == list(range(30))
    assert len(lenient.problems) == 1


def test_the_rest_of_an_overlap_is_taken_where_the_object_names_its_images(tmp_path: Path) -> None:
    """Without the request, or without the images' names, nothing proves whose results they are: they stay out, and missing."""
    write(tmp_path, shard(1, 10), shard(5, 20))
    lenient = read_results(tmp_path, strict=False)
    assert [result.uri for result in lenient] == URIS[:10]
    nameless = '{"responses": [' + ", ".join(["{}"] * 16) + "]}"
    for text in (shard(5, 20, FOREIGN)[1], nameless):
        write(tmp_path, ("output-5-to-20.json", text))
        lenient = read_results(tmp_path, requests=URIS[:20], strict=False)
        assert [result.index for result in lenient] == list(range(10))
        assert [str(problem).partition(str(tmp_path))[0] for problem in lenient.problems][1:] == [
            "The results after 10 are missing: the last object is "
        ]


def test_a_cut_off_object_is_one_problem_and_not_two(tmp_path: Path) -> None:
    """What it held is not said to be missing once more, at the end or before the next object."""
    write(tmp_path, ("output-1-to-10.json", "{"), shard(11, 20), ("output-21-to-30.json", "{"))
    lenient = read_results(tmp_path, requests=URIS[:30], strict=False)
    assert [result.index for result in lenient] == list(range(10, 20))
    assert [problem.uri.rpartition("/")[2] for problem in lenient.problems] == ["output-1-to-10.json", "output-21-to-30.json"]


def test_a_name_that_ends_before_it_begins_is_named(tmp_path: Path) -> None:
    """No operation writes such an object; the others are read."""
    write(tmp_path, shard(1, 2), ("output-2-to-1.json", shard(1, 2)[1]))
    lenient = read_results(tmp_path, strict=False)
    assert [result.uri for result in lenient] == URIS[:2]
    assert "output-2-to-1.json does not belong here" in str(*lenient.problems)


def test_a_name_may_hold_any_number(tmp_path: Path) -> None:
    """Also one that no machine word does: what lies under such a name is read, and the rest is missing."""
    write(tmp_path, (f"output-1-to-{10**30}.json", shard(1, 2)[1]))
    lenient = read_results(tmp_path, strict=False)
    assert [result.uri for result in lenient] == URIS[:2]
    assert "results after 2 are missing" in str(*lenient.problems)


def test_nothing_at_the_destination_is_an_error(tmp_path: Path) -> None:
    """An empty folder, a missing bucket; not strict they are problems."""
    for output, objects in ((str(tmp_path), None), ("gs://nobody/x/", LocalObjects({}))):
        for requests in (None, URIS):
            with pytest.raises(ResultsError, match=r"no output objects|no bucket"):
                list(read_results(output, objects=objects, requests=requests))
            lenient = read_results(output, objects=objects, requests=requests, strict=False)
            assert list(lenient) == []
            assert len(lenient.problems) == 1


def test_cloud_storage_is_read_by_its_uris(monkeypatch: pytest.MonkeyPatch, free_port: int) -> None:
    """gs:// without objects= goes to the environment's storage; google-cloud-storage wrote what is read here."""
    server = create_server("127.0.0.1", free_port, in_memory=True, default_bucket="out")
    # Otherwise, beside OpenTelemetry, the library asks for the bucket's metadata in a thread that outlives the test.
    monkeypatch.setenv("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")
    server.start()
    try:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{free_port}")
        bucket = storage.Client().bucket("out")
        for first in range(1, 46, 10):
            name, text = shard(first, min(first + 9, 45))
            bucket.blob(f"run/{name}").upload_from_string(text)
        assert [result.uri for result in collect("gs://out/run/", requests=URIS)] == URIS
        assert [result.uri for result in read_results("gs://out/run/", workers=2)] == URIS
    finally:
        server.stop()


def test_no_requests_have_no_results(tmp_path: Path) -> None:
    """Zero images asked for, zero objects, no complaint."""
    assert list(read_results(tmp_path, requests=[])) == []


@pytest.mark.parametrize("requests", [URIS[:20], None])
def test_a_shard_cut_short_by_its_size_may_be_followed_where_it_stops(tmp_path: Path, requests: list[str] | None) -> None:
    """CONTRACT.md 5: a shard may hold fewer results than its name says; the next one goes on there."""
    write(tmp_path, shard(1, 10, holds=range(7)), shard(8, 20))
    assert [result.uri for result in read_results(tmp_path, requests=requests)] == URIS[:20]


def test_a_short_last_shard_is_noticed_without_requests(tmp_path: Path) -> None:
    """Its name says how many there should be."""
    write(tmp_path, shard(1, 10, holds=range(7)))
    with pytest.raises(ResultsError, match=r"after 7.*output-1-to-10"):
        list(read_results(tmp_path))


def test_what_the_service_adds_is_ignored(tmp_path: Path) -> None:
    """Unknown fields and enum names cost nothing; all that is known is kept."""
    text = (
        '{"responses": [{"faceAnnotations": [{"joyLikelihood": "EXTREME", "rollAngle": 1.5, "x": 1}], "context": {"uri": "u"}}], "y": {}}'
    )
    write(tmp_path, ("output-1-to-1.json", text))
    (result,) = collect(tmp_path)
    assert result.response.face_annotations[0].roll_angle == 1.5


def test_reading_runs_ahead_within_bounds() -> None:
    """At most four objects beyond the one in use are read before the first result is taken from them."""
    shards = dict(shard(n + 1, n + 1) for n in range(45))
    objects = Recording({f"m://{name}": text.encode() for name, text in shards.items()})
    results = read_results("m://", objects=objects)
    for used in range(1, 20):
        next(results)
        assert objects.reads <= used + 4
    results.close()
    assert list(results) == []


def test_worker_processes_give_the_same_in_the_same_order(out: Path) -> None:
    """Decoding on several cores changes nothing, problems included."""
    assert [result.uri for result in read_results(out, requests=URIS, workers=2)] == URIS
    (out / "output-3-to-4.json").write_text("{")
    lenient = read_results(out, workers=2, strict=False)
    assert [result.uri for result in lenient] == URIS[:2] + URIS[4:]
    assert [problem.uri for problem in lenient.problems] == [f"{out}/output-3-to-4.json"]


def test_a_worker_that_is_killed_is_one_sentence(out: Path) -> None:
    """ResultsError, also where the reading is not strict: the objects are not at fault, and nothing more can be read."""
    before = set(multiprocessing.active_children())
    results = read_results(out, workers=2, strict=False)
    first = next(results)
    for process in set(multiprocessing.active_children()) - before:
        process.kill()
    with pytest.raises(ResultsError, match=r"output-\d+-to-\d+\.json was not read: a worker process died"):
        list(results)
    assert (first.uri, results.problems) == (URIS[0], [])


def test_workers_in_a_script_without_its_guard_are_one_sentence(out: Path, tmp_path: Path) -> None:
    """The last line that the script prints names the guard."""
    script = tmp_path / "unguarded.py"
    script.write_text(f"from vision_grpc.results import read_results\nlist(read_results({str(out)!r}, workers=1))\n")
    done = subprocess.run([sys.executable, "-W", "ignore", str(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if "ResultsError:" in line]
    assert 'lacks the `if __name__ == "__main__"` guard' in line


async def test_a_cancelled_read_loses_nothing(out: Path) -> None:
    """The results that were on their way come at the next try."""
    results = aread_results(out)
    seen = []
    for attempt in itertools.count():
        taking = asyncio.ensure_future(anext(results, None))
        if attempt % 3 == 0:
            await asyncio.sleep(0)
            taking.cancel()
        try:
            result = await taking
        except asyncio.CancelledError:
            continue
        if result is None:
            break
        seen.append(result.uri)
    assert seen == URIS


async def test_tasks_that_share_a_reading_share_its_results(out: Path) -> None:
    """Each result goes to one task, and none is lost; all tasks end."""
    results = aread_results(out)
    seen = []

    async def consume() -> None:
        async for result in results:
            seen.append(result.index)

    await asyncio.gather(*(consume() for _ in range(4)))
    assert seen == list(range(45))


async def test_closing_twice_and_beside_a_reader_is_quiet(out: Path) -> None:
    """The reader gets the result that was on its way, and then the end, as everybody after it."""
    results = aread_results(out)
    reading = asyncio.ensure_future(anext(results))
    await asyncio.sleep(0)
    await asyncio.gather(results.aclose(), results.aclose())
    await results.aclose()
    assert (await reading).uri == URIS[0]
    assert [result async for result in results] == []


async def test_an_async_reading_can_be_left_early(out: Path) -> None:
    """aclose ends the threads; later reads end too. Errors come after the results before them."""
    results = aread_results(out)
    assert (await anext(results)).uri == URIS[0]
    await results.aclose()
    assert [result async for result in results] == []
    (out / "output-21-to-22.json").write_text("{")
    got = []
    with pytest.raises(ResultsError, match="output-21-to-22"):
        async for result in aread_results(out):
            got.append(result.uri)
    assert got == URIS[:20]


async def test_the_async_twin_reports_problems_too(out: Path) -> None:
    """`problems` fills as the reading goes on."""
    (out / "output-3-to-4.json").unlink()
    results = aread_results(out, requests=URIS, strict=False)
    assert [result.uri async for result in results] == URIS[:2] + URIS[4:]
    assert len(results.problems) == 1


def test_results_one_level_down(tmp_path: Path) -> None:
    """Where the output objects lie in folders below the destination, as a job's do, the error names those folders."""
    objects = LocalObjects({"out": tmp_path / "out"})
    for request in range(1, 6):
        objects.write(f"gs://out/run/job/00000{request}-1/output-1-to-1.json", b"{}")
    with pytest.raises(ResultsError, match=r"under gs://out/run/ itself, but in gs://out/run/job/000001-1/, .* and 2 more"):
        next(read_results("gs://out/run/", objects=objects))
    with pytest.raises(ResultsError, match="There are no output objects of this operation under gs://out/other/"):
        next(read_results("gs://out/other/", objects=objects))
