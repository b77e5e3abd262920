"""google-api-python-client and google-cloud-vision over REST."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vision_grpc.emulator import Emulator

Python = Callable[..., dict[str, Any]]


@pytest.mark.parametrize(
    ("how", "version"),
    [("built", "v1"), ("fetched", "v1p1beta1"), ("fetched", "v1p4beta1"), ("published", "v1"), ("published", "v1p1beta1")],
)
def test_google_api_python_client(python: Python, server: Emulator, buckets: dict[str, Path], how: str, version: str) -> None:
    """Built from our documents or Google's, the client submits in each version, and gets, cancels, lists and deletes on v1."""
    answer = python("google_api_client.py", how, version)
    package = "v1p4beta1" if version == "v1p4beta1" else "v1"
    assert answer["operation"]["response"]["@type"] == f"type.googleapis.com/google.cloud.vision.{package}.AsyncBatchAnnotateImagesResponse"
    assert answer["listed"] == answer["operation"]["name"]
    assert answer["missing"][0] == 404
    assert "was not found" in answer["missing"][1]
    assert '"an apple"' in (buckets["out"] / "python" / "output-1-to-1.json").read_text()
    listing = next(call for call in server.calls if call.method == "ListOperations")
    assert dict(listing.metadata)["x-http-method-override"] == "GET", "a query of 3 kB travels in the body"
    assert server.calls[0].path == f"/google.cloud.vision.{version}.ImageAnnotator/AsyncBatchAnnotateImages"


@pytest.mark.parametrize("version", ["v1", "v1p4beta1"])
def test_google_cloud_vision_over_rest(python: Python, server: Emulator, buckets: dict[str, Path], version: str) -> None:
    """The official client's transport="rest" submits, waits, asks again, annotates at once and raises its own exceptions.

    That of v1p4beta1 polls below its own version.
    """
    answer = python("google_cloud_vision.py", version)
    assert answer["name"].startswith("projects/p/locations/us/operations/" if version == "v1" else "projects/vision-emulator/operations/")
    paths = [dict(call.metadata)[":path"] for call in server.calls if call.method == "GetOperation"]
    assert paths
    assert all(str(path).startswith(f"/{version}/") for path in paths)
    assert (answer["batch_size"], answer["state"], answer["again"], answer["online"]) == (7, "DONE", True, "inline")
    classes, message = answer["refused"]
    assert "BadRequest" in classes
    assert message.endswith("requests is empty: give 1 to 16 images.")
    assert '"an apple"' in (buckets["out"] / "cloud" / "output-1-to-1.json").read_text()
