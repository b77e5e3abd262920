"""Requests as users write them, and every refusal of `vision_grpc.requests`, in words that name the place."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from google.cloud import vision, vision_v1p4beta1

from vision_grpc import ConfigError, image_requests, split_requests, v1, v1p1beta1, v1p4beta1
from vision_grpc.requests import FEATURE_NAMES, MAX_IMAGES, async_request, batch_request, check_request, feature

URI = "gs://photos/a.png"
OUT = "gs://out/run/"
DOORS = pytest.mark.parametrize("door", [v1, v1p1beta1, v1p4beta1], ids=["v1", "v1p1beta1", "v1p4beta1"])


def mapping(**changes: Any) -> dict[str, Any]:
    """A request for one image, as a mapping."""
    return {"image": {"source": {"image_uri": URI}}, "features": [{"type": "TEXT_DETECTION", "max_results": 3}], **changes}


def whole(**changes: Any) -> v1.AsyncBatchAnnotateImagesRequest:
    """A whole request that is all right, but for the changes."""
    fields = {"requests": [mapping()], "output_config": {"gcs_destination": {"uri": OUT}}, **changes}
    return v1.AsyncBatchAnnotateImagesRequest(**fields)


def refused(call: Callable[[], object]) -> str:
    """The words of the ConfigError that the call ends in."""
    with pytest.raises(ConfigError) as caught:
        call()
    return str(caught.value)


def gcv_pieces(module: Any) -> Any:
    """A request for the same image in the classes of google-cloud-vision."""
    return module.AnnotateImageRequest(
        image=module.Image(source=module.ImageSource(image_uri=URI)),
        features=[module.Feature(type_=module.Feature.Type.TEXT_DETECTION, max_results=3)],
    )


@DOORS
@pytest.mark.parametrize(
    "item",
    [
        mapping(),
        mapping(features=[{"type": v1.Feature.Type.TEXT_DETECTION, "max_results": 3}]),
        mapping(features=[{"type": vision.Feature.Type.TEXT_DETECTION, "max_results": 3}]),
        mapping(features=(v1.Feature(type=v1.Feature.Type.TEXT_DETECTION, max_results=3),), image_context=None),
        mapping(image=v1.Image(source=v1.ImageSource(image_uri=URI))),
        mapping(image=vision.Image(source=vision.ImageSource(image_uri=URI))),
        v1.AnnotateImageRequest(**mapping()),
        v1p1beta1.AnnotateImageRequest(**mapping()),
        v1p4beta1.AnnotateImageRequest(**mapping()),
        gcv_pieces(vision),
        gcv_pieces(vision_v1p4beta1),
        vision.AnnotateImageRequest.pb(gcv_pieces(vision)),
    ],
    ids=[
        "mapping",
        "enum",
        "foreign enum",
        "message inside",
        "image inside",
        "foreign image inside",
        "v1",
        "v1p1beta1",
        "v1p4beta1",
        "proto-plus v1",
        "proto-plus v1p4beta1",
        "protobuf of google-cloud-vision",
    ],
)
def test_every_form_of_a_request_is_the_same_request(door: ModuleType, item: Any) -> None:
    """Mappings, messages of any version and google-cloud-vision's objects all give the same bytes, in every version."""
    request = async_request(door, [item, mapping()], OUT, None, None)
    expected = door.AsyncBatchAnnotateImagesRequest(requests=[mapping(), mapping()], output_config={"gcs_destination": {"uri": OUT}})
    assert type(request) is door.AsyncBatchAnnotateImagesRequest
    assert request == expected
    check_request(request)


@DOORS
@pytest.mark.parametrize(
    "message",
    [
        whole(),
        vision.AsyncBatchAnnotateImagesRequest(
            requests=[gcv_pieces(vision)],
            output_config=vision.OutputConfig(gcs_destination=vision.GcsDestination(uri=OUT)),
        ),
        vision.AsyncBatchAnnotateImagesRequest.pb(
            vision.AsyncBatchAnnotateImagesRequest(requests=[gcv_pieces(vision)], output_config={"gcs_destination": {"uri": OUT}})
        ),
    ],
    ids=["ours", "proto-plus", "protobuf of google-cloud-vision"],
)
def test_a_whole_request_is_taken_as_it_is(door: ModuleType, message: Any) -> None:
    """A whole request of any package is converted by its bytes."""
    request = async_request(door, message, None, None, None)
    assert type(request) is door.AsyncBatchAnnotateImagesRequest
    assert request.SerializeToString() == whole().SerializeToString()


