"""URIs and features in, checked request messages out. No I/O here.

Everything that the published limits (https://cloud.google.com/vision/quotas) and the service's own rules let one see
beforehand is refused here, in a sentence with the request's index and the field, before a call is made or paid for.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

from google.protobuf.message import Message

from vision_grpc import v1
from vision_grpc._adopt import adopt, kind_of
from vision_grpc._wire import all_alike, all_good, all_plain, image_requests_of
from vision_grpc.errors import ConfigError

if TYPE_CHECKING:
    from vision_grpc import v1p1beta1, v1p4beta1

    FeatureLike = str | int | v1.Feature | Mapping[str, Any]
    ImageRequestLike = v1.AnnotateImageRequest | Message | Mapping[str, Any]
    AsyncRequest = (
        v1.AsyncBatchAnnotateImagesRequest | v1p4beta1.AsyncBatchAnnotateImagesRequest | v1p1beta1.AsyncBatchAnnotateImagesRequest
    )

__all__ = ["MAX_BATCH_SIZE", "MAX_IMAGES", "image_requests", "split_requests"]

MAX_IMAGES = 2000
"""The most images of one asynchronous request."""

MAX_BATCH_SIZE = 100
"""The most responses of one output object; the service takes 20 where nothing is said."""

_T = TypeVar("_T")

_SHORT = {
    "FACE_DETECTION": ("face", "faces"),
    "LANDMARK_DETECTION": ("landmark", "landmarks"),
    "LOGO_DETECTION": ("logo", "logos"),
    "LABEL_DETECTION": ("label", "labels"),
    "TEXT_DETECTION": ("text",),
    "DOCUMENT_TEXT_DETECTION": ("document", "document_text"),
    "SAFE_SEARCH_DETECTION": ("safe_search",),
    "IMAGE_PROPERTIES": ("properties", "colors", "image_properties"),
    "CROP_HINTS": ("crops", "crop_hints"),
    "WEB_DETECTION": ("web",),
    "PRODUCT_SEARCH": ("products", "product_search"),
    "OBJECT_LOCALIZATION": ("object", "objects"),
}
FEATURE_NAMES: dict[str, int] = {name: v1.Feature.Type.Value(full) for full, short in _SHORT.items() for name in (*short, full.lower())}
"""Every name that a feature may be asked for by, in lower case, with its number."""
_FEATURE_TYPES = frozenset(FEATURE_NAMES.values())

_BUCKET = r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]"
_OBJECT_URI = re.compile(rf"gs://{_BUCKET}/[^\r\n]+\Z")
_DESTINATION = re.compile(rf"gs://{_BUCKET}/[^\r\n]*\Z")
_GENERATION = re.compile(r"#\d+\Z")
_PARENT = re.compile(r"projects/[!-.0-~]+(?:/locations/(?P<location>us|asia|eu))?\Z")
_LABEL = re.compile(r"[\w-]{0,63}\Z")


def feature(value: FeatureLike, *, where: str = "features") -> v1.Feature:
    """A Feature from its name ("text", "TEXT_DETECTION"), its number, a mapping, or a Feature.

    Raises:
        ConfigError: No such feature; the sentence names the nearest.
    """
    if isinstance(value, v1.Feature):
        return value
    if isinstance(value, str):
        number = FEATURE_NAMES.get(value.strip().lower().replace("-", "_"))
        if number is None:
            import difflib  # only mistakes need it

            near = difflib.get_close_matches(value.lower(), FEATURE_NAMES, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(names[-1] for names in _SHORT.values())}"
            raise ConfigError(f"{where}: there is no feature {value!r}{hint}")
        return v1.Feature(type=v1.Feature.Type.Name(number))
    if isinstance(value, int):
        if value not in v1.Feature.Type.values() or value == 0:
            raise ConfigError(f"{where}: there is no feature number {value}")
        return v1.Feature(type=v1.Feature.Type.Name(value))
    return adopt(value, v1.Feature, where)


def image_requests(
    uris: Iterable[str],
    features: Iterable[FeatureLike] | FeatureLike,
    image_context: v1.ImageContext | Mapping[str, Any] | None = None,
) -> list[v1.AnnotateImageRequest]:
    """One AnnotateImageRequest for each URI, in order, all with the same features and context.

    Args:
        uris: ``gs://bucket/object`` of each image; the service reads no other kind asynchronously.
        features: Names ("text", "TEXT_DETECTION"), ``v1.Feature.Type`` values or ``v1.Feature`` messages (for max_results and
            model); one or several.
        image_context: Hints for all of the images: languages, crop aspect ratios and so on.

    Raises:
        ConfigError: A URI or a feature is wrong; the sentence names its index.
    """
    if isinstance(features, str | int | Message | Mapping):
        features = [features]
    _check_several(features, "features")
    prototype = v1.AnnotateImageRequest(features=[feature(value, where=f"features[{i}]") for i, value in enumerate(features)])
    if not prototype.features:
        raise ConfigError("features is empty: name at least one, for instance 'text'")
    if image_context is not None:
        prototype.image_context.CopyFrom(adopt(image_context, v1.ImageContext, "image_context"))
    if isinstance(uris, str | bytes):
        raise ConfigError("uris must be several URIs, not one string: write [uri]")
    _check_several(uris, "uris")
    # Everything but the URI is the same in all of them: protobuf concatenates serialised halves into one message.
    shared = prototype.SerializeToString()
    built: list[v1.AnnotateImageRequest] = []
    for part in split_requests(uris):
        if not all_plain(part):
            for index, uri in enumerate(part, len(built)):
                check_uri(uri, f"uris[{index}]")
        built += image_requests_of(part, shared)
    return built


def split_requests(requests: Iterable[_T], size: int = MAX_IMAGES) -> Iterator[list[_T]]:
    """Cuts any number of images, in order, into lists of at most `size` (1 to 2,000), reading no further than it must."""
    try:
        whole = operator.index(size)
    except TypeError:
        whole = 0
    if not 1 <= whole <= MAX_IMAGES:
        raise ConfigError(f"size must be a whole number between 1 and {MAX_IMAGES}, not {size!r}")
    _check_several(requests, "requests")
    iterator = iter(requests)
    while part := list(islice(iterator, whole)):
        yield part


def check_uri(uri: object, where: str) -> None:
    """Raises a ConfigError unless `uri` names a Cloud Storage object the way the service reads it."""
    if not isinstance(uri, str):
        raise ConfigError(f"{where} must be a string as gs://bucket/object, not {type(uri).__name__}")
    if _OBJECT_URI.match(uri) and "#" not in uri and len(uri) <= 1024 and uri.isascii():
        return
    if uri.startswith(("http://", "https://")):
        raise ConfigError(
            f"{where}: {uri!r} is a web address, which asynchronous requests do not read; copy the image to gs://bucket/object"
        )
    if not uri.startswith("gs://"):
        raise ConfigError(f"{where}: {uri!r} is not a Cloud Storage URI; write gs://bucket/object")
    if _GENERATION.search(uri):
        raise ConfigError(f"{where}: {uri!r} names a generation, which the service does not read; leave out {_GENERATION.search(uri)[0]!r}")  # type: ignore[index]
    if not _OBJECT_URI.match(uri):
        bucket, _, name = uri.removeprefix("gs://").partition("/")
        if bucket and name and not re.fullmatch(_BUCKET, bucket):
            raise ConfigError(
                f"{where}: {bucket!r} is no bucket's name: 3 to 222 of a-z, 0-9, '-', '_' and '.', a letter or digit at both ends"
            )
        raise ConfigError(f"{where}: {uri!r} does not name a bucket and an object; write gs://bucket/object")
    try:
        encoded = uri.removeprefix("gs://").partition("/")[2].encode()
    except UnicodeEncodeError:
        raise ConfigError(f"{where}: {uri!r} is not valid Unicode, as the names of objects are") from None
    if len(encoded) > 1024:
        raise ConfigError(f"{where}: the object's name is longer than Cloud Storage's 1,024 bytes: {uri[:60]}…")


def check_destination(uri: str, where: str, images: int = MAX_IMAGES) -> None:
    """Raises a ConfigError unless the output objects of so many images can be written below `uri`, to which their names are appended."""
    if _GENERATION.search(uri):
        raise ConfigError(f"{where}: {uri!r} names a generation; a destination is a prefix as gs://bucket/folder/")
    if not _DESTINATION.match(uri):
        raise ConfigError(f"{where}: {uri!r} is not a Cloud Storage prefix; write gs://bucket/folder/ (the slash matters)")
    last = f"output-{images}-to-{images}.json"
    if len(uri.partition("/")[2].partition("/")[2].partition("/")[2].encode(errors="replace")) + len(last) > 1024:
        raise ConfigError(f"{where}: with {last} at its end it is longer than Cloud Storage's 1,024 bytes for a name: {uri[:60]}…")


def check_parent(parent: str, endpoint_location: str | None) -> None:
    """Raises a ConfigError unless `parent` is a project, with a location that does not contradict the endpoint's."""
    match = _PARENT.match(parent)
    if match is None:
        raise ConfigError(f"parent must be projects/PROJECT or projects/PROJECT/locations/us|asia|eu, not {parent!r}")
    if endpoint_location is not None and match["location"] != endpoint_location:
        raise ConfigError(
            f"parent {parent!r} contradicts the client's location {endpoint_location!r}: data would leave its region; "
            f"write projects/PROJECT/locations/{endpoint_location}, or make the client without that location or endpoint"
        )


