"""What is wrong with a request is said in Google's error shape, in one sentence, and the connection lives on."""

import gzip
import json
import socket
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vision_grpc.emulator import Emulator
from vision_grpc.emulator.rest.requests import MAX_BODY

from .conftest import Http, batch

ANNOTATE = "/v1/images:annotate"
SUBMIT = "/v1/images:asyncBatchAnnotate"
JSON = "application/json"
TOO_LARGE = "Request payload size exceeds the limit: 10485760 bytes."
FUZZ = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@pytest.fixture(scope="module")
def shared() -> Iterator[Emulator]:
    """One server for all that is wrong with a request: it reaches no bucket, and mostly no method."""
    with Emulator(buckets={}, annotator=lambda *_: b"", rest_port=0) as server:
        yield server


@pytest.fixture
def http_(shared: Emulator, connect: Callable[..., Http]) -> Http:
    """A connection to that server."""
    return connect(shared)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('{"requests": [{"imagee": {}}]}', "Unknown name \"imagee\" at 'requests[0]': Cannot find field."),
        ('{"nope": 1}', 'Unknown name "nope": Cannot find field.'),
        ('{"\\ud800": 1}', "It holds half of a surrogate pair."),
        ("[]", "The root is not an object."),
        ("1", "The root is not an object."),
        ("{", "Failed to load JSON"),
        ('{"requests": 1}', "repeated field requests must be in [] which is 1"),
        ('{"requests": [{"features": [{"type": "LABELS"}]}]}', "LABELS"),
        ('{"requests": [{"features": [{"maxResults": 1.5}]}]}', "1.5"),
        ('{"requests": [{"features": [{"maxResults": 99999999999}]}]}', "99999999999"),
        ('{"requests": [{"image": {"content": "a"}}]}', "content"),
        ('{"requests": [], "requests": []}', "duplicate"),
        ('{"parent": "\\uD83D"}', "It holds half of a surrogate pair."),
        ('{"requests": ' + "[" * 5000, ""),
        ('{"requests": ' * 5000, ""),
        (b"\xff{", "It is not UTF-8."),
    ],
)
def test_no_request_of_the_method(http_: Http, body: str | bytes, message: str) -> None:
    """JSON that is no request is INVALID_ARGUMENT in Google's words, with a BadRequest in its details."""
    reply = http_.call("POST", SUBMIT, body.encode() if isinstance(body, str) else body, content_type=JSON)
    error = reply.error
    assert (reply.status, error["code"], error["status"]) == (400, 400, "INVALID_ARGUMENT")
    assert error["message"].startswith("Invalid JSON payload received. ")
    assert message in error["message"]
    assert "\n" not in error["message"]
    violation = error["details"][0]
    assert violation["@type"] == "type.googleapis.com/google.rpc.BadRequest"
    assert violation["fieldViolations"][0]["description"] == error["message"]


def test_an_empty_body_is_an_empty_request(http_: Http) -> None:
    """No body, blanks and {} are the same: a request without images, which the service refuses."""
    for body in (b"", b" \n", b"{}"):
        assert http_.call("POST", ANNOTATE, body, content_type=JSON).error["message"] == "requests is empty: give 1 to 16 images."


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("nope=1", "Unknown name \"nope\": Cannot bind query parameter. Field 'nope' could not be found in request message."),
        ("filter.x=1", "Field 'filter.x' could not be found in request message."),
        ("pageSize=many", "pageSize"),
        ("returnPartialSuccess=maybe", "returnPartialSuccess"),
        ("alt=xml", "alt is 'xml'; give one of json, proto."),
        ("alt=media", "alt is 'media'"),
        ("alt=json;enum-encoding=x", "alt is 'enum-encoding=x'"),
        ("$.xgafv=3", ".xgafv is '3'; give one of 1, 2."),
        ("prettyPrint=maybe", "prettyPrint is 'maybe'; give one of true, 1, false, 0."),
        ("callback=f", "JSONP is not supported"),
        ("fields=a(", "is malformed"),
    ],
)
def test_bad_queries(http_: Http, query: str, message: str) -> None:
    """A parameter that is unknown or malformed is refused by its name."""
    reply = http_.get(f"/v1/operations?{query}")
    assert (reply.status, reply.error["status"]) == (400, "INVALID_ARGUMENT")
    assert message in reply.error["message"]


def test_a_query_beside_a_body(http_: Http) -> None:
    """Where the body is the request, the query binds no field of it."""
    assert "Cannot bind query parameter" in http_.post(f"{SUBMIT}?parent=projects/p", batch()).error["message"]


def test_booleans_in_the_query(http_: Http) -> None:
    """true and false are read; the server's own refusal shows that true arrived."""
    assert http_.get("/v1/operations?returnPartialSuccess=false").status == 200
    assert http_.get("/v1/operations?returnPartialSuccess=true").error["status"] == "UNIMPLEMENTED"


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "text/plain", "application/xml"])
def test_content_types(http_: Http, kind: str) -> None:
    """What is neither JSON nor protobuf is refused, as curl's default is, and the sentence says what to send."""
    error = http_.call("POST", ANNOTATE, b"{}", content_type=kind).error
    assert error["message"] == f"Content-Type is '{kind}'; send application/json."


