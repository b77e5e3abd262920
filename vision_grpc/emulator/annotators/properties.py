"""IMAGE_PROPERTIES: the dominant colours of a picture, by k-means over its thumbnail.

Pure computation: the same picture gives the same colours. The service also returns crop hints with them; those are
``crops``'s.
"""

import numpy as np
import numpy.typing as npt

from vision_grpc import v1
from vision_grpc.emulator.annotators.crops import saliency
from vision_grpc.emulator.annotators.picture import Picture

COLOURS = 10
"""How many colours there are unless ``max_results`` asks for fewer; the service never returns more."""
_ROUNDS = 16
_BITS = 5

Floats = npt.NDArray[np.float64]


def annotate(picture: Picture, request: v1.AnnotateImageRequest, response: v1.AnnotateImageResponse) -> None:
    """Adds ``image_properties_annotation``, highest score first.

    ``pixel_fraction`` is the share of the pixels that are nearest to the colour. How the service weighs its ``score`` is not
    published; ours is the colour's share of what catches the eye (crops.saliency). Both add up to 1 before ``max_results``.
    """
    pixels = picture.thumbnail
    colours = pixels.reshape(-1, 3)
    step = 8 - _BITS
    cells = (colours >> step).astype(np.int64) @ np.array([1 << 2 * _BITS, 1 << _BITS, 1])
    count = np.bincount(cells, minlength=1 << 3 * _BITS)
    used = np.flatnonzero(count)
    weight = count[used].astype(np.float64)
    means = np.stack([np.bincount(cells, colours[:, i], minlength=len(count))[used] / weight for i in range(3)], axis=1)
    looks = np.bincount(cells, saliency(pixels).ravel(), minlength=len(count))[used]

    centres, nearest = _k_means(means, weight)
    fraction = np.bincount(nearest, weight, minlength=len(centres)) / weight.sum()
    score = np.bincount(nearest, looks, minlength=len(centres)) / looks.sum()
    found = response.image_properties_annotation.dominant_colors.colors
    for i in np.argsort(-score, kind="stable")[: _limit(request)]:
        red, green, blue = centres[i].round().tolist()
        info = found.add(score=score[i], pixel_fraction=fraction[i])
        info.color.red, info.color.green, info.color.blue = red, green, blue


def _limit(request: v1.AnnotateImageRequest) -> int:
    asked = [f.max_results for f in request.features if f.type == v1.Feature.Type.IMAGE_PROPERTIES]
    return min(max(asked) if max(asked) > 0 else COLOURS, COLOURS)


def _k_means(points: Floats, weight: Floats) -> tuple[Floats, npt.NDArray[np.intp]]:
    """At most COLOURS centres of weighted points, none of them empty, and the index of each point's nearest."""
    chosen = [int(weight.argmax())]
    distance = ((points - points[chosen[0]]) ** 2).sum(axis=1)
    # Greedy seeding: each next seed is the point that weighs most by how far it lies from all seeds before it.
    while len(chosen) < COLOURS and (distance * weight).max() > 0:
        chosen.append(int((distance * weight).argmax()))
        distance = np.minimum(distance, ((points - points[chosen[-1]]) ** 2).sum(axis=1))
    centres = points[chosen]
    nearest = np.full(len(points), -1)
    for _ in range(_ROUNDS):
        # |p - c|^2 without |p|^2, which is the same for every centre.
        closest = ((centres**2).sum(axis=1) - 2 * points @ centres.T).argmin(axis=1)
        kept, closest = np.unique(closest, return_inverse=True)
        if len(kept) == len(centres) and np.array_equal(closest, nearest):
            break
        nearest = closest
        total = np.bincount(nearest, weight)
        centres = np.stack([np.bincount(nearest, weight * points[:, i]) / total for i in range(3)], axis=1)
    return centres, nearest
