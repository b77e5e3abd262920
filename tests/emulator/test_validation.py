"""What is refused before an operation exists, and in which words."""

from collections.abc import Callable

import grpc
import pytest

from vision_grpc import v1
from vision_grpc.emulator import Emulator

from .raw import DOORS, Raw, batch, image

Change = Callable[[v1.AsyncBatchAnnotateImagesRequest], object]

UNSPECIFIED = "Request must specify image and features."
BOTH = "Only one of image content and uri should be specified."


def refusal(raw: Raw, request: v1.AsyncBatchAnnotateImagesRequest, version: str = "v1") -> str:
    """The details of the INVALID_ARGUMENT that the request ends in."""
    with pytest.raises(grpc.RpcError) as caught:
        raw.submit(request, version)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    return caught.value.details() or ""


def set_uri(uri: str) -> Change:
    """Names the second image."""
    return lambda request: request.requests[1].image.source.MergeFrom(v1.ImageSource(image_uri=uri))


def set_output(**fields: object) -> Change:
    """Changes the output config."""

    def change(request: v1.AsyncBatchAnnotateImagesRequest) -> None:
        uri, size = fields.get("uri"), fields.get("size")
        if isinstance(uri, str):
            request.output_config.gcs_destination.uri = uri
        if isinstance(size, int):
            request.output_config.batch_size = size

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda r: r.ClearField("requests"), "requests is empty"),
        (lambda r: r.requests.extend([image()] * 1_999), "requests has 2001, the limit is 2000"),
        (lambda r: r.requests[1].ClearField("features"), UNSPECIFIED),
        (lambda r: r.requests[1].ClearField("image"), UNSPECIFIED),
        (lambda r: r.requests[1].image.source.ClearField("image_uri"), UNSPECIFIED),
        (lambda r: setattr(r.requests[1].image, "content", b"x"), BOTH),
        (lambda r: r.requests[1].image.CopyFrom(v1.Image(content=b"x")), "requests[1].image.content"),
        (lambda r: r.requests[1].features.extend([v1.Feature(type=v1.Feature.Type.TEXT_DETECTION)] * 100), "requests[1].features has 101"),
        (set_uri("http://example.test/a.png"), "requests[1].image.source: 'http://example.test/a.png'"),
        (set_uri("https://example.test/a.png"), "requests[1].image.source"),
        (set_uri("/etc/passwd"), "requests[1].image.source"),
        (set_uri("file:///etc/passwd"), "requests[1].image.source"),
        (set_uri("gs://pics"), "requests[1].image.source"),
        (set_uri("gs://pics/"), "requests[1].image.source"),
        (set_uri("gs:///a.png"), "requests[1].image.source"),
        (set_uri("x" * 10_000), "requests[1].image.source"),
        (lambda r: r.ClearField("output_config"), "output_config.gcs_destination.uri is missing"),
        (set_output(uri=""), "output_config.gcs_destination.uri is missing"),
        (set_output(uri="out/"), "output_config.gcs_destination.uri 'out/'"),
        (set_output(uri="gs://out"), "output_config.gcs_destination.uri 'gs://out'"),
        (set_output(uri="gs:///out"), "output_config.gcs_destination.uri"),
        (set_output(size=101), "output_config.batch_size is 101"),
        (set_output(size=-1), "output_config.batch_size is -1"),
    ],
)
def test_malformed_requests_are_invalid(server: Emulator, raw: Raw, change: Change, words: str) -> None:
    """The request ends in INVALID_ARGUMENT that names the field, and no operation is made."""
    request = batch(["gs://pics/a.png", "gs://pics/a.png"])
    change(request)
    assert words in refusal(raw, request)
    assert not raw.list().operations


@pytest.mark.parametrize(
    "parent", ["p", "projects/", "projects/p/", "projects/p/locations/", "projects/p/locations/mars", "projects/p\n", "projects/a/b"]
)
def test_malformed_parents_are_invalid(raw: Raw, parent: str) -> None:
    """A parent is projects/P or projects/P/locations/ with us, asia or eu."""
    assert "parent" in refusal(raw, batch(["gs://pics/a.png"], parent=parent))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("", "x"), ("Team", "x"), ("1team", "x"), ("_team", "x"), ("te am", "x"), ("t" * 64, "x"), ("team", "X"), ("team", "a b"),
        ("team", "x" * 64), ("ключ", "Ы"),
    ],
)  # fmt: skip
def test_malformed_labels_are_invalid(raw: Raw, key: str, value: str) -> None:
    """Keys and values outside the published rule are refused."""
    assert "labels" in refusal(raw, batch(["gs://pics/a.png"], labels={key: value}))


def test_the_limits_themselves_are_allowed(raw: Raw) -> None:
    """2,000 images, batch size 100, long and international labels, every location: accepted."""
    raw.submit(batch(["gs://pics/a.png"] * 2_000, size=100, labels={"k" * 63: "v" * 63, "team-1_a": "", "ключ": "42"}))
    for location in ("us", "asia", "eu"):
        raw.submit(batch(["gs://pics/a.png"], parent=f"projects/p-1/locations/{location}"))


@pytest.mark.parametrize("version", DOORS)
def test_every_version_validates(raw: Raw, version: str) -> None:
    """The same refusal comes from all three versions."""
    request = batch(["gs://pics/a.png"])
    request.requests[0].ClearField("features")
    assert refusal(raw, request, version) == UNSPECIFIED


@pytest.mark.parametrize(
    ("requests", "words"),
    [
        ([], "requests is empty"),
        ([image()] * 17, "requests has 17, the limit is 16"),
        ([v1.AnnotateImageRequest(image=v1.Image(content=b"x"))], UNSPECIFIED),
        ([image("gs://pics/a.png", content=b"x")], BOTH),
    ],
)
def test_synchronous_requests_are_validated(raw: Raw, requests: list[v1.AnnotateImageRequest], words: str) -> None:
    """BatchAnnotateImages takes 1 to 16 images, each with features and one source."""
    with pytest.raises(grpc.RpcError) as caught:
        raw.call("v1", "BatchAnnotateImages", v1.BatchAnnotateImagesRequest(requests=requests))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert words in (caught.value.details() or "")
