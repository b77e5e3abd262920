"""What the service refuses before it starts any work, in its codes and, where they are known, its words. No I/O here.

The wording of two refusals is the real service's, seen in the wild; where a constant or a message below says "ours", the
real text is not published.
"""

import re
from collections.abc import Iterable

from vision_grpc import v1
from vision_grpc.emulator.refusal import invalid, shown

MAX_IMAGES = 2_000
MAX_IMAGES_ONLINE = 16
MAX_BATCH_SIZE = 100
DEFAULT_BATCH_SIZE = 20
# Ours: the API has 12 feature types and publishes no limit on how often a request may repeat them.
MAX_FEATURES = 100

_PARENT = re.compile(r"projects/(?P<project>[A-Za-z0-9.:_-]{1,100})(/locations/(?P<location>us|asia|eu))?")
_OBJECT = re.compile(r"gs://[^/\s]+/.+", re.DOTALL)
_DESTINATION = re.compile(r"gs://[^/\s]+/", re.DOTALL)


def check_async(request: v1.AsyncBatchAnnotateImagesRequest) -> None:
    """Raises Refused unless the service would accept the request as an operation."""
    if not request.requests:
        raise invalid("requests is empty: give 1 to 2000 images.")  # ours
    if len(request.requests) > MAX_IMAGES:
        raise invalid(f"Too many images: requests has {len(request.requests)}, the limit is {MAX_IMAGES}.")  # ours
    _check_images(request.requests, online=False)
    _check_output(request)
    check_parent(request.parent)
    _check_labels(request.labels.items())


def check_online(request: v1.BatchAnnotateImagesRequest) -> None:
    """Raises Refused unless the service would annotate the request's images at once."""
    if not request.requests:
        raise invalid("requests is empty: give 1 to 16 images.")  # ours
    if len(request.requests) > MAX_IMAGES_ONLINE:
        raise invalid(f"Too many images: requests has {len(request.requests)}, the limit is {MAX_IMAGES_ONLINE}.")  # ours
    _check_images(request.requests, online=True)
    check_parent(request.parent)
    _check_labels(request.labels.items())


def check_parent(parent: str) -> tuple[str, str]:
    """Returns the project and the location that a parent names; each may be empty."""
    if not parent:
        return "", ""
    match = _PARENT.fullmatch(parent)
    if not match:
        # Ours.
        raise invalid(f"parent {shown(parent)} is malformed: give projects/PROJECT, or projects/PROJECT/locations/ with us, asia or eu.")
    return match["project"], match["location"] or ""


def image_uri(image: v1.Image) -> str:
    """Returns where the image lies, or nothing. image_uri wins over the older gcs_image_uri."""
    return image.source.image_uri or image.source.gcs_image_uri


def _check_images(requests: Iterable[v1.AnnotateImageRequest], *, online: bool) -> None:
    for index, request in enumerate(requests):
        uri = image_uri(request.image)
        if not request.features or not (uri or request.image.content):
            raise invalid("Request must specify image and features.")
        if uri and request.image.content:
            raise invalid("Only one of image content and uri should be specified.")
        if len(request.features) > MAX_FEATURES:
            raise invalid(f"requests[{index}].features has {len(request.features)} entries, the limit is {MAX_FEATURES}.")  # ours
        if online:
            # A web address is a matter of its one image here; see images.py.
            continue
        if not uri:
            # Ours; that content does not work for async requests is published.
            raise invalid(
                f"requests[{index}].image.content: an asynchronous request takes images in Cloud Storage only; give image.source.image_uri."
            )
        if not _OBJECT.fullmatch(uri):
            # Ours; that web addresses are refused was seen in the wild.
            raise invalid(f"requests[{index}].image.source: {shown(uri)} is not a Cloud Storage URI; give gs://BUCKET/OBJECT.")


def _check_output(request: v1.AsyncBatchAnnotateImagesRequest) -> None:
    # Every text here is ours.
    uri = request.output_config.gcs_destination.uri
    if not uri:
        raise invalid("output_config.gcs_destination.uri is missing: give gs://BUCKET/PREFIX.")
    if not _DESTINATION.match(uri):
        raise invalid(f"output_config.gcs_destination.uri {shown(uri)} is not a Cloud Storage URI; give gs://BUCKET/PREFIX.")
    if not 0 <= request.output_config.batch_size <= MAX_BATCH_SIZE:
        raise invalid(
            f"output_config.batch_size is {request.output_config.batch_size}; give 1 to {MAX_BATCH_SIZE}, or 0 for {DEFAULT_BATCH_SIZE}."
        )


def _check_labels(labels: Iterable[tuple[str, str]]) -> None:
    # The rule is published, the texts are ours.
    for key, value in labels:
        if not (key and key[0].isalpha() and _is_label(key)):
            raise invalid(
                f"labels: key {shown(key)} is malformed; give at most 63 lower-case letters, digits, _ and -, starting with a letter."
            )
        if not _is_label(value):
            raise invalid(f"labels[{shown(key)}]: value {shown(value)} is malformed; give at most 63 lower-case letters, digits, _ and -.")


def _is_label(text: str) -> bool:
    return len(text) <= 63 and text == text.lower() and all(c.isalnum() or c in "_-" for c in text)
