"""The checks at a glance: they may refuse to judge, but what they call good must be good, and what they build the same as a loop's."""

import random
from typing import Any

import pytest

from vision_grpc import ConfigError, image_requests, v1, v1p4beta1
from vision_grpc._wire import all_alike, all_good, all_plain, image_requests_of
from vision_grpc.requests import MAX_IMAGES, check_request

URIS = [f"gs://photos-2026/box/{index}/page.jpg" for index in range(20)]
OUT = "gs://results/run/"


def batch(uris: list[str], door: Any = v1, destination: str = OUT, **fields: Any) -> Any:
    """A whole request, made by the loop that anybody would write."""
    request = door.AsyncBatchAnnotateImagesRequest(**fields)
    for uri in uris:
        image = request.requests.add()
        image.image.source.image_uri = uri
        image.features.add(type=5)
    request.output_config.gcs_destination.uri = destination
    return request


def closely(request: Any) -> bool:
    """Whether the loop over the images finds nothing wrong: with a location, which is looked at last, nothing is taken at a glance."""
    try:
        check_request(request, endpoint_location="eu")
    except ConfigError as error:
        return "contradicts" in str(error) or "parent must be" in str(error) or "no parent" in str(error)
    return True


def only_first(request: Any) -> Any:
    """The same with its first image alone, which is all that is looked at of a batch that is alike."""
    alone = type(request)()
    alone.CopyFrom(request)
    del alone.requests[1:]
    return alone


@pytest.mark.parametrize("door", [v1, v1p4beta1])
@pytest.mark.parametrize("count", [1, 7, 20])
def test_the_usual_request_is_good_at_a_glance(count: int, door: Any) -> None:
    """Plain images with plain features need no closer look, of any version, one or many, with URIs of every length up to 700."""
    assert all_good(batch(URIS[:count], door))
    assert all_good(batch([f"gs://bucket/{'x' * size}" for size in range(1, 701)], door))


@pytest.mark.parametrize(
    "uri",
    [
        *("", "gs://bucket", "gs://bucket/", "gs://b/x", "gs://Bucket/x", "gs://-bucket/x", "http://host/x", "bucket/x"),
        *("gs://bucket/x#1", "gs://bucket/x\n", "gs://bucket/\r", "gs://bucket/" + "x" * 1025, " gs://bucket/x"),
        "gs://bucket/a\x12\x02\x08\x05\n\x13\n\x11\x12\x0f\x12\x0dgs://bucket/b",
    ],
)
@pytest.mark.parametrize("place", [0, 3, 19])
def test_what_is_wrong_is_not_good_at_a_glance(uri: str, place: int) -> None:
    """One bad URI anywhere, also one that imitates the bytes between two images, makes a batch neither good nor alike nor plain."""
    uris = [*URIS]
    uris[place] = uri
    assert not all_plain(uris)
    assert not all_good(batch(uris))
    assert place == 0 or not all_alike(batch(uris))
    assert not all_good(batch([uri]))


@pytest.mark.parametrize("number", range(-2, 130))
@pytest.mark.parametrize("most", [-(2**31), -1, 0, 1, 127, 128, 2**31 - 1])
def test_features_that_do_not_exist_get_a_closer_look(number: int, most: int) -> None:
    """What is good at a glance has a type that exists and no negative max_results; the loop refuses all others, of any version."""
    for door in (v1, v1p4beta1):
        request: Any = batch(URIS, door)
        request.requests[7].features[0].type = number
        request.requests[7].features[0].max_results = most
        refused = number not in v1.Feature.Type.values() or number == 0 or most < 0
        assert closely(request) is not refused
        assert not (refused and all_good(request))


@pytest.mark.parametrize("count", [1, 9, 10, 2000])
def test_long_destinations_get_a_closer_look(count: int) -> None:
    """No destination is good at a glance that leaves no room for the names below it."""
    uris = ["gs://bucket/x"] * count
    for size in range(960, 1030):
        request = batch(uris, destination="gs://results/" + "x" * size)
        room = size + len(f"output-{count}-to-{count}.json") <= 1024
        assert not all_good(request) or room
        if count < 2000:
            assert closely(request) is room
    assert all_good(batch(uris, destination="gs://results/" + "x" * 990))


