"""Annotations computed from a picture's pixels: one picture and its request in, one v1 response out.

Pure functions of their arguments: no network, no files but the libraries' own models, and nothing is invented. What no
library can compute honestly offline ends in ``response.error``. Everything here may be called from several threads and
processes at once. Numpy, Pillow and the models are imported when a feature first needs them.
"""

import logging
from collections.abc import Iterable
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from vision_grpc import v1
from vision_grpc.emulator.annotators.languages import reads_language

if TYPE_CHECKING:
    from vision_grpc.emulator.annotators.picture import Picture

__all__ = ["SUPPORTED", "annotate", "annotate_bytes", "check_available", "reads_language"]

_UNIMPLEMENTED, _INTERNAL = 12, 13  # google.rpc.Code
_Type = v1.Feature.Type

# Which modules of this package answer a feature. The service returns crop hints with the image properties too.
_ANNOTATORS: dict[int, tuple[str, ...]] = {
    _Type.FACE_DETECTION: ("faces",),
    _Type.TEXT_DETECTION: ("text",),
    _Type.DOCUMENT_TEXT_DETECTION: ("text",),
    _Type.IMAGE_PROPERTIES: ("properties", "crops"),
    _Type.CROP_HINTS: ("crops",),
}
_ALWAYS = ("numpy", "PIL")
_DISTRIBUTIONS = {"PIL": "pillow", "cv2": "opencv-python-headless"}
_PACKAGES = {"faces": ("cv2",), "text": ("cv2", "onnxruntime", "rapidocr"), "properties": (), "crops": ()}

SUPPORTED: frozenset[int] = frozenset(_ANNOTATORS)
"""The feature types that are computed; any other gets an error that names it."""

_log = logging.getLogger(__name__)


class Annotator(Protocol):
    """What each module of this package offers under the name ``annotate``."""

    def __call__(self, picture: "Picture", request: v1.AnnotateImageRequest, response: v1.AnnotateImageResponse) -> None:
        """Adds one kind of annotation to ``response``; raises AnnotationError with nothing added if it cannot."""


def check_available(features: Iterable[int]) -> None:
    """Makes sure that the packages which ``features`` need are installed. Even a feature that is not supported needs
    Pillow, which tells broken pictures from whole ones.

    Raises:
        ImportError: One is missing; the message says which, for what, and how to install it.
    """
    for feature in features:
        _require(feature)


def annotate(content: bytes, request: v1.AnnotateImageRequest) -> v1.AnnotateImageResponse:
    """Computes the annotations of one picture.

    Args:
        content: The picture's file, in any format that the service reads but RAW and PDF.
        request: Its features and image_context; its ``image`` is not looked at.

    Returns:
        The response without ``context``. A picture that cannot be read gives ``error`` code 3 alone. Otherwise whatever
        could be annotated is there even where ``error`` is set: code 3 for an argument that makes no sense, 12 for
        features that are not supported, 13 for a failure of ours; several reasons share the highest of their codes.

    Raises:
        ImportError: As check_available, which tells earlier.
    """
    features = list(dict.fromkeys(feature.type for feature in request.features))
    check_available(features)
    from vision_grpc.emulator.annotators.picture import AnnotationError, Picture, UnreadableError

    response = v1.AnnotateImageResponse()
    problems: dict[str, int] = {}
    try:
        picture = Picture(content)
        if not SUPPORTED.intersection(features):
            picture.decode()  # Whether the picture is whole shall not depend on what is asked of it.
        for module, asked in _askers(features).items():
            try:
                _load(module)(picture, request, response)
            except UnreadableError:
                raise
            except AnnotationError as error:
                problems[error.message] = error.code
            except Exception:
                _log.exception("%s failed on a picture of %d x %d pixels", asked, picture.width, picture.height)
                problems[f"The embedded server failed to compute {asked}."] = _INTERNAL
    except UnreadableError as error:
        response.Clear()
        problems = {error.message: error.code}
    else:
        unsupported = [_name(feature) for feature in features if feature not in SUPPORTED]
        if unsupported:
            # The service computes them all, so the sentence is ours.
            problems[f"The embedded server cannot compute {', '.join(unsupported)}."] = _UNIMPLEMENTED
    if problems:
        response.error.code = max(problems.values())
        response.error.message = " ".join(problems)
    return response


def annotate_bytes(content: bytes, request: bytes) -> bytes:
    """The same as annotate with serialized messages, which pass cheaply between processes."""
    return annotate(content, v1.AnnotateImageRequest.FromString(request)).SerializeToString()


def _askers(features: Iterable[int]) -> dict[str, str]:
    """The annotators to run, each with the names of the features that ask for it."""
    askers: dict[str, list[str]] = {}
    for feature in features:
        for module in _ANNOTATORS.get(feature, ()):
            askers.setdefault(module, []).append(_name(feature))
    return {module: ", ".join(names) for module, names in askers.items()}


def _load(module: str) -> Annotator:
    return cast(Annotator, import_module(f"{__name__}.{module}").annotate)


def _name(feature: int) -> str:
    return _Type.Name(_Type.ValueType(feature)) if feature in _Type.values() else f"feature type {feature}"


@cache  # An exception is not kept: what is installed meanwhile is found.
def _require(feature: int) -> None:
    modules = _ANNOTATORS.get(feature, ())
    for asker, needed in (("The embedded server", _ALWAYS), (_name(feature), [name for each in modules for name in _PACKAGES[each]])):
        missing = [_DISTRIBUTIONS.get(name, name) for name in dict.fromkeys(needed) if find_spec(name) is None]
        if missing:
            raise ImportError(f"{asker} needs {', '.join(missing)}, not installed here: pip install 'vision-grpc[local]'")
    spec = find_spec("cv2") if "faces" in modules else None
    if spec and spec.origin and not (Path(spec.origin).parent / "data" / "haarcascade_frontalface_alt.xml").is_file():
        raise ImportError(f"{_name(feature)} needs OpenCV 4, whose wheel holds the face cascades: pip install 'vision-grpc[local]'")
