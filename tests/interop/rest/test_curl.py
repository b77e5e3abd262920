"""The command lines of Google's documentation, with this server in place of theirs."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vision_grpc.emulator import Emulator

Run = Callable[..., str]

# https://cloud.google.com/vision/docs/batch shows these lines; a gcloud that prints a token stands in for the real one.
SUBMIT = """curl -s -X POST \\
    -H "Authorization: Bearer $(gcloud auth print-access-token)" \\
    -H "x-goog-user-project: PROJECT_ID" \\
    -H "Content-Type: application/json; charset=utf-8" \\
    -d @request.json \\
    "https://vision.googleapis.com/v1/images:asyncBatchAnnotate"
"""
POLL = """curl -s -X GET \\
    -H "Authorization: Bearer $(gcloud auth print-access-token)" \\
    -H "x-goog-user-project: PROJECT_ID" \\
    "https://vision.googleapis.com/v1/OPERATION"
"""
# https://cloud.google.com/vision/docs/common/auth
KEYED = """curl -s -X POST -H "Content-Type: application/json" --compressed -d @request.json \\
    "https://vision.googleapis.com/v1/images:annotate?key=API_KEY"
"""


def shell(run: Run, server: Emulator, tmp_path: Path, line: str, request: dict[str, Any] | None = None) -> dict[str, Any]:
    """Runs a documented command line and returns its JSON."""
    if request is not None:
        (tmp_path / "request.json").write_text(json.dumps(request))
    script = f"gcloud() {{ echo a-token; }}\ncd '{tmp_path}'\n{line.replace('https://vision.googleapis.com', server.rest_url)}"
    answer: dict[str, Any] = json.loads(run("sh", "-c", script))
    return answer


def test_submit_and_poll(run: Run, server: Emulator, buckets: dict[str, Path], tmp_path: Path) -> None:
    """The documented request is accepted, and its operation polled until it is done."""
    request = {
        "requests": [{"image": {"source": {"imageUri": "gs://photos/a.png"}}, "features": [{"type": "LABEL_DETECTION", "maxResults": 50}]}],
        "outputConfig": {"gcsDestination": {"uri": "gs://out/curl/"}, "batchSize": 1},
    }
    name = shell(run, server, tmp_path, SUBMIT, request)["name"]
    assert re.fullmatch(r"projects/[^/]+/operations/[0-9a-f]{16}", name)
    operation: dict[str, Any] = {}
    while not operation.get("done"):
        operation = shell(run, server, tmp_path, POLL.replace("OPERATION", name))
    assert operation["metadata"]["state"] == "DONE"
    assert (buckets["out"] / "curl" / "output-1-to-1.json").exists()
    assert dict(server.calls[0].metadata)["authorization"] == "Bearer a-token"
    assert dict(server.calls[0].metadata)["x-goog-user-project"] == "PROJECT_ID"


def test_an_api_key(run: Run, server: Emulator, tmp_path: Path) -> None:
    """A key in the query is taken as the header that says the same; --compressed asks for gzip."""
    request = {"requests": [{"image": {"content": "YQ=="}, "features": [{"type": "TEXT_DETECTION"}]}]}
    assert shell(run, server, tmp_path, KEYED, request) == {"responses": [{"textAnnotations": [{"description": "a"}]}]}
    assert dict(server.calls[0].metadata)["x-goog-api-key"] == "API_KEY"


def test_a_mistake_is_googles_error(run: Run, server: Emulator, tmp_path: Path) -> None:
    """A misspelt field is answered in the shape and the words of Google's servers."""
    error = shell(run, server, tmp_path, SUBMIT, {"request": []})["error"]
    text = 'Invalid JSON payload received. Unknown name "request": Cannot find field.'
    assert (error["code"], error["status"], error["message"]) == (400, "INVALID_ARGUMENT", text)
    assert error["details"][0]["@type"] == "type.googleapis.com/google.rpc.BadRequest"
