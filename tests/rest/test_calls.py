"""Calls over HTTP: what goes in, what comes out, in which form."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest

from vision_grpc import v1, v1p4beta1
from vision_grpc.emulator import Emulator

from .conftest import Http, batch, finished, image

ANNOTATE = "/v1/images:annotate"
SUBMIT = "/v1/images:asyncBatchAnnotate"
INLINE = {"requests": [{"image": {"content": "YQ=="}, "features": [{"type": "TEXT_DETECTION"}]}]}
ANSWER = {"responses": [{"textAnnotations": [{"description": "a"}]}]}


@pytest.mark.parametrize(("version", "parent"), [("v1", "projects/p/locations/eu/"), ("v1p1beta1", "projects/p/"), ("v1p4beta1", "")])
def test_an_operation_from_submit_to_delete(http_: Http, buckets: dict[str, Path], version: str, parent: str) -> None:
    """The first reply is the name alone; the finished operation names its types; cancel and delete answer {}."""
    submitted = http_.post(f"/{version}/{parent}images:asyncBatchAnnotate", batch("a.png", "b.png", output="gs://out/x"))
    name = submitted.json.pop("name")
    assert submitted.json == {"name": name}
    assert name.startswith(parent or "projects/vision-emulator/")
    operation = finished(http_, name)
    package = "v1p4beta1" if version == "v1p4beta1" else "v1"
    assert operation["metadata"]["@type"] == f"type.googleapis.com/google.cloud.vision.{package}.OperationMetadata"
    assert operation["metadata"]["state"] == "DONE"
    assert operation["response"] == {
        "@type": f"type.googleapis.com/google.cloud.vision.{package}.AsyncBatchAnnotateImagesResponse",
        "outputConfig": {"gcsDestination": {"uri": "gs://out/x"}, "batchSize": 20},
    }
    assert "a bear" in (buckets["out"] / "xoutput-1-to-2.json").read_text()
    for answer in (http_.post(f"/v1/{name}:cancel", {}), http_.call("POST", f"/v1/{name}:cancel"), http_.call("DELETE", f"/v1/{name}")):
        assert (answer.status, answer.body) == (200, b"{}\n")
    assert http_.get(f"/v1/{name}").error["code"] == 404


@pytest.mark.parametrize("version", ["v1", "v1p1beta1", "v1p4beta1"])
@pytest.mark.parametrize("feature", ["OBJECT_LOCALIZATION", "PRODUCT_SEARCH"])
def test_every_version_knows_the_features_of_rest(http_: Http, version: str, feature: str) -> None:
    """v1p1beta1 too takes by name what its discovery document lists and its published protos lack."""
    answer = http_.post(f"/{version}/images:annotate", {"requests": [{"image": {"content": "YQ=="}, "features": [{"type": feature}]}]})
    assert (answer.status, len(answer.json["responses"])) == (200, 1)


def test_cancel(serve: Callable[..., Emulator], connect: Callable[..., Http]) -> None:
    """A cancelled operation is done with code 1, in the JSON of an operation."""
    http = connect(serve(rest_port=0, operation_seconds=3600))
    name = http.post(SUBMIT, batch()).json["name"]
    assert http.post(f"/v1/{name}:cancel", {}).status == 200
    operation = finished(http, name)
    assert (operation["error"]["code"], operation["metadata"]["state"]) == (1, "CANCELLED")


def test_list(http_: Http) -> None:
    """Query parameters fill the request by their JSON or proto names; the pages follow one another."""
    names = [http_.post(f"/v1/projects/{project}/images:asyncBatchAnnotate", batch()).json["name"] for project in "pqp"]
    for name in names:
        finished(http_, name)
    first = http_.get("/v1/operations?pageSize=2&filter=done%20%3D%20true").json
    assert [each["name"] for each in first["operations"]] == names[:0:-1]
    rest = http_.get(f"/v1/operations?page_size=2&filter=done+=+true&pageToken={first['nextPageToken']}").json
    assert [each["name"] for each in rest["operations"]] == names[:1]
    assert "nextPageToken" not in rest
    assert [each["name"] for each in http_.get("/v1/projects/q/operations").json["operations"]] == names[1:2]
    assert http_.get("/v1/operations?filter=done%3Dfalse").json == {}


def test_rest_and_grpc_share_operations(server: Emulator, http_: Http) -> None:
    """An operation submitted over one is found over the other, and both are in the call log as the same messages."""
    name = http_.post("/v1/projects/p/images:asyncBatchAnnotate?key=k&quotaUser=u", batch("c.png", labels={"team": "a"})).json["name"]
    with grpc.insecure_channel(server.target) as channel:
        get: Callable[..., bytes] = channel.unary_unary("/google.longrunning.Operations/GetOperation")
        raw = get(b"\x0a" + bytes([len(name)]) + name.encode(), timeout=60)
    assert v1.Operation.FromString(raw).name == name
    submit, poll = server.calls
    assert (submit.path, poll.path) == (
        "/google.cloud.vision.v1.ImageAnnotator/AsyncBatchAnnotateImages",
        "/google.longrunning.Operations/GetOperation",
    )
    assert (submit.message.parent, dict(submit.message.labels)) == ("projects/p", {"team": "a"})
    metadata = dict(submit.metadata)
    assert metadata[":method"] == "POST"
    assert metadata[":path"] == "/v1/projects/p/images:asyncBatchAnnotate?key=k&quotaUser=u"
    assert (metadata["x-goog-api-key"], metadata["x-goog-quota-user"]) == ("k", "u")
    assert ":path" not in dict(poll.metadata)
    assert isinstance(server.calls[0].message, v1.AsyncBatchAnnotateImagesRequest)


@pytest.mark.parametrize("name", ["access_token", "oauth_token"])
def test_tokens_in_the_query(server: Emulator, http_: Http, name: str) -> None:
    """A token in the query is taken as the header that says the same."""
    assert http_.post(f"{ANNOTATE}?{name}=t", INLINE).status == 200
    assert dict(server.calls[0].metadata)["authorization"] == "Bearer t"


def test_the_path_wins_over_the_body(server: Emulator, http_: Http) -> None:
    """A field that the path binds is the path's, also where the body names it."""
    assert http_.post("/v1/projects/p/images:annotate", INLINE | {"parent": "projects/q"}).status == 200
    assert server.calls[0].message.parent == "projects/p"


