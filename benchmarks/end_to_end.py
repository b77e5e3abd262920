"""20,000 images in 10 requests, end to end: submit, wait, read into typed messages, with OCR-sized answers.

Every tenth image is a dense page, the others have labels. This package beside google-cloud-vision, google-cloud-storage and the
code that Google's documentation recommends (https://cloud.google.com/vision/docs/batch): list the blobs under the destination,
download each, parse it with from_json. Both take turns request by request; both read through google-cloud-storage from the same
server, in a process of its own.
"""

from __future__ import annotations

import os
import random
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from google.cloud import storage, vision

from benchmarks import Sample, Table, measure, tabulate
from benchmarks._official import sync_client
from benchmarks._servers import Server
from benchmarks.decode import dense, labels
from vision_grpc import Client, image_requests, v1
from vision_grpc.messages import to_json
from vision_grpc.objects import GcsObjects
from vision_grpc.results import read_results

OFFICIAL_EVERY = 5
"""Of how many requests the official client works through one: it takes half a minute for each."""
OURS, OFFICIAL = "vision_grpc", "google-cloud-vision and google-cloud-storage"
BATCH = 20
"""Responses of one output object: the service's default."""


def run(rounds: int, requests: int = 10, images: int = 2000) -> list[Table]:
    """Works through all requests once, whatever the rounds: each request is a round, of the official client every fifth."""
    samples: dict[str, list[Sample]] = {OFFICIAL: [], OURS: []}
    with tempfile.TemporaryDirectory() as folder:
        size = write_shards(Path(folder), images)
        with Server(objects=Path(folder)) as server, _storage(server.rest), Client(emulator=server.target) as client:
            theirs = sync_client(server.target)
            bucket = storage.Client()
            objects = GcsObjects()
            for number in range(requests):
                uris = [_uri(str(number), index) for index in range(images)]

                def ours(uris: list[str] = uris, number: int = number) -> int:
                    operation = client.async_batch_annotate(image_requests(uris, ["text", "labels"]), f"gs://results/{number}/")
                    response = client.wait_operation(operation)
                    return sum(1 for result in read_results(response, requests=uris, objects=objects) if result.response is not None)

                def official(uris: list[str] = uris, number: int = number) -> int:
                    return _recommended(theirs, bucket, uris, str(number))

                contenders: dict[str, Callable[[], int]] = {OFFICIAL: official, OURS: ours}
                for name, work in contenders.items():
                    if name == OURS or number % OFFICIAL_EVERY == 0:
                        samples[name].append(measure(_all_read(work, images)))
            theirs.transport.close()  # type: ignore[no-untyped-call]
    title = f"{requests * images:,} images in {requests} requests, {size * requests / 1e6:,.0f} MB of JSON; a row is one request"
    table = tabulate(title, samples)
    table.aim("CPU, official ÷ vision_grpc", OURS, OFFICIAL, at_least=4)
    return [table]


def _all_read(work: Callable[[], int], images: int) -> Callable[[], None]:
    def check() -> None:
        if (read := work()) != images:
            raise AssertionError(f"{read} of {images} images were read")

    return check


def _recommended(client: vision.ImageAnnotatorClient, bucket: storage.Client, uris: list[str], run: str) -> int:
    kinds = (vision.Feature.Type.TEXT_DETECTION, vision.Feature.Type.LABEL_DETECTION)
    features = [{"type_": kind} for kind in kinds]
    requests = [{"image": {"source": {"image_uri": uri}}, "features": features} for uri in uris]
    output_config = {"gcs_destination": {"uri": f"gs://results/{run}/"}, "batch_size": BATCH}
    operation: Any = client.async_batch_annotate_images({"requests": requests, "output_config": output_config})
    destination = operation.result(timeout=90).output_config.gcs_destination.uri
    name, _, prefix = destination.removeprefix("gs://").partition("/")
    count = 0
    for blob in bucket.list_blobs(name, prefix=prefix):
        batch = vision.BatchAnnotateImagesResponse.from_json(blob.download_as_bytes(), ignore_unknown_fields=True)
        count += sum(1 for _ in batch.responses)
    return count


def write_shards(folder: Path, images: int) -> int:
    """Writes a request's output objects, the run's name left open in their URIs; returns their bytes."""
    chance = random.Random(6)
    size = 0
    for first in range(0, images, BATCH):
        batch = v1.BatchAnnotateImagesResponse()
        for index in range(first, min(first + BATCH, images)):
            response = dense(chance, index) if index % 10 == 0 else labels(chance, index)
            response.context.uri = _uri("{run}", index)
            batch.responses.append(response)
        text = to_json(batch, indent=True).encode()
        (folder / f"output-{first + 1}-to-{first + len(batch.responses)}.json").write_bytes(text)
        size += len(text)
    return size


def _uri(run: str, index: int) -> str:
    return f"gs://photos/{run}/{index:06d}.jpg"


@contextmanager
def _storage(rest: str) -> Iterator[None]:
    """Points google-cloud-storage at the server, as at any emulator."""
    before = {name: os.environ.get(name) for name in ("STORAGE_EMULATOR_HOST", "GOOGLE_CLOUD_PROJECT")}
    os.environ.update(STORAGE_EMULATOR_HOST=rest, GOOGLE_CLOUD_PROJECT="benchmarks")
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