@pytest.mark.parametrize(
    "output",
    [
        OUT,
        {"gcs_destination": {"uri": OUT}},
        v1.OutputConfig(gcs_destination={"uri": OUT}),
        vision.OutputConfig(gcs_destination=vision.GcsDestination(uri=OUT)),
    ],
    ids=["URI", "mapping", "message", "proto-plus"],
)
def test_every_form_of_output_config(output: Any) -> None:
    """The destination may be a URI, a mapping, or anybody's OutputConfig."""
    assert async_request(v1, [mapping()], output, None, None) == whole()


def test_parent_and_labels_are_set() -> None:
    """Parent and labels reach their fields in the versions that have them."""
    request = async_request(v1, [mapping()], OUT, "projects/p/locations/eu", {"team": "maps"})
    assert request == whole(parent="projects/p/locations/eu", labels={"team": "maps"})


def test_a_generator_of_requests_is_read_once() -> None:
    """Requests may come from a generator."""
    request = async_request(v1, (mapping() for _ in range(3)), OUT, None, None)
    assert len(request.requests) == 3


@pytest.mark.parametrize("name", sorted(FEATURE_NAMES))
def test_a_feature_by_its_name(name: str) -> None:
    """Short and full names, in any case and with hyphens too, name the feature."""
    for written in (name, name.upper(), name.replace("_", "-"), f" {name} "):
        assert feature(written).type == FEATURE_NAMES[name]


def test_every_feature_has_a_name() -> None:
    """No feature of the API is without a name here."""
    assert set(FEATURE_NAMES.values()) == set(v1.Feature.Type.values()) - {0}


@pytest.mark.parametrize(
    "value",
    [
        v1.Feature.Type.FACE_DETECTION,
        1,
        {"type": "FACE_DETECTION"},
        v1.Feature(type=v1.Feature.Type.FACE_DETECTION),
        v1p4beta1.Feature(type=v1p4beta1.Feature.Type.FACE_DETECTION),
        vision.Feature(type_=vision.Feature.Type.FACE_DETECTION),
        vision.Feature.Type.FACE_DETECTION,
    ],
    ids=["enum", "number", "mapping", "message", "other version", "proto-plus", "foreign enum"],
)
def test_every_form_of_a_feature(value: Any) -> None:
    """A feature may be a number, a mapping, or anybody's Feature."""
    assert feature(value) == v1.Feature(type=v1.Feature.Type.FACE_DETECTION)


def test_image_requests_share_features_and_context() -> None:
    """Each URI becomes a request of its own, with the same features and context, in order."""
    context = {"language_hints": ["de"], "crop_hints_params": {"aspect_ratios": [1.5]}}
    built = image_requests([URI, "gs://photos/b.png"], ["text", v1.Feature(type="FACE_DETECTION", max_results=2)], context)
    assert built == [
        v1.AnnotateImageRequest(
            image={"source": {"image_uri": uri}},
            features=[{"type": "TEXT_DETECTION"}, {"type": "FACE_DETECTION", "max_results": 2}],
            image_context=context,
        )
        for uri in (URI, "gs://photos/b.png")
    ]
    assert image_requests([URI], "text") == image_requests([URI], ["TEXT_DETECTION"])


@pytest.mark.parametrize(
    ("uris", "features", "context", "words"),
    [
        ([URI], "txet", None, "features[0]: there is no feature 'txet'; did you mean 'text'?"),
        ([URI], ["text", "qqqqqq"], None, "features[1]: there is no feature 'qqqqqq'; known are"),
        ([URI], [8], None, "features[0]: there is no feature number 8"),
        ([URI], [0], None, "features[0]: there is no feature number 0"),
        ([URI], [], None, "features is empty"),
        ([URI], None, None, "features must be several"),
        ([URI], [{"typ": 5}], None, "features[0]: Feature has no field 'typ'; did you mean 'type'?"),
        (
            [URI],
            "text",
            {"languageHints": ["de"]},
            "image_context: ImageContext has no field 'languageHints'; did you mean 'language_hints'?",
        ),
        (URI, "text", None, "uris must be several URIs, not one string"),
        (None, "text", None, "uris must be several"),
        ([URI, b"gs://photos/a.png"], "text", None, "uris[1] must be a string"),
        ([URI, "https://example.com/a.png"], "text", None, "uris[1]: 'https://example.com/a.png' is a web address"),
    ],
)
def test_image_requests_refuses(uris: Any, features: Any, context: Any, words: str) -> None:
    """What image_requests cannot use is refused with the place and the nearest real name."""
    assert words in refused(lambda: image_requests(uris, features, context))