def test_either_spelling_of_a_field(server: Emulator, http_: Http) -> None:
    """proto3 JSON takes the proto names of fields, numbers of enums and numbers as text."""
    request = batch()
    request["output_config"] = {"gcs_destination": {"uri": "gs://out/"}, "batch_size": "7"}
    del request["outputConfig"]
    request["requests"][0]["features"] = [{"type": 5, "max_results": 3}]
    assert http_.post(SUBMIT, request).status == 200
    message = server.calls[0].message
    assert (message.output_config.batch_size, message.requests[0].features[0].type) == (7, 5)


def test_pretty_and_compact(http_: Http) -> None:
    """Replies are indented unless prettyPrint says no; the JSON is UTF-8 and says so."""
    pretty, compact = http_.post(ANNOTATE, INLINE), http_.post(f"{ANNOTATE}?$prettyPrint=0", INLINE)
    assert pretty.body.startswith(b'{\n  "responses": [\n')
    assert pretty.body.endswith(b"}\n")
    assert compact.body == json.dumps(ANSWER, separators=(",", ":")).encode()
    assert pretty.json == compact.json == ANSWER
    assert pretty.headers["content-type"] == "application/json; charset=UTF-8"
    request = {"requests": [INLINE["requests"][0] | {"image": {"content": "w6k="}}]}
    assert "é".encode() in http_.post(ANNOTATE, request).body


@pytest.mark.parametrize("alt", ["alt", "$alt"])
def test_alt(http_: Http, alt: str) -> None:
    """JSON with enums by name or number, or protobuf; so are errors."""
    name = http_.post(SUBMIT, batch()).json["name"]
    finished(http_, name)
    assert http_.get(f"/v1/{name}?{alt}=json;enum-encoding=int").json["metadata"]["state"] == 3
    assert http_.get(f"/v1/{name}?{alt}=json").json["metadata"]["state"] == "DONE"
    reply = http_.get(f"/v1/{name}?{alt}=proto")
    assert reply.headers["content-type"] == "application/x-protobuf"
    operation = v1.Operation.FromString(reply.body)
    assert (operation.name, operation.WhichOneof("result")) == (name, "response")
    part = v1.Operation.FromString(http_.get(f"/v1/{name}?{alt}=proto&fields=done").body)
    assert part == v1.Operation(done=True)
    part = v1.Operation.FromString(http_.get(f"/v1/{name}?{alt}=proto&fields=done,metadata.state").body)
    metadata = v1.OperationMetadata()
    assert part.metadata.Unpack(metadata)
    assert metadata == v1.OperationMetadata(state=v1.OperationMetadata.State.DONE)
    error = http_.get(f"/v1/operations/none?{alt}=proto")
    assert (error.status, error.headers["content-type"]) == (404, "application/x-protobuf")
    status = v1.AnnotateImageResponse(error=type(v1.AnnotateImageResponse().error).FromString(error.body)).error
    assert (status.code, "not found" in status.message) == (5, True)


