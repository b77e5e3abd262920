"""CROP_HINTS: the rectangles that keep what catches the eye, by a saliency map on an integral image.

Pure computation on a thumbnail: the same picture gives the same crops.
"""

import math

import numpy as np
import numpy.typing as npt

from vision_grpc import v1
from vision_grpc.emulator.annotators.picture import AnnotationError, Picture, Pixels

Map = npt.NDArray[np.float64]

MAX_RATIOS = 16
"""Later aspect ratios are ignored, as CropHintsParams says."""
_USUAL_RATIOS = (1.0, 4 / 3, 3 / 4, 3 / 2, 2 / 3, 16 / 9, 9 / 16)
_SCALES = (1.0, 0.92, 0.84, 0.76, 0.68, 0.6, 0.52)
# A smaller crop must lose less importance than this times the area it saves.
_WORTH_OF_AREA = 0.6
_SPECTRUM_SIDE = 64
# A map that varies less than this shows nothing but rounding.
_FAINT = 1e-3


def annotate(picture: Picture, request: v1.AnnotateImageRequest, response: v1.AnnotateImageResponse) -> None:
    """Adds ``crop_hints_annotation``: one hint for each aspect ratio asked for, or else the best crop of a usual shape.

    ``max_results`` does not apply to CROP_HINTS, as Feature says.

    Raises:
        AnnotationError: An aspect ratio is not a positive number (code 3; the service's wording is not published).
    """
    ratios = list(request.image_context.crop_hints_params.aspect_ratios[:MAX_RATIOS])
    for ratio in ratios:
        if not (math.isfinite(ratio) and ratio > 0):
            raise AnnotationError(3, f"Aspect ratio {ratio:g} of crop_hints_params is not a positive number.")
    importance = saliency(picture.thumbnail)
    integral = np.zeros((importance.shape[0] + 1, importance.shape[1] + 1))
    integral[1:, 1:] = importance.cumsum(0).cumsum(1) / importance.sum()
    if ratios:
        hints = [_best_crop(integral, picture, [ratio]) for ratio in ratios]
    else:
        hints = [_best_crop(integral, picture, [picture.width / picture.height, *_USUAL_RATIOS])]
    response.crop_hints_annotation.crop_hints.extend(hints)


def saliency(pixels: Pixels) -> Map:
    """How much each pixel of an RGB thumbnail catches the eye: everywhere positive, with no unit.

    The sum of three maps of equal weight: what the spectrum does not foretell (Hou and Zhang 2007, "Saliency detection: a
    spectral residual approach"), edges, and colourfulness.
    """
    rgb = pixels.astype(np.float64) / 255
    grey = rgb.mean(axis=2)
    padded = np.pad(grey, 1, mode="edge")
    edges = np.hypot(padded[1:-1, 2:] - padded[1:-1, :-2], padded[2:, 1:-1] - padded[:-2, 1:-1])
    colourfulness = rgb.max(axis=2) - rgb.min(axis=2)
    maps = (_spectral_residual(grey), _smooth(edges, 2), colourfulness)
    # The square lets what stands out outweigh the many pixels that hardly do; the floor is for pictures of nothing.
    return 0.01 + sum((_normalized(each) for each in maps), np.zeros_like(grey)) ** 2


def _spectral_residual(grey: Map) -> Map:
    rows = np.linspace(0, grey.shape[0] - 1, min(_SPECTRUM_SIDE, grey.shape[0])).round().astype(int)
    columns = np.linspace(0, grey.shape[1] - 1, min(_SPECTRUM_SIDE, grey.shape[1])).round().astype(int)
    spectrum = np.fft.fft2(grey[np.ix_(rows, columns)])
    # Below this a coefficient is rounding noise, whose logarithm would drown the rest.
    magnitude = np.abs(spectrum) + 1e-6 * (1 + np.abs(spectrum).max())
    logarithm = np.log(magnitude)
    residual = logarithm - _smooth(logarithm, 1)
    unforeseen = np.abs(np.fft.ifft2(np.exp(residual) * spectrum / magnitude)) ** 2
    unforeseen = _smooth(unforeseen, 2)
    up = np.linspace(0, len(rows) - 1, grey.shape[0]).round().astype(int)
    across = np.linspace(0, len(columns) - 1, grey.shape[1]).round().astype(int)
    enlarged: Map = unforeseen[np.ix_(up, across)]
    return enlarged


def _smooth(values: Map, radius: int) -> Map:
    """The mean over a square of 2 * radius + 1 pixels, the border repeated."""
    padded = np.pad(values, radius, mode="edge")
    for axis, length in enumerate(values.shape):
        padded = np.sum([padded.take(range(i, i + length), axis) for i in range(2 * radius + 1)], axis=0)
    return padded / (2 * radius + 1) ** 2


def _normalized(values: Map) -> Map:
    low, high = values.min(), values.max()
    return (values - low) / (high - low) if high - low > _FAINT else np.zeros_like(values)


def _off_centre(shape: tuple[int, ...]) -> Map:
    """Next to nothing, but more the farther from the middle: it settles which of equally good places is taken."""
    rows, columns = (np.linspace(-1e-3, 1e-3, length) ** 2 if length > 1 else np.zeros(1) for length in shape)
    return np.add.outer(rows, columns)


def _best_crop(integral: Map, picture: Picture, ratios: list[float]) -> v1.CropHint:
    """The crop that keeps most importance for its area, over all ratios, sizes and places."""
    height, width = integral.shape[0] - 1, integral.shape[1] - 1
    # A polygon's vertices lie inside the picture, at most at its last row and column.
    full_width, full_height = max(picture.width - 1, 1), max(picture.height - 1, 1)
    best = (-math.inf, 0, 0, 0.0, 0.0, 0.0)
    for ratio in ratios:
        for scale in _SCALES:
            crop_height = min(full_height, full_width / ratio) * scale
            crop_width = crop_height * ratio
            w = min(max(round(crop_width / full_width * width), 1), width)
            h = min(max(round(crop_height / full_height * height), 1), height)
            kept = integral[h:, w:] - integral[:-h, w:] - integral[h:, :-w] + integral[:-h, :-w]
            top, left = np.unravel_index(int((kept - _off_centre(kept.shape)).argmax()), kept.shape)
            gain = kept[top, left] - _WORTH_OF_AREA * w * h / (width * height)
            if gain > best[0] + 1e-9:
                best = (gain, int(left), int(top), float(kept[top, left]), crop_width, crop_height)
    _, column, row, kept_share, crop_width, crop_height = best
    left_edge = min(column * full_width / width, full_width - crop_width)
    top_edge = min(row * full_height / height, full_height - crop_height)
    x, y = round(left_edge), round(top_edge)
    share = crop_width * crop_height / (full_width * full_height)
    return v1.CropHint(
        bounding_poly=picture.box(x, y, x + max(round(crop_width), 1), y + max(round(crop_height), 1)),
        # One half where the crop is as important as any other area of its size, towards 1 the more it holds in the less area.
        confidence=kept_share / (kept_share + share),
        importance_fraction=min(kept_share, 1.0),
    )