@pytest.mark.parametrize("name", ["a", "folder/a b.png", "ä.png", "a#b", "#", "x" * 1024, "é" * 512, "a?b=c", "a//b", "a#12b"])
def test_object_names_that_are_taken(name: str) -> None:
    """Any object name of at most 1,024 bytes is taken, also with '#' in it."""
    assert image_requests([f"gs://photos/{name}"], "text")[0].image.source.image_uri == f"gs://photos/{name}"


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("http://example.com/a.png", "is a web address"),
        ("https://storage.googleapis.com/photos/a.png", "is a web address"),
        ("photos/a.png", "is not a Cloud Storage URI"),
        ("s3://photos/a.png", "is not a Cloud Storage URI"),
        ("", "is not a Cloud Storage URI"),
        ("gs://photos", "does not name a bucket and an object"),
        ("gs://photos/", "does not name a bucket and an object"),
        ("gs:///a.png", "does not name a bucket and an object"),
        ("gs://Photos/a.png", "is no bucket's name"),
        ("gs://ab/a.png", "is no bucket's name"),
        ("gs://photos/a\nb.png", "does not name a bucket and an object"),
        ("gs://photos/a.png#1700000000000000", "leave out '#1700000000000000'"),
        ("gs://photos/" + "x" * 1025, "longer than Cloud Storage's 1,024 bytes"),
        ("gs://photos/" + "é" * 513, "longer than Cloud Storage's 1,024 bytes"),
        ("gs://photos/\ud800.png", "is not valid Unicode"),
    ],
)
def test_object_uris_that_are_refused(uri: str, words: str) -> None:
    """What is not the URI of an object is refused with its index and what to write instead."""
    message = refused(lambda: image_requests([URI, uri], "text"))
    assert message.startswith("uris[1]")
    assert words in message


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"requests": []}, "requests is empty"),
        ({"requests": [mapping()] * 2001}, "requests holds 2,001 images, the service takes at most 2,000: use split_requests()"),
        (
            {"requests": [mapping(), mapping(image={"content": b"x"})]},
            "requests[1].image.content: asynchronous requests take no inline bytes",
        ),
        (
            {"requests": [mapping(image={"content": b"x", "source": {"image_uri": URI}})]},
            "requests[0].image.content: asynchronous requests take no inline bytes",
        ),
        ({"requests": [mapping(image={})]}, "requests[0].image.source.image_uri is missing"),
        (
            {"requests": [mapping(image={"source": {"image_uri": "http://a/b"}})]},
            "requests[0].image.source.image_uri: 'http://a/b' is a web",
        ),
        (
            {"requests": [mapping(image={"source": {"gcs_image_uri": "gs://ab"}})]},
            "requests[0].image.source.gcs_image_uri: 'gs://ab' does not",
        ),
        (
            {"requests": [mapping(), mapping(), mapping(image={"source": {"image_uri": f"{URI}#12"}})]},
            "requests[2].image.source.image_uri: 'gs://photos/a.png#12' names a generation",
        ),
        ({"requests": [mapping(features=[])]}, "requests[0].features is empty"),
        ({"requests": [mapping(), mapping(features=[{"type": 5}, {}])]}, "requests[1].features[1].type is not set"),
        ({"requests": [mapping(features=[{"type": 99}])]}, "requests[0].features[0].type: there is no feature number 99"),
        ({"requests": [mapping(features=[{"type": 8}])]}, "requests[0].features[0].type: there is no feature number 8"),
        ({"requests": [mapping(features=[{"type": 5, "max_results": -1}])]}, "requests[0].features[0].max_results must not be negative"),
        ({"output_config": {"gcs_destination": {"uri": "gs://out/" + "x" * 1007}}}, "longer than Cloud Storage's 1,024 bytes"),
        ({"output_config": {"gcs_destination": {"uri": "gs://out/" + "ü" * 504}}}, "longer than Cloud Storage's 1,024 bytes"),
        ({"parent": "projects/é"}, "parent must be"),
        ({"output_config": None}, "output_config.gcs_destination.uri is missing"),
        (
            {"output_config": {"gcs_destination": {"uri": "out/"}}},
            "output_config.gcs_destination.uri: 'out/' is not a Cloud Storage prefix",
        ),
        ({"output_config": {"gcs_destination": {"uri": "gs://out"}}}, "the slash matters"),
        ({"output_config": {"gcs_destination": {"uri": "gs://Out/"}}}, "is not a Cloud Storage prefix"),
        ({"output_config": {"gcs_destination": {"uri": "gs://out/x#12"}}}, "names a generation; a destination is a prefix"),
        (
            {"output_config": {"gcs_destination": {"uri": OUT}, "batch_size": 101}},
            "output_config.batch_size must be between 1 and 100, not 101",
        ),
        (
            {"output_config": {"gcs_destination": {"uri": OUT}, "batch_size": -1}},
            "output_config.batch_size must be between 1 and 100, not -1",
        ),
        ({"parent": "p"}, "parent must be projects/PROJECT or projects/PROJECT/locations/us|asia|eu, not 'p'"),
        ({"parent": "projects/p/"}, "parent must be"),
        ({"parent": "projects/p/locations/mars"}, "parent must be"),
        ({"parent": "projects/p/locations/eu/operations/1"}, "parent must be"),
        ({"parent": "projects/p\n"}, "parent must be"),
        ({"labels": {"Team": "maps"}}, "labels: key 'Team' must be 1 to 63 lower-case"),
        ({"labels": {"": "maps"}}, "labels: key '' must be"),
        ({"labels": {"1st": "maps"}}, "labels: key '1st' must be"),
        ({"labels": {"_a": "maps"}}, "labels: key '_a' must be"),
        ({"labels": {"a" * 64: "maps"}}, "labels: key 'aaaa"),
        ({"labels": {"team": "Maps"}}, "labels['team']: 'Maps' must be at most 63"),
        ({"labels": {"team": "two words"}}, "labels['team']: 'two words' must be"),
        ({"labels": {"team": "a" * 64}}, "labels['team']: 'aaaa"),
    ],
)
def test_requests_that_are_refused(changes: dict[str, Any], words: str) -> None:
    """Every published limit and rule is held before a call is made, in a sentence with the index and the field."""
    request = whole(**{name: value for name, value in changes.items() if value is not None})
    for name, value in changes.items():
        if value is None:
            request.ClearField(name)
    assert words in refused(lambda: check_request(request))


