"""Reading pictures: every format, orientation and pixel layout that shall work, and every file that shall not."""

import io
import struct
import subprocess
import sys
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vision_grpc import v1
from vision_grpc.emulator.annotators import annotate
from vision_grpc.emulator.annotators.picture import MAX_BYTES, Picture, UnreadableError

IMAGES = Path(__file__).resolve().parents[1] / "examples" / "images"
PHOTO = (IMAGES / "landscape.jpg").read_bytes()
SIGN = (IMAGES / "sign.png").read_bytes()
BAD = "Bad image data."
BROKEN_EXIF = b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x05\x01\x12\x00\x09\xff\xff"


def saved(image: Image.Image, form: str, **options: object) -> bytes:
    """The picture as a file of that format."""
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def corners() -> Image.Image:
    """A picture that tells all eight orientations apart: red, green, blue and white quarters, wider than high."""
    image = Image.new("RGB", (240, 160), "white")
    for colour, place in (("red", (0, 0)), ("lime", (120, 0)), ("blue", (0, 80))):
        image.paste(colour, (*place, place[0] + 120, place[1] + 80))
    return image


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and has hardly any data."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


BROKEN = {
    "empty": b"",
    "text": b"just some words, no picture",
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="9" height="9"/></svg>',
    "pdf": b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog >>\nendobj\n%%EOF\n",
    "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n%%EOF\n",
    "zeros": bytes(5000),
    "jpeg signature": PHOTO[:3],
    "jpeg header": PHOTO[:400],
    "half a jpeg": PHOTO[: len(PHOTO) // 2],
    "most of a jpeg": PHOTO[: len(PHOTO) * 95 // 100],
    "half a png": SIGN[: len(SIGN) // 2],
    "png without pixels": png_header(100, 100),
    "half a webp": (lambda whole: whole[: len(whole) // 2])(saved(corners(), "WEBP")),
    "half a gif": (lambda whole: whole[: len(whole) // 2])(saved(corners().quantize(4), "GIF")),
    "half a tiff": (lambda whole: whole[: len(whole) // 2])(saved(corners(), "TIFF")),
    "half a bmp": (lambda whole: whole[: len(whole) // 2])(saved(corners(), "BMP")),
    "the broken example": (IMAGES / "broken.jpg").read_bytes(),
}


@pytest.mark.parametrize("kind", BROKEN)
@pytest.mark.parametrize("feature", ["IMAGE_PROPERTIES", "TEXT_DETECTION", "LABEL_DETECTION"])
def test_broken_file_is_a_per_image_error(kind: str, feature: str) -> None:
    """Whatever is asked of it, a file that is no whole picture gives code 3 with the service's words and nothing else."""
    response = annotate(BROKEN[kind], v1.AnnotateImageRequest(features=[v1.Feature(type=feature)]))
    assert response == v1.AnnotateImageResponse(error={"code": 3, "message": BAD})


@pytest.mark.parametrize(("width", "height"), [(75_001, 1000), (20_000, 5000), (60_000, 60_000)])
def test_too_many_pixels_are_refused_by_the_header_alone(width: int, height: int) -> None:
    """Over 75 megapixels is the contract's error, told from the header: these files have no pixels to decode."""
    response = annotate(png_header(width, height), v1.AnnotateImageRequest(features=[{"type": "IMAGE_PROPERTIES"}]))
    assert (response.error.code, response.error.message) == (3, "Image too large. Please limit to 75 megapixels.")


def test_exactly_75_megapixels_pass_the_size_check() -> None:
    """The limit itself is allowed; the header is believed before any pixel is read."""
    picture = Picture(png_header(10_000, 7500))
    assert (picture.width, picture.height) == (10_000, 7500)


def icon(picture: bytes) -> bytes:
    """An icon whose directory says 16 x 16, whatever the picture in it says."""
    return struct.pack("<HHHBBBBHHII", 0, 1, 1, 16, 16, 0, 0, 1, 32, len(picture), 22) + picture


def bitmap_header(width: int, height: int) -> bytes:
    """A bitmap as it lies in icons, with room for the mask, that claims a size and has no data."""
    return struct.pack("<IiiHHIIiiII", 40, width, 2 * height, 1, 32, 0, 0, 0, 0, 0, 0)


@pytest.mark.parametrize("header", [png_header, bitmap_header])
def test_icon_that_hides_a_huge_picture_is_refused(header: Callable[[int, int], bytes]) -> None:
    """The picture within counts, told from its header alone: over 75 megapixels it is too large, at 75 only broken."""
    with pytest.raises(UnreadableError, match="75 megapixels"):
        Picture(icon(header(10_000, 7501)))
    with pytest.raises(UnreadableError, match=BAD):
        Picture(icon(header(10_000, 7500))).decode()


def test_file_over_20_megabytes_is_refused_unopened() -> None:
    """A larger file than the service takes is an error even if it is a fine picture."""
    with pytest.raises(UnreadableError, match="20 MB"):
        Picture(PHOTO + bytes(MAX_BYTES))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_orientation_is_applied(orientation: int, form: str) -> None:
    """However a picture is stored, its EXIF orientation makes size, thumbnail and pixels those of the picture displayed."""
    stored = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    image = corners().transpose(stored) if stored is not None else corners()
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = Picture(saved(image, form, exif=exif))
    assert (picture.width, picture.height) == (240, 160)
    for pixels in (picture.detail, picture.thumbnail):
        height, width = pixels.shape[:2]
        seen = [pixels[height * y // 4, width * x // 4].tolist() for y in (1, 3) for x in (1, 3)]
        np.testing.assert_allclose(seen, [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)], atol=12)


def test_nonsense_in_metadata_is_ignored() -> None:
    """Broken metadata does not make a picture unreadable, also where Pillow's warnings are errors, as pytest makes them here."""
    whole = saved(corners(), "JPEG")
    broken_mpf = whole[:2] + b"\xff\xe2\x00\x10MPF\x00II*\x00\x08\x00\x00\x00\x00\x00" + whole[2:]
    for content in (saved(corners(), "JPEG", exif=BROKEN_EXIF), broken_mpf):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert Picture(content).detail.shape == (160, 240, 3)


def test_pillow_prints_no_warning(tmp_path: Path) -> None:
    """Neither a huge picture nor broken metadata makes Pillow write to stderr."""
    (tmp_path / "exif.jpg").write_bytes(saved(corners(), "JPEG", exif=BROKEN_EXIF))
    (tmp_path / "huge.png").write_bytes(png_header(10_000, 10_000))
    program = (
        "import pathlib, sys\n"
        "from vision_grpc import v1\n"
        "from vision_grpc.emulator.annotators import annotate\n"
        "asked = v1.AnnotateImageRequest(features=[{'type': 'IMAGE_PROPERTIES'}])\n"
        "for path in sys.argv[1:]: print(annotate(pathlib.Path(path).read_bytes(), asked).error.message)\n"
    )
    command = [sys.executable, "-W", "always", "-c", program, *map(str, sorted(tmp_path.iterdir()))]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "\nImage too large. Please limit to 75 megapixels.\n"
    assert "PIL" not in done.stderr


RED_GREEN = np.zeros((40, 60, 3), np.uint8)
RED_GREEN[:, :30] = (255, 0, 0)
RED_GREEN[:, 30:] = (0, 255, 0)


@pytest.mark.parametrize(
    ("mode", "form"),
    [
        ("RGB", "JPEG"),
        ("CMYK", "JPEG"),
        ("L", "JPEG"),
        ("P", "PNG"),
        ("RGBA", "PNG"),
        ("LA", "PNG"),
        ("1", "PNG"),
        ("P", "GIF"),
        ("RGB", "BMP"),
        ("RGB", "WEBP"),
        ("RGBA", "WEBP"),
        ("RGB", "TIFF"),
        ("CMYK", "TIFF"),
        ("RGBA", "ICO"),
        ("RGB", "MPO"),
    ],
)
def test_formats_and_pixel_layouts(mode: str, form: str) -> None:
    """Every documented format and the usual pixel layouts come out as the RGB that a viewer would show."""
    image = Image.fromarray(RED_GREEN).convert(mode)
    options = {"sizes": [(60, 40)]} if form == "ICO" else {}
    pixels = Picture(saved(image, form, **options)).detail.astype(int)
    assert pixels.shape[2] == 3
    expected = np.asarray(image.convert("RGB")).astype(int)
    height, width = pixels.shape[:2]
    for x in (1, 3):
        np.testing.assert_allclose(pixels[height // 2, width * x // 4], expected[20, 15 * x], atol=12)


def test_sixteen_bits_keep_their_shades() -> None:
    """A 16-bit greyscale picture is scaled to 8 bits, not cut off at 255."""
    values = np.linspace(0, 65535, 1500 * 1200).astype(np.uint16).reshape(1500, 1200)
    for form in ("PNG", "TIFF"):
        pixels = Picture(saved(Image.fromarray(values), form)).detail
        np.testing.assert_array_equal(pixels[..., 0], values >> 8)


def test_floating_point_pixels_are_stretched() -> None:
    """A TIFF of floats shows its whole range, from the first row to the last, however wide it is."""
    values = np.linspace(-1, 1, 1500 * 1200, dtype=np.float32).reshape(1500, 1200)
    pixels = Picture(saved(Image.fromarray(values), "TIFF")).detail
    assert (pixels.min(), pixels.max()) == (0, 255)
    assert (np.diff(pixels[:, 0, 0].astype(int)) >= 0).all()
    extremes = np.array([[np.nan, np.inf], [-np.inf, 0]], np.float32)
    assert Picture(saved(Image.fromarray(extremes), "TIFF")).detail[..., 0].tolist() == [[127, 255], [0, 127]]


def test_a_large_picture_does_not_take_a_gigabyte() -> None:
    """A file of 9 kB, a transparent picture of nearly 75 megapixels, is decoded in less memory than its RGBA form would fill twice."""
    program = (
        "import re, sys\n"
        "from vision_grpc.emulator.annotators.picture import Picture\n"
        "content = sys.stdin.buffer.read()\n"
        # Not getrusage's peak, which a process inherits.
        "peak = lambda: int(re.search(r'VmHWM:\\s+(\\d+) kB', open('/proc/self/status').read())[1]) * 1024\n"
        "before = peak()\n"
        "assert Picture(content).thumbnail.min() == 255\n"
        "print(peak() - before)\n"
    )
    content = saved(Image.new("P", (8650, 8650)), "PNG", transparency=0)
    done = subprocess.run([sys.executable, "-c", program], input=content, capture_output=True, check=True)
    assert int(done.stdout) < 2 * 4 * 8650 * 8650


def test_transparency_lies_on_white() -> None:
    """What is transparent looks white, as on paper."""
    image = Image.new("RGBA", (50, 50), (0, 0, 0, 0))
    assert Picture(saved(image, "PNG")).detail.min() == 255


def test_first_frame_of_an_animation() -> None:
    """Of an animated GIF and of a TIFF with two pages, the first picture counts."""
    first, second = Image.new("RGB", (50, 40), "red"), Image.new("RGB", (50, 40), "blue")
    for form in ("GIF", "TIFF"):
        content = saved(first, form, save_all=True, append_images=[second])
        assert Picture(content).detail[20, 25].tolist() == [255, 0, 0]


def test_large_picture_is_scaled_down_and_keeps_its_coordinates() -> None:
    """Pixels come at most 2,000 to the side while polygons stay in the picture's own pixels."""
    picture = Picture(saved(corners().resize((6000, 4000)), "JPEG"))
    assert picture.detail.shape == (1333, 2000, 3)
    assert picture.thumbnail.shape == (85, 128, 3)
    assert picture.scale == pytest.approx((3.0, 3.0), rel=1e-3)
    outside = picture.box(-5, -5, 9000, 9000)
    assert [(vertex.x, vertex.y) for vertex in outside.vertices] == [(0, 0), (5999, 0), (5999, 3999), (0, 3999)]


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1), (5000, 12)])
def test_extreme_shapes_are_annotated(size: tuple[int, int]) -> None:
    """Pictures of a pixel or a thread are pictures: no feature fails on them."""
    names = ("TEXT_DETECTION", "FACE_DETECTION", "IMAGE_PROPERTIES", "CROP_HINTS")
    asked = v1.AnnotateImageRequest(features=[v1.Feature(type=name) for name in names])
    response = annotate(saved(Image.new("RGB", size, "navy"), "PNG"), asked)
    assert not response.HasField("error")
    assert response.image_properties_annotation.dominant_colors.colors[0].pixel_fraction == 1
    assert len(response.crop_hints_annotation.crop_hints) == 1
