"""FACE_DETECTION on a real photo: matplotlib's sample of Grace Hopper, a public-domain portrait of the U.S. Navy."""

import io
from pathlib import Path

import matplotlib
import pytest
from PIL import Image

from vision_grpc import v1
from vision_grpc.emulator.annotators import annotate

IMAGES = Path(__file__).resolve().parents[1] / "examples" / "images"
PORTRAIT = (Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg").read_bytes()
FACE = (165, 105, 365, 345)
"""Brow to chin and cheek to cheek, measured by eye in the 512 x 600 portrait."""


def faces(image: bytes | Image.Image, **rest: object) -> list[v1.FaceAnnotation]:
    """The faces in a picture."""
    if isinstance(image, Image.Image):
        file = io.BytesIO()
        image.save(file, "JPEG", quality=92, exif=image.getexif())
        image = file.getvalue()
    response = annotate(image, v1.AnnotateImageRequest(features=[{"type": "FACE_DETECTION", **rest}]))
    assert not response.HasField("error")
    return list(response.face_annotations)


def box(face: v1.FaceAnnotation) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of a face."""
    a, _, c, _ = face.bounding_poly.vertices
    return a.x, a.y, c.x, c.y


def overlap(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """The area that two boxes share over the area that they cover."""
    shared = max(min(one[2], other[2]) - max(one[0], other[0]), 0) * max(min(one[3], other[3]) - max(one[1], other[1]), 0)
    covered = sum((right - left) * (bottom - top) for left, top, right, bottom in (one, other)) - shared
    return shared / covered


def crowd() -> Image.Image:
    """Three portraits of different sizes side by side."""
    portrait = Image.open(io.BytesIO(PORTRAIT))
    image = Image.new("RGB", (1100, 620), (120, 120, 120))
    for x, size in ((10, (512, 600)), (540, (300, 352)), (860, (200, 234))):
        image.paste(portrait.resize(size), (x, 10))
    return image


def test_face_is_found_where_it_is() -> None:
    """One face, its box over the true one; both polygons say the same."""
    (face,) = faces(PORTRAIT)
    assert overlap(box(face), FACE) > 0.6
    assert face.fd_bounding_poly == face.bounding_poly


def test_nothing_is_claimed_that_the_cascade_does_not_know() -> None:
    """All likelihoods are UNKNOWN; no confidence, landmark or angle is made up."""
    (face,) = faces(PORTRAIT)
    assert [field.name for field, _ in face.ListFields()] == ["bounding_poly", "fd_bounding_poly"]
    assert face.joy_likelihood == v1.Likelihood.UNKNOWN


def test_several_faces_and_max_results() -> None:
    """Three faces are found, each in its portrait; max_results keeps the surest; 0 means the default."""
    found = faces(crowd())
    assert sorted(0 if box(face)[2] < 530 else 1 if box(face)[2] < 850 else 2 for face in found) == [0, 1, 2]
    assert faces(crowd(), max_results=2) == found[:2]
    assert faces(crowd(), max_results=0) == found


@pytest.mark.parametrize("name", ["blank.png", "swatches.png", "landscape.jpg", "sign.png", "page.png", "receipt.png"])
def test_no_face_where_there_is_none(name: str) -> None:
    """Pictures without people have no faces."""
    assert faces((IMAGES / name).read_bytes()) == []


def test_orientation_is_honoured() -> None:
    """A portrait stored on its side is found by its EXIF orientation, in the coordinates of the picture displayed."""
    image = Image.open(io.BytesIO(PORTRAIT)).transpose(Image.Transpose.ROTATE_90)
    assert faces(image) == []
    image.getexif()[0x0112] = 6
    (face,) = faces(image)
    assert overlap(box(face), FACE) > 0.6


def test_large_photo_has_boxes_in_its_own_pixels() -> None:
    """A photo of 17 megapixels is searched small and answered in its own coordinates."""
    (face,) = faces(Image.open(io.BytesIO(PORTRAIT)).resize((3840, 4500)))
    assert overlap(box(face), tuple(7.5 * edge for edge in FACE)) > 0.6
