"""Thumbnails: upright, small, of every kind of picture that the service reads, and nothing of the file's metadata."""

import io
from collections.abc import Callable

import pytest
from PIL import Image

from vision_grpc._report.thumbnail import ThumbnailError, thumbnail

ORIENTATION, MAKER, GPS = 0x0112, 0x010F, 0x8825


def encoded(image: Image.Image, kind: str = "JPEG", orientation: int = 1) -> bytes:
    """The picture's file."""
    out, exif = io.BytesIO(), Image.Exif()
    exif[ORIENTATION], exif[MAKER] = orientation, "a maker"
    image.save(out, kind, exif=exif)
    return out.getvalue()


def quarters() -> Image.Image:
    """A wide picture whose upper left quarter alone is red."""
    image = Image.new("RGB", (80, 40), "white")
    image.paste((255, 0, 0), (0, 0, 40, 20))
    return image


def is_red(image: Image.Image, x: int, y: int) -> bool:
    pixel = image.getpixel((x, y))
    assert isinstance(pixel, tuple)
    return pixel[0] > 200 and pixel[1] < 90


STORED: dict[int, Callable[[Image.Image], Image.Image]] = {
    1: lambda image: image,
    2: lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    3: lambda image: image.transpose(Image.Transpose.ROTATE_180),
    4: lambda image: image.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
    5: lambda image: image.transpose(Image.Transpose.TRANSPOSE),
    6: lambda image: image.transpose(Image.Transpose.ROTATE_90),
    7: lambda image: image.transpose(Image.Transpose.TRANSVERSE),
    8: lambda image: image.transpose(Image.Transpose.ROTATE_270),
}


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", STORED)
def test_every_orientation_comes_out_upright(orientation: int, kind: str) -> None:
    """However the file lies, the thumbnail stands, and the size is that of the picture as displayed."""
    small = thumbnail(encoded(STORED[orientation](quarters()), kind, orientation), 40)
    image = Image.open(io.BytesIO(small.jpeg))
    assert (small.width, small.height, image.size, image.format) == (80, 40, (40, 20), "JPEG")
    assert is_red(image, 8, 5)
    assert not any(is_red(image, x, y) for x, y in ((30, 5), (8, 15), (30, 15)))


def test_annotations_of_the_stored_pixels_keep_them() -> None:
    """Where the annotations' frame is the picture as stored, it is shown as stored, so that the boxes fit."""
    content = encoded(STORED[6](quarters()), orientation=6)
    small = thumbnail(content, 40, frame=(40, 80))
    assert (small.width, small.height) == (40, 80)
    assert Image.open(io.BytesIO(small.jpeg)).size == (20, 40)
    assert thumbnail(content, 40, frame=(80, 40)).width == 80
    assert thumbnail(content, 40, frame=(7, 7)).width == 80


def test_small_pictures_keep_their_size_and_metadata_stays_out() -> None:
    """Nothing is enlarged, and where a photo was taken, and with what, does not travel with the report."""
    small = thumbnail(encoded(quarters()), 500)
    image = Image.open(io.BytesIO(small.jpeg))
    assert image.size == (80, 40)
    assert not image.getexif()
    assert b"a maker" not in small.jpeg


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16"])
def test_every_mode_becomes_colour(mode: str) -> None:
    """Grey, palettes, 16 bits, print colours and transparency, which lies on white, all give a picture of the right brightness."""
    if mode == "I;16":
        source = Image.new("I;16", (50, 50), 200 * 256)
    elif mode in ("LA", "RGBA"):
        source = Image.new("RGBA", (50, 50), (0, 0, 0, 55)).convert(mode)
    else:
        source = Image.new("RGB", (50, 50), (200, 200, 200)).convert(mode, dither=Image.Dither.NONE)
    out = io.BytesIO()
    source.save(out, "JPEG" if mode == "CMYK" else "PNG")
    pixel = Image.open(io.BytesIO(thumbnail(out.getvalue(), 20).jpeg)).getpixel((10, 10))
    assert isinstance(pixel, tuple)
    assert all(abs(channel - (255 if mode == "1" else 200)) < 6 for channel in pixel)


@pytest.mark.parametrize(
    "content", [b"", b"no picture", encoded(quarters())[:400], b"%!PS-Adobe-3.0 EPSF-3.0\n"], ids=["empty", "text", "cut", "eps"]
)
def test_what_is_no_picture_is_refused(content: bytes) -> None:
    """Empty, foreign and truncated files end in a sentence; formats that the service does not read are not tried."""
    with pytest.raises(ThumbnailError, match="could not be read as a picture"):
        thumbnail(content, 100)


@pytest.mark.parametrize("size", [(10_000, 7_501), (20_000, 20_000)])
def test_huge_pictures_are_not_decoded(size: tuple[int, int]) -> None:
    """Over 75 megapixels the service refuses a picture, and so do we, by its header alone."""
    out = io.BytesIO()
    Image.new("1", size).save(out, "PNG")
    with pytest.raises(ThumbnailError, match="more than 75 megapixels"):
        thumbnail(out.getvalue(), 100)
