"""The discovery documents against those that Google publishes, which google-api-python-client carries."""

import json
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from vision_grpc.emulator.rest.discovery import document

from .conftest import Http
from .test_rules import BOUND

# Found, not imported: Google's packages warn on import of Python versions that they mean to leave.
PUBLISHED = Path(str(find_spec("googleapiclient").origin)).parent / "discovery_cache" / "documents"  # type: ignore[union-attr]
ROOT = "http://127.0.0.1:1/"


def ours(version: str) -> dict[str, Any]:
    """Our document of a version."""
    found = document(BOUND, version, ROOT)
    assert found is not None
    return found


def methods(resource: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every method of a document, by its id."""
    for method in resource.get("methods", {}).values():
        yield ".".join([method["id"], method["flatPath"]]), method
    for below in resource.get("resources", {}).values():
        yield from methods(below)


def bare(value: Any) -> Any:
    """A schema without what is said of it in words."""
    if isinstance(value, dict):
        left_out = ("description", "enumDescriptions", "deprecated", "enumDeprecated", "readOnly")
        return {name: bare(item) for name, item in value.items() if name not in left_out or isinstance(item, dict)}
    return [bare(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("version", ["v1", "v1p1beta1"])
def test_methods_are_the_published_ones(version: str) -> None:
    """Every method that both documents have is told alike; what only ours has is what rules.py calls ours."""
    published = dict(methods(json.loads((PUBLISHED / f"vision.{version}.json").read_text())))
    shared, extra = [], set()
    for key, method in methods(ours(version)):
        if key not in published:
            extra.add(method["id"])
            continue
        shared.append(method["id"])
        for name in ("httpMethod", "path", "parameterOrder", "request", "response"):
            assert method.get(name) == published[key].get(name), (key, name)
        theirs = bare(published[key]["parameters"])
        if method["id"] == "vision.operations.get":
            # Theirs is the narrower one of the service configuration, ours that of the interface.
            assert method["parameters"]["name"].pop("pattern") == "^operations/.*$"
            assert theirs["name"].pop("pattern") == "^operations/[^/]+$"
        assert method["parameters"] == theirs, key
    assert len(shared) == {"v1": 19, "v1p1beta1": 4}[version]
    everywhere = {f"vision.{place}operations" for place in ("", "projects.", "projects.locations.", "locations.")}
    ours_alone = {f"{place}.{verb}" for place in everywhere for verb in ("get", "list", "cancel", "delete")}
    assert extra == ours_alone - set(shared)
    assert version != "v1" or not extra & {"vision.operations.list", *(f"{place}.get" for place in everywhere)}


@pytest.mark.parametrize(("version", "least"), [("v1", 60), ("v1p1beta1", 40)])
def test_schemas_are_the_published_ones(version: str, least: int) -> None:
    """Every property of every schema has the published type, format, enum values and reference."""
    published = json.loads((PUBLISHED / f"vision.{version}.json").read_text())["schemas"]
    schemas = ours(version)["schemas"]
    assert len(schemas) >= least
    # Theirs of v1p1beta1 has no methods of Operations, and so not what these take and give.
    extra = {"CancelOperationRequest", "Empty", "ListOperationsResponse"}
    assert schemas.keys() - published.keys() == (extra if version == "v1p1beta1" else set())
    for name in schemas.keys() & published.keys():
        schema = schemas[name]
        theirs = bare(published[name])["properties"]
        for field, value in bare(schema)["properties"].items():
            if version != "v1" and "enum" in value:
                assert set(value.pop("enum")) <= set(theirs[field].pop("enum"))
            assert value == theirs[field], (name, field)
        # v1p1beta1's gRPC protos are older than its REST, and have fewer fields and values.
        assert version != "v1" or schema["properties"].keys() == theirs.keys(), name


@pytest.mark.parametrize("version", ["v1", "v1p1beta1", "v1p4beta1"])
def test_references_lead_somewhere(version: str) -> None:
    """Every $ref of a document is one of its schemas, and every schema is referred to."""
    text = json.dumps(ours(version))
    schemas = json.loads(text)["schemas"]
    assert {part.partition('"')[0] for part in text.split('"$ref": "')[1:]} == schemas.keys()
    assert "auth" not in json.loads(text), "a client of it asks for no credentials"


def test_the_server_serves_it(http_: Http) -> None:
    """The document names the address that the client used; without a version it is v1; an unknown version is 404."""
    reply = http_.get("/$discovery/rest?version=v1p4beta1", host="vision.test:8086")
    assert reply.json == document(BOUND, "v1p4beta1", "http://vision.test:8086/")
    assert reply.headers["content-type"] == "application/json"
    head = http_.call("HEAD", "/$discovery/rest?version=v1p4beta1", host="vision.test:8086")
    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", reply.headers["content-length"])
    assert http_.get("/%24discovery/rest").json["version"] == http_.get("/$discovery/rest").json["version"] == "v1"
    assert http_.get("/$discovery/rest?version=v2").error["message"] == "The server has no version 'v2'."


def test_batches_of_calls_stay_here(http_: Http) -> None:
    """new_batch_http_request goes to this server, which has no such thing, and not to Google."""
    assert ours("v1")["batchPath"] == "batch"
    assert http_.post("/batch", b"").error["status"] == "NOT_FOUND"
