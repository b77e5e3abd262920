"""ReadResults: output objects at any depth, read by many, each image once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from tests.beam.world import PROCESSES, THREADS, Outcome, World
from vision_grpc import Client, image_requests, v1
from vision_grpc.beam import ReadResults, _reading
from vision_grpc.beam._reading import Read, Unit, existing
from vision_grpc.errors import ConfigError
from vision_grpc.messages import to_json

Worlds = Callable[..., World]


def read(there: World, transform: ReadResults, *options: str, outputs: list[str] | None = None) -> Outcome:
    """What a pipeline of that one transform gives."""
    pipeline = beam.Pipeline(runner=FnApiRunner(), options=PipelineOptions(list(options)))
    found = pipeline | transform if outputs is None else pipeline | beam.Create(outputs) | transform
    return there.run(pipeline, {"results": found})


def write(there: World, name: str, *uris: str) -> None:
    """Writes one output object as the service does."""
    responses = [v1.AnnotateImageResponse(context=v1.ImageAnnotationContext(uri=uri)) for uri in uris]
    there.objects.write(f"gs://out/{name}", to_json(v1.BatchAnnotateImagesResponse(responses=responses)).encode())


@pytest.mark.parametrize("options", [(), THREADS, PROCESSES], ids=["one", "threads", "processes"])
def test_what_was_annotated_can_be_read(world: Worlds, options: tuple[str, ...]) -> None:
    """The results of a whole run, below its one output, with those that failed in their places."""
    there = world(20)
    (there.buckets["photos"] / "3.jpg").unlink()
    there.annotate()
    outcome = read(there, ReadResults("gs://out/run/", objects=there.objects), *options)
    assert Counter(result.uri for result in outcome.results) == Counter(there.uris)
    assert [result.uri for result in outcome.results if not result.ok] == ["gs://photos/3.jpg"]
    assert (outcome.metrics["images_ok"], outcome.metrics["images_failed"]) == (19, 1)
    assert {result.index for result in outcome.results} == set(range(7))


def test_several_outputs(world: Worlds) -> None:
    """Prefixes as elements: that of an operation without a folder of its own, and one under which nothing lies."""
    there = world(5)
    with Client(emulator=there.server.target) as client:
        for prefix in ("gs://out/a-", "gs://out/b/"):
            requests = image_requests(there.uris, "text")
            client.wait_operation(client.async_batch_annotate(requests, {"gcs_destination": {"uri": prefix}, "batch_size": 2}))
    outcome = read(there, ReadResults(objects=there.objects), outputs=["gs://out/a-", "gs://out/b/", "gs://out/none/"])
    assert Counter(result.uri for result in outcome.results) == Counter(there.uris * 2)


def test_numbers_go_before_names(world: Worlds) -> None:
    """Objects are put in order by number, and each result's index is its place in the whole request."""
    there = world(1)
    for first in range(1, 25, 2):
        write(there, f"run/output-{first}-to-{first + 1}.json", f"gs://b/{first}", f"gs://b/{first + 1}")
    outcome = read(there, ReadResults("gs://out/run/", objects=there.objects))
    assert sorted((result.index, result.uri) for result in outcome.results) == [(n - 1, f"gs://b/{n}") for n in range(1, 25)]


def test_a_prefix_ends_where_a_folder_does(world: Worlds) -> None:
    """gs://out/run-7 is the run of that name, with or without the slash, and not also run-70, in either way to name it."""
    there = world(1)
    write(there, "run-7/a/output-1-to-1.json", "gs://b/7")
    write(there, "run-70/a/output-1-to-1.json", "gs://b/70")
    for output in ("gs://out/run-7", "gs://out/run-7/"):
        for outcome in (
            read(there, ReadResults(output, objects=there.objects)),
            read(there, ReadResults(objects=there.objects), outputs=[output]),
        ):
            assert [result.uri for result in outcome.results] == ["gs://b/7"]