@pytest.mark.parametrize(
    "changes",
    [
        {"requests": [mapping()] * MAX_IMAGES},
        {"requests": [mapping(image={"source": {"gcs_image_uri": URI}})]},
        {"output_config": {"gcs_destination": {"uri": "gs://out/no-slash"}, "batch_size": 100}},
        {"output_config": {"gcs_destination": {"uri": "gs://out/"}, "batch_size": 1}},
        {"output_config": {"gcs_destination": {"uri": "gs://out/" + "x" * 1006}}},
        {"parent": "projects/example.com:p"},
        {"parent": "projects/123/locations/asia"},
        {"labels": {"team": "", "ünit_1-a": "größe", "a" * 63: "b" * 63}},
    ],
    ids=["2,000 images", "gcs_image_uri", "bare prefix", "bucket root", "long prefix", "domain-scoped project", "asia", "labels"],
)
def test_requests_at_the_limits_are_taken(changes: dict[str, Any]) -> None:
    """What lies on the right side of a limit is not refused."""
    check_request(whole(**changes))


@pytest.mark.parametrize("parent", ["", "projects/p", "projects/p/locations/us"])
def test_a_parent_that_contradicts_the_endpoint(parent: str) -> None:
    """At a regional endpoint a parent elsewhere, or none, is refused: data would leave its region."""
    words = refused(lambda: check_request(whole(parent=parent), endpoint_location="eu"))
    assert "parent" in words
    assert "eu" in words
    check_request(whole(parent="projects/p/locations/eu"), endpoint_location="eu")


def test_a_version_without_parent_has_no_place_for_a_location() -> None:
    """v1p4beta1 has no parent, so that a regional client of it is told to use v1."""
    request = v1p4beta1.AsyncBatchAnnotateImagesRequest(requests=[mapping()], output_config={"gcs_destination": {"uri": OUT}})
    check_request(request)
    assert "use version='v1'" in refused(lambda: check_request(request, endpoint_location="eu"))


