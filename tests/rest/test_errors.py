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
        ("{", "Expecting property name enclosed in double quotes: line 1, column 2."),
        ('{"requests": []} {}', "Extra data: line 1, column 18."),
        ('{"requests": [], "requests": []}', 'The name "requests" is there twice in one object.'),
        ('{"labels": [], "parent": {"a": NaN}}', 'NaN is no JSON: write "NaN".'),
        ('{"parent": ' + "1" * 5000 + "}", "It holds a number of thousands of digits."),
        ('{"parent": "\\uD83D"}', "It holds half of a surrogate pair."),
        ('{"requests": ' + "[" * 50000, "It is nested too deeply."),
        ('{"requests": ' * 50000, "It is nested too deeply."),
        (b"\xff{", "It is not UTF-8."),
        (b"\xef\xbb\xbf{}", "It begins with a byte order mark: send UTF-8 without one."),
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


VISION = "type.googleapis.com/google.cloud.vision.v1"


@pytest.mark.parametrize(
    ("request_", "place", "message"),
    [
        ({"imagee": {}}, "", "Unknown name \"imagee\" at 'requests[0]': Cannot find field."),
        ({"image": []}, "", "Unknown name \"image\" at 'requests[0]': Proto field is not repeating, cannot start list."),
        ({"image": "a"}, ".image", f'({VISION}.Image), "a"'),
        ({"features": {"type": 1}}, ".features", f"({VISION}.Feature), {{…}}: give a list"),
        ({"features": [1]}, ".features[0]", f"({VISION}.Feature), 1"),
        ({"features": [{"type": "LABELS"}]}, ".features[0].type", f'({VISION}.Feature.Type), "LABELS"'),
        ({"features": [{"maxResults": 1.5}]}, ".features[0].max_results", "(TYPE_INT32), 1.5"),
        ({"features": [{"maxResults": "x"}]}, ".features[0].max_results", '(TYPE_INT32), "x"'),
        ({"features": [{"maxResults": True}]}, ".features[0].max_results", "(TYPE_INT32), true"),
        ({"features": [{"maxResults": 99999999999}]}, ".features[0].max_results", "(TYPE_INT32), 99999999999"),
        ({"image": {"source": {"imageUri": 5}}}, ".image.source.image_uri", "(TYPE_STRING), 5"),
        ({"image": {"content": 5}}, ".image.content", "(TYPE_BYTES), 5"),
        ({"image": {"content": "a"}}, ".image.content", '(TYPE_BYTES), Base64 decoding failed for "a"'),
        ({"image": {"content": "!!!"}}, ".image.content", '(TYPE_BYTES), Base64 decoding failed for "!!!"'),
        ({"image": {"content": "data:image/png;base64,AA"}}, ".image.content", 'decoding failed for "data:image/png;base64,AA"'),
        (
            {"imageContext": {"cropHintsParams": {"aspectRatios": ["1", 1e39]}}},
            ".image_context.crop_hints_params.aspect_ratios[1]",
            "(TYPE_FLOAT), 1e+39",
        ),
    ],
)
def test_a_field_that_is_wrong_is_named(http_: Http, request_: Any, place: str, message: str) -> None:
    """What a field cannot hold is refused by its place, in Google's words, and the place is told in the details."""
    error = http_.post(SUBMIT, {"requests": [request_]}).error
    assert (error["code"], error["status"]) == (400, "INVALID_ARGUMENT")
    assert error["message"].endswith(message)
    (violation,) = error["details"][0]["fieldViolations"]
    assert violation == {"field": f"requests[0]{place}", "description": error["message"]}


@pytest.mark.parametrize("content", ["aGVsbG8", "aGVsbG8=", "_-8", "+/8=", "aGVs\nbG8=\n"])
def test_either_base64_is_taken(http_: Http, content: str) -> None:
    """Bytes may be in the standard or the URL's alphabet, padded or not, with line ends."""
    assert http_.post(ANNOTATE, {"requests": [{"image": {"content": content}, "features": [{"type": 1}]}]}).status == 200


def test_an_empty_body_is_an_empty_request(http_: Http) -> None:
    """No body, blanks and {} are the same: a request without images, which the service refuses."""
    for body in (b"", b" \n", b"{}"):
        assert http_.call("POST", ANNOTATE, body, content_type=JSON).error["message"] == "requests is empty: give 1 to 16 images."


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("nope=1", "Unknown name \"nope\": Cannot bind query parameter. Field 'nope' could not be found in request message."),
        ("filter.x=1", "Field 'filter.x' could not be found in request message."),
        ("pageSize=many", "Invalid value at 'page_size' (TYPE_INT32), \"many\""),
        ("returnPartialSuccess=maybe", "Invalid value at 'return_partial_success' (TYPE_BOOL), \"maybe\""),
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


def test_gzip_of_several_members(http_: Http) -> None:
    """Members of gzip one after the other are one body, and the limit is on all of them; an empty one is an empty body."""
    halves = gzip.compress(b'{"requests"') + gzip.compress(b": []}")
    for body in (halves, gzip.compress(b"")):
        reply = http_.call("POST", ANNOTATE, body, content_type=JSON, content_encoding="gzip")
        assert reply.error["message"] == "requests is empty: give 1 to 16 images."
    large = gzip.compress(b" " * (MAX_BODY // 2 + 1)) * 2
    assert http_.call("POST", ANNOTATE, large, content_type=JSON, content_encoding="gzip").error["message"] == TOO_LARGE


def test_whole_urls_and_what_is_no_path(shared: Emulator, http_: Http) -> None:
    """A request that names the whole URL, as to a proxy, is served; OPTIONS * is refused in Google's shape."""
    assert http_.get(f"{shared.rest_url}/v1/operations?pageSize=1").status == 200
    assert http_.get(f"{shared.rest_url}/$discovery/rest").json["version"] == "v1"
    for verb, path in (("GET", f"{shared.rest_url}/nope"), ("OPTIONS", "*")):
        error = http_.call(verb, path).error
        assert (error["code"], error["status"]) == (404, "NOT_FOUND")
        assert error["message"].startswith(f"Method not found: {verb} ")


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