def test_where_nothing_lies(world: Worlds, caplog: pytest.LogCaptureFixture) -> None:
    """A named output below which no object lies fails the pipeline; an element of which that is so is a warning."""
    there = world(1)
    there.objects.write("gs://out/typo/output-notes.json", b"{}")
    with pytest.raises(Exception, match="Nothing was written below gs://out/typo/: no output object lies there"):
        read(there, ReadResults("gs://out/typo/", objects=there.objects))
    assert not read(there, ReadResults(objects=there.objects), outputs=["gs://out/none/"]).results
    assert "nothing was written below gs://out/none/" in caplog.text


@pytest.mark.parametrize("element", [None, "out/"])
def test_elements_that_are_no_prefixes(world: Worlds, element: Any) -> None:
    """What cannot be a prefix is refused in one sentence that shows it."""
    there = world(1)
    pipeline = beam.Pipeline(runner=FnApiRunner(), options=PipelineOptions([]))
    pipeline | beam.Create([element]) | ReadResults(objects=there.objects)
    with pytest.raises(Exception, match=f"output.*{element!r}"):
        pipeline.run()


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["output-1-to-1.json", "output-3-to-3.json"], "follows a gap: the results from 2 on are missing"),
        (["output-1-to-1.json", "output-1-to-2.json"], "overlaps the object before it"),
    ],
)
def test_gaps_and_overlaps_fail_the_pipeline(world: Worlds, names: list[str], words: str) -> None:
    """What is not one operation's output is not read as if it were; the error names the object."""
    there = world(1)
    for name in names:
        write(there, f"run/{name}", "gs://b/1")
    with pytest.raises(Exception, match=f"{names[1]} {words}"):
        read(there, ReadResults("gs://out/run/", objects=there.objects))


def test_damaged_objects_fail_the_pipeline(world: Worlds) -> None:
    """An object that is cut off is named."""
    there = world(1)
    there.objects.write("gs://out/run/output-1-to-1.json", b'{"responses": [')
    with pytest.raises(Exception, match=r"output-1-to-1\.json is cut off"):
        read(there, ReadResults("gs://out/run/", objects=there.objects))


def test_the_time_of_several_objects_is_counted_once(world: Worlds, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of three objects that were read together in three seconds, the metric says a second each."""
    there = world(1)
    for index in (1, 2, 3):
        write(there, f"run/output-{index}-to-{index}.json", f"gs://b/{index}")
    found = [unit.shards[0] for unit in existing(there.objects, "gs://out/run/", "v1")]
    shards = tuple(replace(shard, first=place, last=place) for place, shard in enumerate(found, 1))
    reader = Read(there.objects, apart=False)
    took: list[int] = []
    reader._took = SimpleNamespace(update=took.append)
    moments = iter([10.0, 13.0])
    monkeypatch.setattr(_reading, "time", SimpleNamespace(monotonic=lambda: next(moments)))
    assert len(list(reader.process(Unit("gs://out/run/", shards, 0, "v1")))) == 3
    assert took == [1000, 1000, 1000]


def test_wrong_settings_are_refused_at_once() -> None:
    """A wrong output, none, two, or a wrong version is one sentence where the pipeline is made."""
    with pytest.raises(ConfigError, match="output"):
        ReadResults("/tmp/out")
    with pytest.raises(ConfigError, match="objects must be as"):
        ReadResults("gs://out/", objects="x")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="version must be 'v1' or 'v1p4beta1'"):
        ReadResults("gs://out/", version="v2")
    with pytest.raises(ConfigError, match="output is missing"):
        _ = beam.Pipeline(runner=FnApiRunner()) | ReadResults()
    with pytest.raises(ConfigError, match="leave one of them out"):
        _ = beam.Pipeline(runner=FnApiRunner()) | beam.Create(["gs://out/"]) | ReadResults("gs://out/")
