"""AnnotateImages: what goes in comes out once, as it came in, by few requests; and what cannot, says why."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import apache_beam as beam
import grpc
import pytest
from apache_beam import typehints
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.direct.direct_runner import BundleBasedDirectRunner
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from tests.beam.world import PROCESSES, THREADS, Keep, World, read_kept
from vision_grpc import v1
from vision_grpc._job.pace import Pace
from vision_grpc.beam import AnnotateImages
from vision_grpc.beam._grouping import Check
from vision_grpc.beam._settings import Settings
from vision_grpc.beam._transforms import _processes
from vision_grpc.emulator import Fault
from vision_grpc.errors import ConfigError
from vision_grpc.objects import GcsObjects
from vision_grpc.results import ImageResult, read_results

Worlds = Callable[..., World]


@pytest.mark.parametrize("defer", [False, True])
def test_every_image_has_its_result(world: Worlds, defer: bool) -> None:
    """24 images by requests of seven: four requests, 24 results, and counters that say so."""
    there = world()
    outcome = there.annotate(defer=defer)
    there.check(outcome)
    assert outcome.metrics["requests_accepted"] == outcome.metrics["operations_ended"] == 4
    assert outcome.metrics["images_ok"] == 24
    assert outcome.metrics["request_images"].sum == 24
    assert outcome.metrics["shard_bytes"].count == 3 * 3 + 1


@pytest.mark.parametrize("options", [THREADS, PROCESSES], ids=["threads", "processes"])
def test_several_workers(world: Worlds, options: tuple[str, ...]) -> None:
    """Four threads, or two processes, each with a client and a part of the quota: the results are the same."""
    there = world()
    there.check(there.annotate(None, *options))


def test_keys_come_back(world: Worlds) -> None:
    """Pairs of a key and a URI become pairs of that key and its result, also those that fail; the type says so."""
    there = world(3)
    outcome = there.annotate([("x", "gs://photos/0.jpg"), ("y", "gs://photos/1.jpg"), ("z", "gs://photos/none.jpg"), ("w", "photo.jpg")])
    assert {(key, result.uri) for key, result in outcome.results} == {("x", "gs://photos/0.jpg"), ("y", "gs://photos/1.jpg")}
    assert {(key, result.error.code) for key, result in outcome.failures} == {
        ("z", grpc.StatusCode.NOT_FOUND),
        ("w", grpc.StatusCode.INVALID_ARGUMENT),
    }
    with_keys = beam.Pipeline() | beam.Create([(1, "gs://photos/0.jpg")]) | AnnotateImages("text", "gs://out/run")
    assert with_keys.results.element_type == typehints.Tuple[int, ImageResult]
    without = beam.Pipeline() | beam.Create(["gs://photos/0.jpg"]) | AnnotateImages("text", "gs://out/run")
    assert without.results.element_type == without.failures.element_type == ImageResult


class Named(NamedTuple):
    """A key and an image by the names of their places."""

    key: str
    uri: str


def own(uri: str) -> v1.AnnotateImageRequest:
    """A request for one image."""
    return v1.AnnotateImageRequest(image=v1.Image(source=v1.ImageSource(image_uri=uri)))


@pytest.mark.parametrize("hint", [tuple, object, list[str], Named, tuple[str, str] | tuple[int, str], tuple[str | None, str]])
def test_pairs_whatever_their_type_says(world: Worlds, hint: Any) -> None:
    """Pairs whose type hint is not a plain pair, or hides that they are pairs, come out with their keys all the same."""
    there = world(2)
    pipeline = beam.Pipeline(runner=FnApiRunner(), options=PipelineOptions([]))
    made = pipeline | beam.Create([*there.uris, "photo.jpg"]) | beam.Map(lambda uri: Named("k", uri)).with_output_types(hint)
    found = made | AnnotateImages("text", "gs://out/run", client=there.client, objects=there.objects)
    outcome = there.run(pipeline, {"results": found.results, "failures": found.failures})
    assert sorted((key, result.uri) for key, result in outcome.results) == [("k", uri) for uri in there.uris]
    assert [(key, result.uri) for key, result in outcome.failures] == [("k", "photo.jpg")]


def test_keys_of_several_types(world: Worlds) -> None:
    """Created or flattened together, pairs may have keys of different types, and hold URIs and requests."""
    there = world(4)
    pipeline = beam.Pipeline(runner=FnApiRunner(), options=PipelineOptions([]))
    first = pipeline | "first" >> beam.Create([(None, there.uris[0]), ("x", own(there.uris[1]))])
    second = pipeline | "second" >> beam.Create([(3, there.uris[2])])
    third = pipeline | "third" >> beam.Create([own(there.uris[3]), ("k",), ("k", None), ("k", 1, 2)])
    found = (first, second, third) | beam.Flatten() | AnnotateImages("text", "gs://out/run", client=there.client, objects=there.objects)
    outcome = there.run(pipeline, {"results": found.results, "failures": found.failures})
    keys = {
        (each[1].uri if isinstance(each, tuple) else each.uri): each[0] if isinstance(each, tuple) else "none" for each in outcome.results
    }
    assert keys == dict(zip(there.uris, [None, "x", 3, "none"], strict=True))
    assert len(outcome.failures) == 3


def test_an_element_that_the_type_hint_denies_is_a_failure(world: Worlds) -> None:
    """What is no pair among declared pairs fails alone, before it is sent; so does a pair where none was declared."""
    there = world(1)
    pipeline = beam.Pipeline(runner=FnApiRunner(), options=PipelineOptions([]))
    made = pipeline | beam.Create(there.uris) | beam.Map(str).with_output_types(tuple[str, str])
    transform = AnnotateImages("text", "gs://out/run", client=there.client, objects=there.objects)
    found = made | transform
    (failure,) = there.run(pipeline, {"results": found.results, "failures": found.failures}).failures
    assert failure.uri == there.uris[0]
    assert "the element is no pair, and the type of the elements says otherwise" in failure.error.message
    assert not there.sent()
    # Beam itself trips over most such pairs, when it looks how large they are; hence not in a pipeline.
    (tagged,) = Check(Settings(**transform._settings, workers=1), 1, pairs=False).process(("k", there.uris[0]))
    assert "the element is a pair" in tagged.value.error.message


@pytest.mark.parametrize("keyed", [False, True])
def test_failures_are_fed_in_again(world: Worlds, keyed: bool) -> None:
    """The failures of one AnnotateImages are elements of the next, with their keys; what can be annotated now is."""
    there = world(3)
    (there.buckets["photos"] / "1.jpg").unlink()
    first = there.annotate([("k", uri) for uri in there.uris] if keyed else there.uris)
    (failure,) = first.failures
    (there.buckets["photos"] / "1.jpg").write_bytes(b"back")
    again = there.annotate(first.failures, output="gs://out/again")
    assert not again.failures
    (result,) = again.results
    assert (result[0] == "k") if keyed else True
    assert (result[1] if keyed else result).uri == there.uris[1]
    assert (failure[1] if keyed else failure).uri == there.uris[1]


def test_keys_of_any_kind(world: Worlds) -> None:
    """Elements of no known type may be keyed or not, each for itself, and a key may be None."""
    there = world(3)
    pipeline = beam.Pipeline(runner=FnApiRunner(), options=PipelineOptions([]))
    elements = [(None, there.uris[0]), there.uris[1], (frozenset({1}), there.uris[2])]
    mixed = pipeline | beam.Create(elements) | beam.Map(lambda element: element).with_output_types(Any)
    found = mixed | AnnotateImages("text", "gs://out/run", client=there.client, objects=there.objects)
    outcome = there.run(pipeline, {"results": found.results, "failures": found.failures})
    keys = [element[0] if isinstance(element, tuple) else "none" for element in outcome.results]
    assert Counter(keys) == Counter([None, "none", frozenset({1})])


def test_requests_of_their_own(world: Worlds) -> None:
    """AnnotateImageRequests keep their features and context; one without features gets those of the transform."""
    there = world(2)
    own = v1.AnnotateImageRequest(features=[v1.Feature(type=v1.Feature.Type.FACE_DETECTION, max_results=3)])
    own.image.source.image_uri = there.uris[0]
    bare = v1.AnnotateImageRequest(image_context=v1.ImageContext(language_hints=["de"]))
    bare.image.source.gcs_image_uri = there.uris[1]
    outcome = there.annotate([own, bare], parent="projects/p", labels={"run": "7"}, output="gs://out/elsewhere/")
    assert {result.uri for result in outcome.results} == set(there.uris)
    (call,) = [call.message for call in there.server.calls if call.method == "AsyncBatchAnnotateImages"]
    by_type = {request.features[0].type: request for request in call.requests}
    assert by_type[v1.Feature.Type.FACE_DETECTION].features[0].max_results == 3
    assert by_type[v1.Feature.Type.TEXT_DETECTION].image_context.language_hints == ["de"]
    assert (call.parent, dict(call.labels), call.output_config.batch_size) == ("projects/p", {"run": "7"}, 3)


def test_wrong_elements_are_failures(world: Worlds) -> None:
    """What no request can hold fails alone, with a sentence, and never reaches the service."""
    there = world(1)
    content = v1.AnnotateImageRequest(image=v1.Image(content=b"picture"))
    outcome = there.annotate([there.uris[0], "http://example.com/a.jpg", 7, (1, 2, 3), content])
    assert [result.uri for result in outcome.results] == there.uris
    sentences = sorted(failure.error.message for failure in outcome.failures)
    assert len(sentences) == 4
    assert "inline bytes" in " ".join(sentences)
    assert any(sentence.startswith("'http://example.com/a.jpg' is a web address") for sentence in sentences)
    assert there.sent() == Counter(there.uris)


def test_errors_of_images_and_of_operations_are_failures(world: Worlds) -> None:
    """An image's own error, and an operation's for each of its images, come with their codes beside the results."""
    there = world(14)
    (there.buckets["photos"] / "3.jpg").unlink()
    there.server.faults.add(Fault.fail_operation(grpc.StatusCode.PERMISSION_DENIED, "Error writing final output.", nth=2))
    outcome = there.annotate()
    codes = Counter(failure.error.code for failure in outcome.failures)
    assert codes[grpc.StatusCode.PERMISSION_DENIED] == 7
    assert codes.total() - 7 + len(outcome.results) == 7
    assert outcome.metrics["images_failed"] == len(outcome.failures)
    assert {failure.uri for failure in outcome.failures} | {result.uri for result in outcome.results} == set(there.uris)


def test_a_damaged_object_fails_its_own_images(world: Worlds) -> None:
    """Where an output object is not what it should be, its images fail with DATA_LOSS and the words, the others do not."""
    there = world(6)
    first = there.annotate()
    assert len(first.results) == 6
    (broken,) = there.buckets["out"].rglob("output-4-to-6.json")
    broken.write_text("{")
    outcome = there.annotate()
    assert sorted(result.index for result in outcome.results) == [0, 1, 2]
    assert sorted(failure.index for failure in outcome.failures) == [3, 4, 5]
    assert {failure.error.code for failure in outcome.failures} == {grpc.StatusCode.DATA_LOSS}
    assert "output-4-to-6.json is cut off" in outcome.failures[0].error.message
    (missing,) = there.buckets["out"].rglob("output-1-to-3.json")
    missing.unlink()
    assert len(there.annotate().failures) == 6
    assert there.sent().total() == 6


def test_time_fills_a_request(world: Worlds) -> None:
    """Of an unbounded input a request is sent when it is full, or when its first image has waited for max_wait."""
    there = world(24)
    outcome = there.annotate(there.stream(9, 10, 5), runner=BundleBasedDirectRunner(), max_wait=60.0)
    there.check(outcome)
    calls = [call.message for call in there.server.calls if call.method == "AsyncBatchAnnotateImages"]
    assert sorted(len(message.requests) for message in calls) == [2, 3, 5, 7, 7]


def test_without_a_time_requests_are_full(world: Worlds) -> None:
    """Of an unbounded input without max_wait and windows full requests are sent, and the rest when the input ends."""
    there = world(24)
    there.check(there.annotate(there.stream(9, 10, 5), runner=BundleBasedDirectRunner()))
    calls = [call.message for call in there.server.calls if call.method == "AsyncBatchAnnotateImages"]
    assert sorted(len(message.requests) for message in calls) == [3, 7, 7, 7]


def test_windows_are_kept(world: Worlds) -> None:
    """A request holds images of one window, and results stay in theirs, also where they are put into such windows again."""
    there = world(6)
    pipeline = beam.Pipeline(runner=FnApiRunner(), options=PipelineOptions([]))
    stamped = (
        pipeline
        | beam.Create(list(enumerate(there.uris)))
        | beam.Map(lambda pair: beam.window.TimestampedValue(pair[1], pair[0])).with_output_types(str)
        | beam.WindowInto(beam.window.FixedWindows(2))
    )
    found = stamped | AnnotateImages("text", "gs://out/run", client=there.client, objects=there.objects)
    again = found.results | "Again" >> beam.WindowInto(beam.window.FixedWindows(2))
    for name, results in (("first", found.results), ("again", again)):
        where = results | name >> beam.Map(lambda result, window=beam.DoFn.WindowParam: (result.uri, int(window.start)))
        where | f"Keep {name}" >> beam.ParDo(Keep(there.root / name))
    there.run(pipeline, {})
    expected = [(uri, index // 2 * 2) for index, uri in enumerate(there.uris)]
    assert sorted(read_kept(there.root / "first")) == sorted(read_kept(there.root / "again")) == expected
    assert len([call for call in there.server.calls if call.method == "AsyncBatchAnnotateImages"]) == 3


def test_shards_fill_several_requests(world: Worlds) -> None:
    """With shards, images are spread over as many requests that fill at the same time, by their names."""
    there = world(40)
    outcome = there.annotate(shards=4, request_size=2000)
    there.check(outcome)
    assert outcome.metrics["requests_accepted"] == 4


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"features": "txt"}, "did you mean 'text'"),
        ({"output": "/local"}, "output"),
        ({"output": None}, "output must be a Cloud Storage prefix as gs://bucket/folder/, not None"),
        ({"request_size": 2001}, "request_size must be a whole number between 1 and 2,000"),
        ({"batch_size": 0}, "batch_size"),
        ({"shards": 0}, "shards must be a whole number of at least 1, not 0"),
        ({"workers": "all"}, "workers"),
        ({"shards": True}, "shards must be a whole number of at least 1, not True"),
        ({"max_wait": 0}, "max_wait must be a number of seconds above 0"),
        ({"max_wait": "x"}, "max_wait must be a number of seconds above 0, up to 1,000,000,000, or None, not 'x'"),
        ({"max_wait": float("inf")}, "max_wait must be a number of seconds .*, not inf"),
        ({"defer": "yes"}, "defer must be True, False or None"),
        ({"resubmit_unknown": "no"}, "resubmit_unknown must be True or False, not 'no'"),
        ({"client": "x"}, r"give a class or functools.partial\(AsyncClient, …\), not 'x'"),
        ({"client": object()}, r"functools.partial\(AsyncClient, …\), not a object that is made already"),
        ({"objects": "x"}, "objects must be as vision_grpc.objects.GcsObjects"),
        ({"objects": GcsObjects}, r"objects must be as vision_grpc.objects.GcsObjects\(\), or None for Cloud Storage, not <class"),
        ({"labels": {"A": "b"}}, "labels"),
        ({"labels": 5}, "labels must be a mapping of strings to strings, not 5"),
        ({"features": None, "image_context": {"language_hints": ["de"]}}, "image_context needs features"),
    ],
)
def test_wrong_settings_are_refused_at_once(settings: dict[str, Any], words: str) -> None:
    """A wrong setting is one sentence where the transform is made, not a traceback on a worker."""
    with pytest.raises(ConfigError, match=words):
        AnnotateImages(**{"features": "text", "output": "gs://out/run/"} | settings)


def test_results_of_an_emulator_are_not_looked_for_in_cloud_storage(world: Worlds, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without objects, an emulator's results are read from the directories that the environment names, or nothing is sent."""
    there = world(2)
    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
    with pytest.raises(Exception, match="are not in Google Cloud Storage: pass objects="):
        there.annotate(objects=None)
    assert not there.sent()
    monkeypatch.setenv("VISION_EMULATOR_BUCKETS", json.dumps({name: str(path) for name, path in there.buckets.items()}))
    there.check(there.annotate(objects=None))


