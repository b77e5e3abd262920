"""A bucket of pictures, a server, and pipelines whose bundles are run again when they break."""

from __future__ import annotations

import hashlib
import pickle
import time
import warnings
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Beam's own imports
    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions
    from apache_beam.runners.portability.fn_api_runner import FnApiRunner, fn_runner
    from apache_beam.testing.test_stream import TestStream

from tests.beam.brittle import Brittle
from vision_grpc import AsyncClient, Polling, Retry
from vision_grpc.beam import AnnotateImages
from vision_grpc.emulator import Emulator
from vision_grpc.objects import LocalObjects

ATTEMPTS = 4
"""How often a bundle is run at most, as on Dataflow."""

THREADS = ("--direct_running_mode=multi_threading", "--direct_num_workers=4")
PROCESSES = ("--direct_running_mode=multi_processing", "--direct_num_workers=2")


@pytest.fixture(autouse=True)
def retries(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """FnApiRunner runs a bundle that broke again, as every runner but itself does; returns how often, by the error's first word."""
    counted: Counter[str] = Counter()
    once = fn_runner.BundleManager.process_bundle

    def process_bundle(manager: Any, *arguments: Any, **named: Any) -> Any:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return once(manager, *arguments, **named)
            except Exception as error:
                counted[next((word for word in ("Broken", "CallError") if word in f"{type(error).__name__} {error}"), "other")] += 1
                if attempt == ATTEMPTS:
                    raise
        raise AssertionError

    monkeypatch.setattr(fn_runner.BundleManager, "process_bundle", process_bundle)
    return counted


class World:
    """Pictures 0.jpg and so on in gs://photos, each holding its own number, a server, and what pipelines made of them."""

    def __init__(self, root: Path, images: int, server: Emulator, buckets: dict[str, Path]) -> None:
        self.root = root
        self.server = server
        self.buckets = buckets
        self.uris = [f"gs://photos/{index}.jpg" for index in range(images)]
        self.memory = root / "memory"
        self.memory.mkdir()
        for index in range(images):
            (buckets["photos"] / f"{index}.jpg").write_bytes(b"%d" % index)

    @property
    def client(self) -> Callable[..., AsyncClient]:
        retry = Retry(attempts=3, initial=0.01, maximum=0.05, connect=60.0)
        return partial(AsyncClient, emulator=self.server.target, retry=retry, polling=Polling(initial=0.02, maximum=0.1))

    @property
    def objects(self) -> LocalObjects:
        return LocalObjects(self.buckets)

    def stream(self, *parts: int) -> Any:
        """An unbounded source that brings the pictures in parts, with an hour of processing time after each."""
        source, first = TestStream(coder=beam.coders.StrUtf8Coder()), 0
        source = source.advance_processing_time(int(time.time()) + 1)
        for part in parts:
            source = source.add_elements(self.uris[first : first + part]).advance_processing_time(3600)
            first += part
        return source.advance_watermark_to_infinity()

    def brittle(self, *moments: str) -> Brittle:
        return Brittle(self.buckets, self.memory, moments)

    def annotate(self, elements: Any = None, *options: str, runner: Any = None, **settings: Any) -> Outcome:
        """Runs a pipeline over the elements, or what a source brings; by default over all pictures."""
        settings = {"features": "text", "output": "gs://out/run", "client": self.client, "objects": self.objects} | settings
        settings = {"request_size": 7, "batch_size": 3, "grace": 0.3} | settings
        pipeline = beam.Pipeline(runner=runner or FnApiRunner(), options=PipelineOptions(list(options)))
        source = elements if isinstance(elements, beam.PTransform) else beam.Create(self.uris if elements is None else elements)
        found = pipeline | source | AnnotateImages(**settings)
        return self.run(pipeline, {"results": found.results, "failures": found.failures})

    def run(self, pipeline: Any, outputs: dict[str, Any]) -> Outcome:
        for name, output in outputs.items():
            output | f"Keep {name}" >> beam.ParDo(Keep(self.root / name))
        result = pipeline.run()
        result.wait_until_finish()
        kept = {name: read_kept(self.root / name) for name in outputs}
        metrics = result.metrics().query(beam.metrics.MetricsFilter().with_namespace("vision_grpc"))
        values = {metric.key.metric.name: metric.committed for kind in ("counters", "distributions") for metric in metrics[kind]}
        return Outcome(kept.get("results", []), kept.get("failures", []), values)

    def sent(self) -> Counter[str]:
        """Every image that the server was asked to annotate, with how often."""
        calls = [call.message for call in self.server.calls if call.method == "AsyncBatchAnnotateImages"]
        return Counter(request.image.source.image_uri for message in calls for request in message.requests)

    def check(self, outcome: Outcome) -> None:
        """Every image was sent once, and has one result, its own."""
        assert self.sent() == Counter(self.uris)
        assert outcome.metrics["images_ok"] == len(self.uris)
        assert Counter(result.uri for result in outcome.results) == Counter(self.uris)
        for result in outcome.results:
            assert f"gs://photos/{result.response.text_annotations[0].description}.jpg" == result.uri
        assert not outcome.failures


class Outcome:
    """What a pipeline gave: results, failures, and its metrics by name."""

    def __init__(self, results: list[Any], failures: list[Any], metrics: dict[str, Any]) -> None:
        self.results = results
        self.failures = failures
        self.metrics = metrics


class Keep(beam.DoFn):  # type: ignore[misc]
    """Writes what a committed bundle brings into a file of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def start_bundle(self) -> None:
        self._values: list[Any] = []

    def process(self, value: Any) -> None:
        self._values.append(value)

    def finish_bundle(self) -> None:
        # A bundle that runs twice writes the same file twice.
        content = pickle.dumps(self._values)
        self._folder.mkdir(exist_ok=True)
        (self._folder / hashlib.sha256(content).hexdigest()).write_bytes(content)


def read_kept(folder: Path) -> list[Any]:
    """What Keep wrote, taken away."""
    values: list[Any] = []
    for path in folder.iterdir() if folder.exists() else ():
        values += pickle.loads(path.read_bytes())
        path.unlink()
    return values


@pytest.fixture
def world(tmp_path: Path, buckets: dict[str, Path], serve: Callable[..., Emulator]) -> Callable[..., World]:
    """Makes a World with as many pictures, and a server with the given options."""

    def make(images: int = 24, **options: Any) -> World:
        return World(tmp_path, images, serve(**options), buckets)

    return make