def check_labels(labels: Mapping[str, str]) -> None:
    """Raises a ConfigError unless keys and values are at most 63 of lower-case letters, digits, `_` and `-`."""
    for key, value in labels.items():
        if not key or not _LABEL.match(key) or key != key.lower() or not key[0].isalpha():
            raise ConfigError(f"labels: key {key!r} must be 1 to 63 lower-case letters, digits, '_' or '-', beginning with a letter")
        if not _LABEL.match(value) or value != value.lower():
            raise ConfigError(f"labels[{key!r}]: {value!r} must be at most 63 lower-case letters, digits, '_' or '-'")


def check_request(request: AsyncRequest, *, endpoint_location: str | None = None) -> None:
    """Raises a ConfigError for the first thing in `request` that the service is known to refuse or to bill for nothing."""
    count = len(request.requests)
    if not count:
        raise ConfigError("requests is empty: name at least one image")
    if count > MAX_IMAGES:
        raise ConfigError(f"requests holds {count:,} images, the service takes at most {MAX_IMAGES:,}: use split_requests()")
    alike = all_alike(request)
    if not alike and endpoint_location is None and all_good(request):
        return
    image_request: v1.AnnotateImageRequest
    closely = request.requests[:1] if alike else request.requests
    for index, image_request in enumerate(closely):  # type: ignore[assignment]
        source = image_request.image.source
        uri = source.image_uri or source.gcs_image_uri
        if image_request.image.content:
            raise ConfigError(
                f"requests[{index}].image.content: asynchronous requests take no inline bytes; "
                "put the image into a bucket and name it in image.source.image_uri"
            )
        if not uri:
            raise ConfigError(f"requests[{index}].image.source.image_uri is missing; name the image as gs://bucket/object")
        check_uri(uri, f"requests[{index}].image.source.{'image_uri' if source.image_uri else 'gcs_image_uri'}")
        if not image_request.features:
            raise ConfigError(f"requests[{index}].features is empty: name at least one, for instance TEXT_DETECTION")
        for place, wanted in enumerate(image_request.features):
            if not wanted.type:
                raise ConfigError(f"requests[{index}].features[{place}].type is not set; name a feature, for instance TEXT_DETECTION")
            if wanted.type not in _FEATURE_TYPES:
                raise ConfigError(f"requests[{index}].features[{place}].type: there is no feature number {wanted.type}")
            if wanted.max_results < 0:
                raise ConfigError(f"requests[{index}].features[{place}].max_results must not be negative, as {wanted.max_results} is")
    output = request.output_config
    if not output.gcs_destination.uri:
        raise ConfigError("output_config.gcs_destination.uri is missing: the service writes its results to gs://bucket/folder/")
    check_destination(output.gcs_destination.uri, "output_config.gcs_destination.uri", count)
    if not 0 <= output.batch_size <= MAX_BATCH_SIZE:
        raise ConfigError(f"output_config.batch_size must be between 1 and {MAX_BATCH_SIZE}, not {output.batch_size}; 0 means 20")
    check_place(request, endpoint_location)