@pytest.mark.parametrize(
    ("verb", "path"),
    [
        ("GET", "/nope"),
        ("GET", "/v1/projects/p/productSets"),
        ("PUT", "/v1/operations/x"),
        ("GET", SUBMIT),
        ("OPTIONS", SUBMIT),
        ("POST", "/v1/operations/%ff%00:cancelled"),
        ("BREW", "/v1/operations/x"),
    ],
)
def test_not_found(http_: Http, verb: str, path: str) -> None:
    """Paths and verbs that are not bound are NOT_FOUND in Google's shape."""
    error = http_.call(verb, path, b"").error
    assert (error["code"], error["status"]) == (404, "NOT_FOUND")
    assert error["message"].startswith(f"Method not found: {verb} ")


def test_a_limit_on_bodies(shared: Emulator, http_: Http) -> None:
    """10 MiB of JSON are taken, a byte more is refused in the service's words, by length, in chunks and unpacked."""
    before = len(shared.calls)
    most = b'{"requests": [' + b" " * (MAX_BODY - 16) + b"]}"
    assert len(most) == MAX_BODY
    assert http_.call("POST", ANNOTATE, most, content_type=JSON).error["message"].startswith("requests is empty")
    assert http_.call("POST", ANNOTATE, most + b" ", content_type=JSON).error["message"] == TOO_LARGE
    http_.connection.request("POST", ANNOTATE, iter([most, b" "]), {"content-type": JSON}, encode_chunked=True)
    reply = http_.connection.getresponse()
    assert (reply.status, json.loads(reply.read())["error"]["message"]) == (400, TOO_LARGE)
    packed = gzip.compress(most + b" " * MAX_BODY)
    assert len(packed) < 50_000
    assert http_.call("POST", ANNOTATE, packed, content_type=JSON, content_encoding="gzip").error["message"] == TOO_LARGE
    assert len(shared.calls) - before == 1, "what is too large reaches no method"


@pytest.mark.parametrize(("encoding", "message"), [("gzip", "The body is not gzip"), ("br", "Content-Encoding is 'br'; send gzip")])
def test_encodings(http_: Http, encoding: str, message: str) -> None:
    """A body that is not what its Content-Encoding says, cut short, or of another encoding is refused."""
    whole = gzip.compress(b"{}")
    for body in (b"{}", whole[:-4], whole + b"more", b""):
        reply = http_.call("POST", ANNOTATE, body, content_type=JSON, content_encoding=encoding)
        assert reply.status == 400
        assert message in reply.error["message"]


def test_a_client_that_leaves_in_the_middle(shared: Emulator, http_: Http) -> None:
    """A request cut short is no call, and the server goes on."""
    before = len(shared.calls)
    parts = urlsplit(shared.rest_url)
    with socket.create_connection((str(parts.hostname), parts.port or 0), timeout=60) as client:
        client.sendall(b"POST /v1/images:annotate HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{")
    assert http_.get("/v1/operations").status == 200
    assert shared.calls[-1].method == "ListOperations"
    assert len(shared.calls) == before + 1


def test_no_http_at_all(shared: Emulator, http_: Http) -> None:
    """Bytes of another protocol end in a 400 or a closed connection."""
    parts = urlsplit(shared.rest_url)
    with socket.create_connection((str(parts.hostname), parts.port or 0), timeout=60) as client:
        client.sendall(b"\x16\x03\x01 this is no HTTP\r\n\r\n")
        assert client.recv(100).startswith((b"HTTP/1.1 400", b""))
    assert http_.get("/v1/operations").status == 200


VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["gs://b/a.png", "TEXT_DETECTION"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["requests", "image", "source", "imageUri", "content", "features", "type", "imageContext", "latLongRect", "parent",
                         "outputConfig", "gcsDestination", "uri", "batchSize", "labels", "x"]), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@FUZZ
@given(VALUES)
def test_any_json_is_answered(http_: Http, value: Any) -> None:
    """No JSON makes the server fail: it is a reply or a refusal, never INTERNAL."""
    reply = http_.post(SUBMIT, {"requests": value} if not isinstance(value, dict) else value)
    assert reply.status in (200, 400)


@FUZZ
@given(st.text(alphabet="v1/operations{}:*%$?&=#.\\~é\x7f", max_size=40))
def test_any_path_is_answered(http_: Http, path: str) -> None:
    """No path makes the server fail."""
    reply = http_.get("/v1/operations" + quote(path, safe="/:*%$?&=.~{}\\"))
    assert reply.status in (200, 400, 404)
    assert ("error" in reply.json) is (reply.status != 200)