@pytest.mark.parametrize(
    "fields",
    [{"parent": parent} for parent in ("p" * size for size in range(1, 128))] + [{"labels": {"Team": "a" * size}} for size in range(60)],
)
def test_parents_and_labels_get_a_closer_look(fields: dict[str, Any]) -> None:
    """Neither passes for a part of the destination, of whatever length."""
    assert not all_good(batch(URIS, **fields))
    with pytest.raises(ConfigError, match=r"parent must be|labels: key"):
        check_request(batch(URIS, **fields))


def test_alike_but_unusual() -> None:
    """Images that share a context and a model are alike; one with other features, or with content, makes them not."""
    request = batch(URIS, parent="projects/p", labels={"a": "b"})
    for image in request.requests:
        image.features[0].model = "builtin/latest"
        image.image_context.language_hints.append("de")
    assert all_alike(request)
    assert not all_good(request)
    request.requests[9].features[0].type = 0
    assert not all_alike(request)
    request.requests[9].features[0].type = 5
    assert all_alike(request)
    request.requests[9].image.content = b"x"
    assert not all_alike(request)
    assert not all_alike(batch(URIS[:3]))


def test_a_glance_never_passes_what_the_loop_refuses() -> None:
    """Of 20,000 batches with one byte of their wire form changed, none that is good or alike is refused by the loop."""
    chance = random.Random(6)
    wire = batch(URIS[:9]).SerializeToString()
    good = alike = 0
    for _ in range(20_000):
        changed = bytearray(wire)
        changed[chance.randrange(len(changed))] = chance.randrange(256)
        try:
            request = v1.AsyncBatchAnnotateImagesRequest.FromString(bytes(changed))
        except Exception:  # no message at all
            continue
        if request.requests and all_good(request):
            good += 1
            assert closely(request), bytes(changed)
        if len(request.requests) > 1 and all_alike(request):
            alike += 1
            assert closely(request) or not closely(only_first(request)), bytes(changed)
    assert good > 1000
    assert alike > 1000


@pytest.mark.parametrize("size", [*range(1, 130), 680])
def test_one_bucket_s_images_are_alike_whatever_their_lengths(size: int) -> None:
    """URIs whose length, or that of what holds them, is the code of a character that no URI has are alike as any others."""
    assert all_alike(batch([f"gs://bucket/{index}{'x' * size}" for index in range(9)]))
    odd = batch([f"gs://bucket/{index}{'x' * size}{'#' * (index == 8)}" for index in range(9)])
    assert not all_alike(odd)


@pytest.mark.parametrize("end", ["\x12\x02\x08", "\x12\x02\x08\x05x", "\n", "\r", "#", "é", "\x12\x02\x08\x05\n"])
def test_an_image_without_features_is_not_alike(end: str) -> None:
    """Nor where its URI ends as if it had some."""
    request = batch(URIS)
    request.requests[7].image.source.image_uri += end
    del request.requests[7].features[:]
    assert not all_alike(request)


def test_built_as_by_a_loop() -> None:
    """Requests for URIs of any length, ASCII or not, equal those of a loop; one may be changed without the others."""
    uris = [f"gs://bucket/{'x' * size}ü" for size in (0, 1, 90, 100, 110, 120, 127, 128, 1000, 20_000)]
    shared = v1.AnnotateImageRequest(features=[v1.Feature(type=v1.Feature.Type.TEXT_DETECTION)]).SerializeToString()
    built = image_requests_of(uris, shared)
    assert built == list(batch(uris).requests)
    built[0].image.source.image_uri = "gs://bucket/other"
    assert built[1:] == list(batch(uris).requests)[1:]
    assert image_requests_of([], shared) == []


def test_more_images_than_one_request_takes() -> None:
    """image_requests takes any number, and counts them on in its errors."""
    uris = [f"gs://bucket/{index}" for index in range(MAX_IMAGES * 2 + 5)]
    assert [request.image.source.image_uri for request in image_requests(uris, "text")] == uris
    uris[MAX_IMAGES + 7] = "nowhere"
    with pytest.raises(ConfigError, match=rf"uris\[{MAX_IMAGES + 7}\]"):
        image_requests(uris, "text")
