"""FACE_DETECTION: boxes around frontal faces, by OpenCV's Haar cascade ``frontalface_alt``.

The cascade finds where a face is and nothing else. Its stage weights are no probabilities, so ``detection_confidence`` stays
0; landmarks, angles and all likelihoods stay unset and UNKNOWN.
"""

import threading
from pathlib import Path

import cv2
import numpy as np

from vision_grpc import v1
from vision_grpc.emulator.annotators.picture import Picture

MAX_FACES = 10
"""How many faces there are unless ``max_results`` says otherwise, as the service's quotas page has it."""
_CASCADE = Path(cv2.__file__).parent / "data" / "haarcascade_frontalface_alt.xml"
# The search's time grows with its pixels, and textures yield false faces in large pictures. So: faces from 1/25 of the
# longer side on, looked for at the least size at which the smallest of them still have features.
_SEARCH_SIDE = 800
_SMALLEST_FACE = 32

# A cascade keeps its working memory inside itself, so that two threads cannot share one.
_of_thread = threading.local()


def annotate(picture: Picture, request: v1.AnnotateImageRequest, response: v1.AnnotateImageResponse) -> None:
    """Adds ``face_annotations``, surest first, at most ``max_results`` of them.

    ``bounding_poly`` and ``fd_bounding_poly`` are the same box, from brow to chin: the cascade does not see where the head
    ends.
    """
    asked = [f.max_results for f in request.features if f.type == v1.Feature.Type.FACE_DETECTION]
    grey = cv2.cvtColor(picture.detail, cv2.COLOR_RGB2GRAY)
    shrink = min(1.0, _SEARCH_SIDE / max(grey.shape))
    if min(grey.shape) * shrink < _SMALLEST_FACE:
        return
    if shrink < 1:
        grey = cv2.resize(grey, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
    found, _, weights = _classifier().detectMultiScale3(
        cv2.equalizeHist(grey),
        scaleFactor=1.1,
        minNeighbors=3,
        minSize=(_SMALLEST_FACE, _SMALLEST_FACE),
        outputRejectLevels=True,
    )
    boxes = np.asarray(found).reshape(-1, 4)
    # Boxes of equal weight are put in reading order, since their order among threads of OpenCV is chance.
    order = np.lexsort((boxes[:, 0], boxes[:, 1], -np.ravel(weights)))
    to_picture = (picture.width / grey.shape[1], picture.height / grey.shape[0])
    for left, top, width, height in boxes[order[: max(asked) if max(asked) > 0 else MAX_FACES]].tolist():
        corners = np.array([(left, top), (left + width, top), (left + width, top + height), (left, top + height)]) * to_picture
        poly = picture.polygon(corners)
        response.face_annotations.add(bounding_poly=poly, fd_bounding_poly=poly)


def _classifier() -> cv2.CascadeClassifier:
    if not hasattr(_of_thread, "classifier"):
        _of_thread.classifier = cv2.CascadeClassifier(str(_CASCADE))
    classifier: cv2.CascadeClassifier = _of_thread.classifier
    return classifier
