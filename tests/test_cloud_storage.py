"""The whole way through a Cloud Storage that is not ours: pictures in, shards and files out, read by the official library too."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from gcp_storage_emulator.server import create_server
from google.cloud import storage  # type: ignore[import-untyped,unused-ignore]

from tests.conftest import spell
from tests.ports import held_port
from tests.test_submit import submit
from vision_grpc import Client, image_requests, read_results
from vision_grpc.emulator import Emulator
from vision_grpc.objects import GcsObjects
from vision_grpc.v1 import OutputConfig

NAMES = ["a.jpg", "folder/b c.jpg", "what?&%41+'\".jpg", "日本/ü.jpg", "d.jpg"]


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[storage.Client]:
    """The official library's client of a storage emulator that holds the buckets "photos", with pictures, and "out"."""
    # Otherwise, beside OpenTelemetry, the library asks for the bucket's metadata in a thread that outlives the test.
    monkeypatch.setenv("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")
    with held_port() as port:
        server = create_server("127.0.0.1", port, in_memory=True, default_bucket="photos")
        server.start()
        try:
            monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{port}")
            client = storage.Client()
            client.create_bucket("out")
            for name in NAMES:
                client.bucket("photos").blob(name).upload_from_string(name.encode(), content_type="image/jpeg")
            yield client
        finally:
            server.stop()


def test_an_operation_between_buckets(cloud: storage.Client) -> None:
    """Our server reads the pictures and writes the shards, our client joins them to their inputs, the official library reads them too."""
    requests = image_requests([f"gs://photos/{name}" for name in [*NAMES, "missing.jpg"]], ["text"])
    config = OutputConfig(gcs_destination={"uri": "gs://out/run/"}, batch_size=4)
    with Emulator(objects=GcsObjects(), annotator=spell) as server, Client(emulator=server.target) as client:
        response = client.wait_operation(client.async_batch_annotate(requests, config), timeout=60.0)
    results = list(read_results(response, requests=requests))
    assert [result.response.text_annotations[0].description for result in results if result.ok] == NAMES
    assert [(result.index, result.error.code.name) for result in results if result.error] == [(5, "NOT_FOUND")]
    blobs = {blob.name: json.loads(blob.download_as_bytes()) for blob in cloud.list_blobs("out")}
    assert {name: len(shard["responses"]) for name, shard in blobs.items()} == {"run/output-1-to-4.json": 4, "run/output-5-to-6.json": 2}


def test_the_command_line_between_buckets(cloud: storage.Client, tmp_path: Path) -> None:
    """A pattern and staged pictures are annotated in their order; results.jsonl and what else is wanted lie beside the shards."""
    (tmp_path / "z.jpg").write_bytes(b"from here")
    words = ["z.jpg", "gs://photos/**d.jpg", "gs://photos/folder/*", "--stage", "gs://photos/staged", "--output", "gs://out/run"]
    with Emulator(objects=GcsObjects(), annotator=spell) as server:
        environment = {"STORAGE_EMULATOR_HOST": os.environ["STORAGE_EMULATOR_HOST"], "VISION_EMULATOR_HOST": server.target}
        for uploads in (1, 0):
            done = submit(*words, "--features", "text", "--format", "html,parquet", cwd=tmp_path, **environment)
            assert done.returncode == 0, done.stderr
            assert f"uploaded {uploads} of 1 picture to gs://photos/staged/" in done.stdout
    files = {blob.name: blob for blob in cloud.list_blobs("out") if blob.name.count("/") == 1}
    assert {name: blob.content_type.partition(";")[0] for name, blob in files.items()} == {
        "run/report.html": "text/html",
        "run/results.jsonl": "application/jsonl",
        "run/results.parquet": "application/vnd.apache.parquet",
    }
    lines = [json.loads(line) for line in files["run/results.jsonl"].download_as_bytes().splitlines()]
    found = [(line["uri"], line["response"]["textAnnotations"][0]["description"]) for line in lines]
    assert found == [("z.jpg", "from here"), ("gs://photos/d.jpg", "d.jpg"), ("gs://photos/folder/b c.jpg", "folder/b c.jpg")]