def test_protobuf_in(server: Emulator, http_: Http) -> None:
    """A body of application/x-protobuf is the request of its own version, serialised."""
    request = v1p4beta1.BatchAnnotateImagesRequest()
    request.requests.add(image=v1p4beta1.Image(content=b"a")).features.add(type=v1p4beta1.Feature.Type.TEXT_DETECTION)
    reply = http_.call("POST", "/v1p4beta1/images:annotate", request.SerializeToString(), content_type="application/x-protobuf")
    assert reply.json == ANSWER
    assert server.calls[0].message == request
    broken = http_.call("POST", ANNOTATE, b"\x0a\xff\xff\xff\xff\x0f", content_type="application/x-protobuf")
    assert broken.error["message"] == "The request is not a valid google.cloud.vision.v1.BatchAnnotateImagesRequest."


def test_partial_responses(http_: Http) -> None:
    """fields, in the query or as a header, leaves what it names; a name that the reply has not is an error, as on Google's servers."""
    name = http_.post(SUBMIT, batch()).json["name"]
    finished(http_, name)
    for reply in (http_.get(f"/v1/{name}?fields=done,metadata(state)"), http_.get(f"/v1/{name}", x_goog_fieldmask="done,metadata.state")):
        assert reply.json == {"done": True, "metadata": {"state": "DONE"}}
    assert http_.get(f"/v1/{name}?$fields=nme").error["message"] == "Invalid field selection 'nme'"


def test_gzip_both_ways(server: Emulator, http_: Http) -> None:
    """A gzipped request is read, and a reply that is worth it is gzipped for a client that takes it."""
    request = {"requests": [INLINE["requests"][0]] * 16}
    packed = gzip.compress(json.dumps(request).encode())
    reply = http_.call("POST", ANNOTATE, packed, content_type="application/json", content_encoding="gzip", accept_encoding="gzip")
    assert reply.headers["content-encoding"] == "gzip"
    assert json.loads(gzip.decompress(reply.body)) == {"responses": ANSWER["responses"] * 16}
    assert "content-encoding" not in http_.post(ANNOTATE, request).headers
    for refused in ("gzip;q=0", "deflate, GZIP; q=0.000, br"):
        assert "content-encoding" not in http_.post(ANNOTATE, request, accept_encoding=refused).headers
    assert http_.post(ANNOTATE, request, accept_encoding="gzip;q=0.5").headers["content-encoding"] == "gzip"
    assert len(server.calls[0].message.requests) == 16


def test_parameters_without_effect(http_: Http) -> None:
    """What every Google API takes is taken: the error format, upload protocols, users and projects."""
    query = "$.xgafv=2&uploadType=media&upload_protocol=raw&$userProject=p&$unique=1&prettyPrint=true&alt=json"
    assert http_.post(f"{ANNOTATE}?{query}", INLINE).json == ANSWER


def test_a_get_in_a_post(http_: Http) -> None:
    """x-http-method-override makes a POST a GET, its form the query: how clients send queries too long for a URL."""
    form = "filter=done+%3D+maybe&pageSize=1"
    reply = http_.call("POST", "/v1/operations", form, content_type="application/x-www-form-urlencoded", x_http_method_override="GET")
    assert reply.error["message"].startswith("filter 'done = maybe' is not understood")


def test_files_are_refused_as_in_grpc(http_: Http) -> None:
    """What the server does not do, it says in HTTP's terms."""
    error = http_.post("/v1/files:annotate", {}).error
    assert (error["code"], error["status"]) == (501, "UNIMPLEMENTED")


def test_web_images_and_missing_objects_are_errors_of_one_image(http_: Http) -> None:
    """The call succeeds, and each image that cannot be read says why."""
    reply = http_.post(ANNOTATE, {"requests": [image("none.png"), image()]})
    codes: list[Any] = [response.get("error", {}).get("code") for response in reply.json["responses"]]
    assert (reply.status, codes) == (200, [5, None])