def check_place(request: Any, endpoint_location: str | None) -> None:
    """Raises a ConfigError unless parent and labels of `request` are well-formed, and the parent is where the endpoint is."""
    if "parent" not in request.DESCRIPTOR.fields_by_name:
        if endpoint_location is not None:
            raise ConfigError(
                f"{request.DESCRIPTOR.file.package} has no parent that could name location {endpoint_location!r}: data might leave "
                "its region; use version='v1'"
            )
        return
    if request.parent or endpoint_location is not None:
        check_parent(request.parent, endpoint_location)
    check_labels(request.labels)


def async_request(
    door: ModuleType,
    requests: Iterable[ImageRequestLike] | AsyncRequest | Message,
    output_config: str | v1.OutputConfig | Mapping[str, Any] | None,
    parent: str | None,
    labels: Mapping[str, str] | None,
) -> AsyncRequest:
    """The AsyncBatchAnnotateImagesRequest of `door` (v1, v1p4beta1, v1p1beta1) that the arguments describe, not yet checked.

    Raises:
        ConfigError: A mapping or message does not fit, a whole request comes with parts, or this version lacks a field.
    """
    request: AsyncRequest
    if type(requests) is door.AsyncBatchAnnotateImagesRequest and (output_config, parent, labels) == (None, None, None):
        return requests  # type: ignore[return-value]  # as adopt() would
    missing = ConfigError("output_config is missing: name where the service shall write its results, as 'gs://bucket/folder/'")
    if output_config is None and isinstance(requests, Iterator):
        raise missing  # before it is used up
    request = batch_request(door, "AsyncBatchAnnotateImages", "AnnotateImageRequest", requests, parent, labels)
    if kind_of(requests) is not None:
        if output_config is not None:
            raise ConfigError("requests is a whole AsyncBatchAnnotateImagesRequest already: set output_config in it")
        return request
    if output_config is None:
        raise missing
    if isinstance(output_config, str):
        output_config = {"gcs_destination": {"uri": output_config}}
    request.output_config.CopyFrom(adopt(output_config, door.OutputConfig, "output_config"))
    return request