def test_a_version_of_its_own(world: Worlds) -> None:
    """A v1p4beta1 client sends and reads messages of that version."""
    there = world(2)
    outcome = there.annotate(client=partial(there.client, version="v1p4beta1"))
    assert {type(result.response).__module__.split(".")[-2] for result in outcome.results} == {"v1p4beta1"}


def test_deferring_where_the_runner_can() -> None:
    """On Dataflow a batch is put off between two looks; elsewhere a bundle waits for its batches; either may be asked for."""

    def sends(runner: str, **settings: Any) -> str:
        pipeline = beam.Pipeline(runner=FnApiRunner(), options=PipelineOptions([f"--runner={runner}"]))
        pipeline | beam.Create(["gs://photos/a.jpg"]) | AnnotateImages("text", "gs://out/run", **settings)
        names: list[str] = []

        class Visitor(beam.pipeline.PipelineVisitor):  # type: ignore[misc]
            def visit_transform(self, node: Any) -> None:
                if node.full_label.endswith("/Send"):
                    names.append(type(node.transform.fn).__name__)

        pipeline.visit(Visitor())
        return names[0]

    assert sends("DirectRunner") == sends("FlinkRunner") == "SendAndWait"
    assert sends("DataflowRunner") == sends("FlinkRunner", defer=True) == "SendAndDefer"


