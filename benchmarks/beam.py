"""Apache Beam: AnnotateImages beside Beam's own apache_beam.ml.gcp.visionml, on the same pictures, server and runner.

visionml calls synchronously, five images at a time, each call on a thread of its own bundle, and over TLS only: so both do.
The server answers at once, which leaves what the pipelines cost, or takes a while for each image, as a service does.
Both pipelines' results are compared before they are timed.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import apache_beam as beam
    from apache_beam.ml.gcp import visionml
    from apache_beam.options.pipeline_options import PipelineOptions
    from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from google.api_core.client_options import ClientOptions
from google.cloud import vision

from benchmarks import Sample, Table, measure, take_turns
from vision_grpc import AsyncClient
from vision_grpc.beam import AnnotateImages
from vision_grpc.objects import LocalObjects

IMAGES = 1000
THREADS = ("--direct_running_mode=multi_threading", "--direct_num_workers=4")
Texts = list[str]


def run(rounds: int) -> list[Table]:
    """Times both with one worker and with four, against a server that answers at once and one that takes 20 ms an image."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name in ("photos", "out"):
            (root / name).mkdir()
        for index in range(IMAGES):
            (root / "photos" / f"{index}.jpg").write_text(str(index))
        return _compared(root, min(rounds, 5))


def _compared(root: Path, rounds: int) -> list[Table]:
    uris = [f"gs://photos/{index}.jpg" for index in range(IMAGES)]
    objects = LocalObjects({name: root / name for name in ("photos", "out")})
    with _server(root) as (target, certificate, calls):
        client = partial(AsyncClient, endpoint=target, root_certificates=certificate.read_bytes(), api_key="benchmark")
        runs = itertools.count(time.time_ns())

        def by_visionml(*flags: str) -> Texts:
            features = [vision.Feature({"type_": vision.Feature.Type.TEXT_DETECTION})]
            options = ClientOptions(api_endpoint=target, api_key="benchmark")
            transform = visionml.AnnotateImage(features, client_options=options)
            return _texts(uris, flags, transform)

        def ours(*flags: str) -> Texts:
            transform = AnnotateImages("text", f"gs://out/{next(runs)}/", client=client, objects=objects)
            return _texts(uris, flags, transform)

        def counted(work: Callable[[], object], method: str, seconds: float) -> Sample:
            calls(seconds)
            sample = measure(work)
            return Sample(sample.wall, sample.cpu, {"requests": float(calls(seconds)[method])})

        assert by_visionml() == ours() == sorted(map(str, range(IMAGES)))
        tables = []
        for seconds, (flags, workers) in itertools.product((0.0, 0.02), (((), "one worker"), (THREADS, "four threads"))):
            contenders = {
                "visionml.AnnotateImage": partial(counted, partial(by_visionml, *flags), "BatchAnnotateImages", seconds),
                "vision_grpc.beam.AnnotateImages": partial(counted, partial(ours, *flags), "AsyncBatchAnnotateImages", seconds),
            }
            title = f"{IMAGES:,} images on DirectRunner, {workers}, {seconds * 1000:.0f} ms an image at the server"
            tables.append(take_turns(title, contenders, rounds, warm=False))
        return tables


@contextmanager
def _server(root: Path) -> Iterator[tuple[str, Path, Callable[[float], dict[str, int]]]]:
    command = [sys.executable, "-m", "benchmarks._beam_server", str(root)]
    home = Path(__file__).resolve().parent.parent
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=home) as process:
        assert process.stdin
        assert process.stdout
        said = json.loads(process.stdout.readline())
        certificate = root / "root.pem"
        # gRPC reads the file before the first secure channel that names no roots; visionml has no other way to trust a server.
        certificate.write_text(said["root"])
        os.environ["GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"] = str(certificate)
        asking, answers = process.stdin, process.stdout

        def calls(seconds: float) -> dict[str, int]:
            asking.write(f"{seconds}\n")
            asking.flush()
            counts: dict[str, int] = json.loads(answers.readline())
            return counts

        yield said["target"], certificate, calls
        process.stdin.close()


_found: Texts = []


def _keep(value: Any) -> None:
    # A module's own function: what it closed over would be copied to the worker, and lost.
    responses = value.responses if hasattr(value, "responses") else [value.response]
    _found.extend(response.text_annotations[0].description for response in responses)


def _texts(uris: Sequence[str], flags: Sequence[str], transform: Any) -> Texts:
    _found.clear()
    with beam.Pipeline(runner=FnApiRunner(), options=PipelineOptions(list(flags))) as pipeline:
        annotated = pipeline | beam.Create(uris) | beam.Reshuffle() | transform
        getattr(annotated, "results", annotated) | "Keep" >> beam.Map(_keep)
    return sorted(_found)