def batch_request(
    door: ModuleType,
    method: str,
    item_name: str,
    requests: Iterable[Message | Mapping[str, Any]] | Message,
    parent: str | None,
    labels: Mapping[str, str] | None,
) -> Any:
    """The request of one of ImageAnnotator's methods, from its items or from a whole request of any version or package.

    Raises:
        ConfigError: As for `async_request`.
    """
    message_class = getattr(door, f"{method}Request", None)
    if message_class is None:
        raise ConfigError(f"{door.__name__.rpartition('.')[2]} has no {method}; use version='v1'")
    item_class = getattr(door, item_name)
    kind = kind_of(requests)
    if kind not in (None, item_name):
        request = adopt(requests, message_class, "requests")
        if parent is not None or labels is not None:
            raise ConfigError(f"requests is a whole {method}Request already: set parent and labels in it")
        return request
    if kind is not None or isinstance(requests, str | bytes | Mapping) or not isinstance(requests, Iterable):
        way = "image_requests(uris, features) makes them" if item_name == "AnnotateImageRequest" else "write [request] for one"
        raise ConfigError(f"requests must be several {item_name}s; {way}")
    request = message_class()
    items = list(requests)
    if {*map(type, items)} != {item_class}:
        items = [adopt(item, item_class, f"requests[{index}]") for index, item in enumerate(items)]
    request.requests.extend(items)
    for name, value in (("parent", parent), ("labels", labels)):
        if value and name not in message_class.DESCRIPTOR.fields_by_name:
            raise ConfigError(f"{name}: {message_class.DESCRIPTOR.file.package} has no such field; use version='v1'")
    if parent:
        try:
            request.parent = parent
        except (TypeError, ValueError) as error:
            raise ConfigError(f"parent must be a string as projects/PROJECT, not {parent!r:.200}") from error
    if labels:
        try:
            request.labels.update(labels)
        except (TypeError, ValueError) as error:
            raise ConfigError(f"labels must be a mapping of strings to strings, not {labels!r:.200}") from error
    return request


def _check_several(values: object, where: str) -> None:
    if not isinstance(values, Iterable):
        raise ConfigError(f"{where} must be several, as a list, not {type(values).__name__}")
