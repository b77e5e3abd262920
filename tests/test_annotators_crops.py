"""CROP_HINTS: rectangles of the shapes asked for, inside the picture, around what catches the eye."""

import io
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from vision_grpc import v1
from vision_grpc.emulator.annotators import annotate

IMAGES = Path(__file__).resolve().parents[1] / "examples" / "images"
PHOTO = (IMAGES / "landscape.jpg").read_bytes()


def hints(content: bytes, ratios: list[float], **rest: object) -> v1.AnnotateImageResponse:
    """The response for CROP_HINTS with these aspect ratios."""
    return annotate(
        content,
        v1.AnnotateImageRequest(features=[{"type": "CROP_HINTS", **rest}], image_context={"crop_hints_params": {"aspect_ratios": ratios}}),
    )


def box(hint: v1.CropHint) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of a hint, whose vertices must run from the top left clockwise."""
    a, b, c, d = hint.bounding_poly.vertices
    assert (a.x, a.y, c.x, c.y) == (d.x, b.y, b.x, d.y)
    assert a.x < c.x
    assert a.y < c.y
    return a.x, a.y, c.x, c.y


def drawn(image: Image.Image) -> bytes:
    """The picture as a PNG file."""
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize("name", ["landscape.jpg", "sign.png", "rotated.jpg", "blank.png", "page.png"])
def test_aspect_ratios_are_honoured(name: str) -> None:
    """One hint for each ratio, in order, of that ratio within a pixel, inside the picture as displayed."""
    ratios = [1.0, 16 / 9, 0.5, 4 / 3, 3.0]
    content = (IMAGES / name).read_bytes()
    width, height = (520, 360) if name == "rotated.jpg" else Image.open(io.BytesIO(content)).size
    found = hints(content, ratios).crop_hints_annotation.crop_hints
    assert len(found) == len(ratios)
    for hint, ratio in zip(found, ratios, strict=True):
        left, top, right, bottom = box(hint)
        assert 0 <= left < right < width
        assert 0 <= top < bottom < height
        assert right - left == pytest.approx(ratio * (bottom - top), abs=1 + ratio)
        assert 0.4 < hint.confidence <= 1
        assert 0 < hint.importance_fraction <= 1


def test_what_stands_out_is_kept() -> None:
    """A square and an upright crop of the landscape hold the whole balloon."""
    for hint in hints(PHOTO, [1.0, 0.6]).crop_hints_annotation.crop_hints:
        left, top, right, bottom = box(hint)
        assert left <= 620
        assert top <= 110
        assert right >= 800
        assert bottom >= 320


def test_hint_follows_the_thing() -> None:
    """The same patch at the left or at the right of a plain picture moves the crop there."""
    for x in (40, 700):
        image = Image.new("RGB", (900, 300), (190, 190, 190))
        ImageDraw.Draw(image).rectangle((x, 100, x + 100, 200), fill=(220, 40, 40))
        (hint,) = hints(drawn(image), [1.0]).crop_hints_annotation.crop_hints
        left, _, right, _ = box(hint)
        assert left <= x
        assert x + 100 <= right
        assert hint.confidence > 0.6
        assert hint.importance_fraction > 0.7


def test_without_ratios_the_best_crop_comes_alone() -> None:
    """No ratio asked for: one hint, of a shape of its choice."""
    (hint,) = hints(PHOTO, []).crop_hints_annotation.crop_hints
    assert hint.importance_fraction > 0.5


def test_blank_picture_is_cropped_around_its_middle() -> None:
    """Where nothing stands out the crop is in the middle, as important as its area, and of even confidence."""
    (hint,) = hints((IMAGES / "blank.png").read_bytes(), [1.0]).crop_hints_annotation.crop_hints
    left, top, right, bottom = box(hint)
    assert (left + right) / 2 == pytest.approx(199.5, abs=4)
    assert (top, bottom) == (0, 299)
    assert hint.importance_fraction == pytest.approx(0.75, abs=0.02)
    assert hint.confidence == pytest.approx(0.5, abs=0.02)


def test_max_results_does_not_apply() -> None:
    """As Feature.max_results documents, every ratio gets its hint."""
    assert hints(PHOTO, [1.0, 2.0, 3.0], max_results=1) == hints(PHOTO, [1.0, 2.0, 3.0])


def test_no_more_than_sixteen_ratios() -> None:
    """Ratios after the sixteenth are ignored, as CropHintsParams documents."""
    assert len(hints(PHOTO, [1.0 + i / 10 for i in range(20)]).crop_hints_annotation.crop_hints) == 16


@pytest.mark.parametrize("ratio", [0.0, -1.5, float("nan"), float("inf")])
def test_impossible_ratio_is_an_error(ratio: float) -> None:
    """A ratio that is no positive number gives code 3 and leaves the other features alone."""
    request = v1.AnnotateImageRequest(
        features=[{"type": "IMAGE_PROPERTIES"}], image_context={"crop_hints_params": {"aspect_ratios": [1.0, ratio]}}
    )
    response = annotate(PHOTO, request)
    assert response.error.code == 3
    assert "Aspect ratio" in response.error.message
    assert not response.HasField("crop_hints_annotation")
    assert response.image_properties_annotation.dominant_colors.colors


@pytest.mark.parametrize("ratio", [1e-6, 1e6])
def test_extreme_ratio_gives_a_thread(ratio: float) -> None:
    """However thin the shape, the crop is at least a pixel wide and high and lies inside."""
    (hint,) = hints(PHOTO, [ratio]).crop_hints_annotation.crop_hints
    left, top, right, bottom = box(hint)
    assert min(right - left, bottom - top) == 1
    assert right < 960
    assert bottom < 640