@pytest.mark.parametrize(
    ("item", "words"),
    [
        ({"imaeg": {}}, "requests[1]: AnnotateImageRequest has no field 'imaeg'; did you mean 'image'?"),
        ({"zzz": {}}, "requests[1]: AnnotateImageRequest has no field 'zzz'; it has image, features, image_context"),
        ({1: {}}, "requests[1]: AnnotateImageRequest has no field 1"),
        (
            mapping(image={"source": {"imageUri": URI}}),
            "requests[1].image.source: ImageSource has no field 'imageUri'; did you mean 'image_uri'?",
        ),
        (mapping(features=[{"type": 5}, {"type_": 5}]), "requests[1].features[1]: Feature has no field 'type_'; did you mean 'type'?"),
        (
            mapping(features=[{"type": 5, "maxResults": 5}]),
            "requests[1].features[0]: Feature has no field 'maxResults'; did you mean 'max_results'?",
        ),
        (
            mapping(image_context={"crop_hints_params": {"aspect_ratio": [1.0]}}),
            "requests[1].image_context.crop_hints_params: CropHintsParams has no field 'aspect_ratio'; did you mean 'aspect_ratios'?",
        ),
        (
            mapping(image_context={"lat_long_rect": {"min_lat_lng": {"lat": 1.0}}}),
            "requests[1].image_context.lat_long_rect.min_lat_lng: LatLng has no field 'lat'; did you mean 'latitude'?",
        ),
        (
            mapping(image_context={"language_hints": "de"}),
            "requests[1].image_context.language_hints must be several strings, as ['de'], not one",
        ),
        (
            mapping(image_context={"text_detection_params": {"advanced_ocr_options": "legacy_layout"}}),
            "requests[1].image_context.text_detection_params.advanced_ocr_options must be several strings, as ['legacy_layout'], not one",
        ),
        (mapping(features=["text"]), "requests[1].features[0] must be of type Feature or a mapping of its fields, not str"),
        (mapping(features={"type": 5}), "requests[1].features must be several of type Feature, not dict"),
        (mapping(features=[{"type": "TEXT"}]), "requests[1].features[0].type does not take 'TEXT'"),
        (mapping(image=URI), "requests[1].image must be of type Image or a mapping of its fields, not str"),
        (mapping(image={"source": {"image_uri": 3}}), "requests[1].image.source.image_uri does not take 3"),
        (mapping(image=v1.Feature()), "requests[1].image must be of type Image, not Feature"),
        (vision.Image(), "requests[1] must be of type AnnotateImageRequest, not Image"),
        (URI, "requests[1] must be of type AnnotateImageRequest or a mapping of its fields, not str"),
        (None, "requests[1] must be of type AnnotateImageRequest or a mapping of its fields, not NoneType"),
    ],
)
def test_a_mapping_that_does_not_fit(item: Any, words: str) -> None:
    """A field that does not exist or does not take its value is named by its full path, with the nearest real name."""
    assert words in refused(lambda: async_request(v1, [mapping(), item], OUT, None, None))


@pytest.mark.parametrize(
    ("door", "arguments", "words"),
    [
        (v1, (None, OUT, None, None), "requests must be several AnnotateImageRequests; image_requests(uris, features) makes them"),
        (v1, (5, OUT, None, None), "requests must be several AnnotateImageRequests"),
        (v1, (URI, OUT, None, None), "requests must be several AnnotateImageRequests"),
        (v1, (mapping(), OUT, None, None), "requests must be several AnnotateImageRequests"),
        (v1, (v1.AnnotateImageRequest(), OUT, None, None), "requests must be several AnnotateImageRequests"),
        (v1, (v1.AnnotateImageRequest(), None, "projects/p", None), "requests must be several AnnotateImageRequests"),
        (v1, (vision.AnnotateImageRequest(), OUT, None, None), "requests must be several AnnotateImageRequests"),
        (v1, ({"requests": [], "output_config": {}}, None, None, None), "requests must be several AnnotateImageRequests"),
        (v1, ([mapping()], None, None, None), "output_config is missing"),
        (v1, ([mapping()], 5, None, None), "output_config must be of type OutputConfig or a mapping of its fields, not int"),
        (
            v1,
            ([mapping()], {"gcsDestination": {}}, None, None),
            "OutputConfig has no field 'gcsDestination'; did you mean 'gcs_destination'?",
        ),
        (v1, ([mapping()], {"batch_size": 2.5}, None, None), "output_config.batch_size does not take 2.5"),
        (v1, ([mapping()], "gs://out/\ud800/", None, None), "output_config.gcs_destination.uri does not take"),
        (v1, ([mapping()], OUT, 7, None), "parent must be a string as projects/PROJECT, not 7"),
        (v1, ([mapping()], OUT, "projects/\ud800", None), "parent must be a string as projects/PROJECT, not 'projects/\\ud800'"),
        (v1, ([mapping()], OUT, None, 7), "labels must be a mapping of strings to strings, not 7"),
        (v1, ([mapping()], OUT, None, {"a": 1}), "labels must be a mapping of strings to strings, not {'a': 1}"),
        (v1, ([mapping()], OUT, None, {"a": None}), "labels must be a mapping of strings to strings, not {'a': None}"),
        (v1, ([mapping()], OUT, None, ["a"]), "labels must be a mapping of strings to strings, not ['a']"),
        (v1, (whole(), OUT, None, None), "set output_config in it"),
        (v1, (whole(), None, "projects/p", None), "set parent and labels in it"),
        (v1, (whole(), None, None, {"a": "b"}), "set parent and labels in it"),
        (v1, (v1.BatchAnnotateImagesRequest(), None, None, None), "requests must be of type AsyncBatchAnnotateImagesRequest, not Batch"),
        (v1, (v1.BatchAnnotateImagesRequest(), OUT, None, None), "requests must be of type AsyncBatchAnnotateImagesRequest, not Batch"),
        (v1p4beta1, ([mapping()], OUT, "projects/p", None), "parent: google.cloud.vision.v1p4beta1 has no such field; use version='v1'"),
        (v1p4beta1, ([mapping()], OUT, None, {"a": "b"}), "labels: google.cloud.vision.v1p4beta1 has no such field; use version='v1'"),
    ],
)
def test_arguments_that_do_not_fit(door: ModuleType, arguments: tuple[Any, ...], words: str) -> None:
    """Arguments of the wrong kind, twice given, or unknown to the version are refused in a sentence."""
    assert words in refused(lambda: async_request(door, *arguments))


