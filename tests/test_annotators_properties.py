"""IMAGE_PROPERTIES: the dominant colours, their shares and their order."""

import io
import runpy
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vision_grpc import v1
from vision_grpc.emulator.annotators import annotate

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
IMAGES = EXAMPLES / "images"


def colours(content: bytes | Image.Image, **rest: object) -> list[v1.ColorInfo]:
    """The dominant colours of a picture."""
    if isinstance(content, Image.Image):
        file = io.BytesIO()
        content.save(file, "PNG")
        content = file.getvalue()
    response = annotate(content, v1.AnnotateImageRequest(features=[{"type": "IMAGE_PROPERTIES", **rest}]))
    assert not response.HasField("error")
    return list(response.image_properties_annotation.dominant_colors.colors)


def rgb(info: v1.ColorInfo) -> tuple[float, float, float]:
    """Red, green and blue, 0 to 255."""
    return info.color.red, info.color.green, info.color.blue


def test_swatches_are_found() -> None:
    """Each colour that the example was drawn with comes out within 3 units, with a fifth of the pixels."""
    drawn = runpy.run_path(str(EXAMPLES / "make_images.py"))["SWATCHES"]
    found = colours((IMAGES / "swatches.png").read_bytes())
    for colour in drawn.values():
        nearest = min(found, key=lambda info: float(np.abs(np.subtract(rgb(info), colour)).max()))
        assert rgb(nearest) == pytest.approx(colour, abs=3)
        assert nearest.pixel_fraction == pytest.approx(0.2, abs=0.02)


def test_order_and_sums() -> None:
    """Ten colours of a photo, highest score first; fractions and scores are shares of the whole picture."""
    found = colours((IMAGES / "landscape.jpg").read_bytes())
    scores = [info.score for info in found]
    assert len(found) == 10
    assert scores == sorted(scores, reverse=True)
    assert sum(scores) == pytest.approx(1, abs=1e-5)
    assert sum(info.pixel_fraction for info in found) == pytest.approx(1, abs=1e-5)
    assert all(0 <= channel <= 255 for info in found for channel in rgb(info))
    assert not found[0].color.HasField("alpha")


def test_what_catches_the_eye_scores_above_its_share() -> None:
    """The red balloon scores higher than its few pixels would."""
    red = max(colours((IMAGES / "landscape.jpg").read_bytes()), key=lambda info: info.color.red - info.color.green)
    assert rgb(red) == pytest.approx((204, 36, 40), abs=12)
    assert red.score > 2 * red.pixel_fraction


def test_one_colour_is_one_entry() -> None:
    """A flat picture has its colour, exactly, and no other."""
    (only,) = colours(Image.new("RGB", (300, 200), (12, 200, 77)))
    assert (rgb(only), only.score, only.pixel_fraction) == ((12, 200, 77), 1, 1)


@pytest.mark.parametrize(("asked", "given"), [(0, 10), (3, 3), (10, 10), (50, 10), (-1, 10)])
def test_max_results(asked: int, given: int) -> None:
    """max_results cuts the list from its end; there are never more than ten."""
    content = (IMAGES / "landscape.jpg").read_bytes()
    assert colours(content, max_results=asked) == colours(content)[:given]


def test_other_features_do_not_change_the_colours() -> None:
    """The colours are the same whether or not the whole picture is decoded for something else."""
    for name in ("landscape.jpg", "sign.png"):
        content = (IMAGES / name).read_bytes()
        both = v1.AnnotateImageRequest(features=[{"type": "FACE_DETECTION"}, {"type": "IMAGE_PROPERTIES"}])
        assert list(annotate(content, both).image_properties_annotation.dominant_colors.colors) == colours(content)


def test_crop_hints_come_along() -> None:
    """As the service does, IMAGE_PROPERTIES returns the crop hints too: those of CROP_HINTS."""
    content = (IMAGES / "landscape.jpg").read_bytes()
    properties, crops = (
        annotate(content, v1.AnnotateImageRequest(features=[{"type": name}])) for name in ("IMAGE_PROPERTIES", "CROP_HINTS")
    )
    assert properties.crop_hints_annotation == crops.crop_hints_annotation
    assert not crops.HasField("image_properties_annotation")


def test_only_the_orientation_differs() -> None:
    """Turning a picture leaves its colours alone."""
    image = Image.open(IMAGES / "swatches.png")
    found = sorted(map(rgb, colours(image)))
    turned = sorted(map(rgb, colours(image.transpose(Image.Transpose.ROTATE_90))))
    assert turned == found
