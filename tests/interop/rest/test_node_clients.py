"""The npm packages googleapis and @google-cloud/vision."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from vision_grpc.emulator import Emulator

Run = Callable[..., str]


def test_the_documented_program(node: Run, node_modules: Path, server: Emulator, buckets: dict[str, Path], tmp_path: Path) -> None:
    """Google's printed example of vision('v1p1beta1').images.asyncBatchAnnotate runs with an endpoint and a request filled in.

    The program is read out of the package's own documentation; for its credentials the server stands in (GCE_METADATA_HOST).
    """
    page = (node_modules / "googleapis/build/src/apis/vision/v1p1beta1.d.ts").read_text()
    page = page[page.index("class Resource$Images") :]
    printed = re.findall(r"```js\n(.*?)\* ```\n", page[: page.index("asyncBatchAnnotate(params")], re.DOTALL)[-1]
    program = re.sub(r"^ *\* ?", "", printed, flags=re.MULTILINE)
    request = {
        "requests": [{"image": {"source": {"imageUri": "gs://photos/b.png"}}, "features": [{"type": "TEXT_DETECTION"}]}],
        "outputConfig": {"gcsDestination": {"uri": "gs://out/documented/"}},
    }
    for found, instead in [
        ("google.vision('v1p1beta1')", "google.vision({version: 'v1p1beta1', rootUrl: process.env.VISION_EMULATOR_REST_URL})"),
        (program[program.index("requestBody: {") : program.index("},\n  });") + 1], f"requestBody: {json.dumps(request)}"),
    ]:
        assert program.count(found) == 1
        program = program.replace(found, instead)
    (tmp_path / "documented.js").write_text(program)
    printed = node(str(tmp_path / "documented.js"), GCE_METADATA_HOST=server.rest_url.removeprefix("http://"))
    assert re.fullmatch(r"\{ name: 'projects/vision-emulator/operations/[0-9a-f]{16}' \}\s*", printed)
    assert [call.path for call in server.calls] == ["/google.cloud.vision.v1p1beta1.ImageAnnotator/AsyncBatchAnnotateImages"]
    assert server.calls[0].message.requests[0].image.source.image_uri == "gs://photos/b.png"


def test_googleapis(node: Run, server: Emulator, buckets: dict[str, Path]) -> None:
    """An operation of v1p1beta1, with a parent, is polled, listed and deleted on v1; errors are told by status and message."""
    answer = json.loads(node("googleapis.js"))
    name = answer["submitted"]["name"]
    assert answer["submitted"] == {"name": name}
    assert re.fullmatch(r"projects/p/locations/eu/operations/[0-9a-f]{16}", name)
    assert answer["operation"]["metadata"]["state"] == "DONE"
    assert answer["operation"]["response"]["outputConfig"] == {"gcsDestination": {"uri": "gs://out/node/"}, "batchSize": 2}
    assert answer["listed"] == [name]
    assert answer["online"] == {"responses": [{"textAnnotations": [{"description": "inline"}]}]}
    assert answer["missing"] == [404, f"Operation '{name}' was not found."]
    assert answer["refused"][0] == 400
    assert "gcs_destination.uri is missing" in answer["refused"][1]
    first = json.loads((buckets["out"] / "node" / "output-1-to-2.json").read_text())["responses"]
    assert first[0]["textAnnotations"] == [{"description": "an apple"}]
    assert first[1]["error"] == {"code": 5, "message": "Error opening file: gs://photos/missing.png"}
    assert (buckets["out"] / "node" / "output-3-to-3.json").exists()


@pytest.mark.parametrize("transport", ["rest", "grpc"])
def test_google_cloud_vision(node: Run, server: Emulator, buckets: dict[str, Path], transport: str) -> None:
    """The client waits for its operation, resumes it by name and annotates at once, over REST and over gRPC."""
    answer = json.loads(node("vision.js", transport))
    assert answer["name"].startswith("projects/p/operations/")
    assert answer["response"] == {"outputConfig": {"gcsDestination": {"uri": "gs://out/vision/"}, "batchSize": 1}}
    assert (answer["state"], answer["resumed"], answer["online"]) == (3, True, "inline")
    code, message = answer["refused"]
    assert code == {"rest": 400, "grpc": 3}[transport]
    assert "requests is empty: give 1 to 16 images." in message
    assert all((":path" in dict(call.metadata)) is (transport == "rest") for call in server.calls)
    assert sorted(path.name for path in (buckets["out"] / "vision").iterdir()) == ["output-1-to-1.json", "output-2-to-2.json"]