def test_a_message_whose_bytes_do_not_convert() -> None:
    """A message of the same name in another package with other contents is refused, not misread."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    pool = descriptor_pool.DescriptorPool()
    file = descriptor_pb2.FileDescriptorProto(name="other.proto", package="other")
    field = file.message_type.add(name="AnnotateImageRequest").field.add(name="image", number=1)
    field.type, field.label = descriptor_pb2.FieldDescriptorProto.TYPE_BYTES, descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL
    pool.Add(file)
    other: Any = message_factory.GetMessageClass(pool.FindMessageTypeByName("other.AnnotateImageRequest"))
    words = refused(lambda: async_request(v1, [other(image=b"\xff\xff")], OUT, None, None))
    assert "requests[0]: the other.AnnotateImageRequest does not convert to google.cloud.vision.v1.AnnotateImageRequest" in words


def test_v1p1beta1_has_no_methods_for_files() -> None:
    """What a version lacks is said before anything is sent."""
    assert "v1p1beta1 has no BatchAnnotateFiles" in refused(
        lambda: batch_request(v1p1beta1, "BatchAnnotateFiles", "AnnotateFileRequest", [], None, None)
    )


@pytest.mark.parametrize("requests", [None, {}, v1.AnnotateFileRequest()])
def test_what_are_not_several_requests_for_files(requests: Any) -> None:
    """The sentence names what is wanted, and no helper that makes something else."""
    assert refused(lambda: batch_request(v1, "BatchAnnotateFiles", "AnnotateFileRequest", requests, None, None)) == (
        "requests must be several AnnotateFileRequests; write [request] for one"
    )


@pytest.mark.parametrize(("count", "size", "lengths"), [(0, 3, []), (1, 3, [1]), (3, 3, [3]), (7, 3, [3, 3, 1]), (2001, 2000, [2000, 1])])
def test_split_requests(count: int, size: int, lengths: list[int]) -> None:
    """Any number of requests is cut, in order, into lists of at most the size."""
    parts = list(split_requests(range(count), size))
    assert [len(part) for part in parts] == lengths
    assert [item for part in parts for item in part] == list(range(count))


def test_split_requests_reads_no_further_than_it_must() -> None:
    """An endless source can be split."""
    source = iter(range(10**9))
    assert next(split_requests(source, 2)) == [0, 1]
    assert next(source) == 2


@pytest.mark.parametrize("size", [0, -1, 2001, 2.5, "2", None])
def test_split_requests_refuses_other_sizes(size: Any) -> None:
    """A size beyond the service's limits is refused, and one that is no whole number."""
    assert "between 1 and 2000" in refused(lambda: list(split_requests([1], size)))


def test_split_requests_refuses_what_is_not_several() -> None:
    """What cannot be gone through is refused."""
    unsound: Any = 5
    assert "requests must be several, as a list, not int" in refused(lambda: list(split_requests(unsound)))