def test_the_quota_is_kept(world: Worlds, monkeypatch: pytest.MonkeyPatch) -> None:
    """600 requests a minute, split over two workers: of one worker's twelve, five go at once and the others follow evenly."""
    times: list[float] = []
    sent = Pace.sent

    def noting(pace: Pace, now: float) -> None:
        times.append(now)
        sent(pace, now)

    monkeypatch.setattr(Pace, "sent", noting)
    there = world(12)
    there.check(there.annotate(request_size=1, requests_per_minute=600, workers=2))
    assert len(times) == 12
    assert times[-1] - times[0] >= 7 * 60 / 296


def test_the_quota_is_split_as_the_options_say() -> None:
    """Without `workers`, the quota is split over the processes that the pipeline's options name."""

    def processes(*options: str) -> int:
        return _processes(PipelineOptions(list(options)))

    assert processes() == processes(*THREADS) == 1
    assert processes(*PROCESSES) == 2
    assert processes("--num_workers=4", "--max_num_workers=20") == 20
    assert processes("--num_workers=4") == 4


def test_without_beam_the_extra_is_named() -> None:
    """Where Beam is not installed, the import says in one sentence what to install."""
    code = "import sys; sys.modules['apache_beam'] = None; import vision_grpc.beam"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stderr.splitlines()[-1]
    assert said.startswith("ModuleNotFoundError: vision_grpc.beam needs Apache Beam")
    assert said.endswith("pip install 'vision-grpc[beam]'")


def test_outputs_are_those_of_any_operation(world: Worlds) -> None:
    """What lies below the output can be read without Beam: each prefix holds one request's results."""
    there = world(7)
    there.annotate()
    (operation,) = there.buckets["out"].rglob("operation-*")
    results = list(read_results(f"gs://out/{operation.parent.relative_to(there.buckets['out'])}/", objects=there.objects))
    assert sorted(result.uri for result in results) == sorted(there.uris)
