"""One picture of a request: its bytes, its size as displayed, and the pixels that the annotators look at.

No annotation is made here. A file that is no picture, or too large a one, ends in :class:`UnreadableError`.
"""

import io
import threading
import warnings
from collections.abc import Iterator
from functools import cached_property

import numpy as np
import numpy.typing as npt
from PIL import IcoImagePlugin, Image

from vision_grpc import v1

MAX_BYTES = 20 * 1024 * 1024
"""Largest file, https://cloud.google.com/vision/quotas ("20 MB", read here as mebibytes)."""
MAX_PIXELS = 75_000_000
"""Most pixels in a picture, same page."""

DETAIL_SIDE = 2000
"""Longest side, in pixels, that text and faces are looked for at; larger pictures are scaled down to it."""
THUMBNAIL_SIDE = 128
"""Longest side, in pixels, that colours and crops are computed at."""

# The service's list (https://cloud.google.com/vision/docs/supported-files) without RAW, which Pillow does not decode, and
# PDF, which images:asyncBatchAnnotate does not take.
_FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF")  # and ICO, by _open_icon
_ICON = b"\x00\x00\x01\x00"

_INVALID_ARGUMENT = 3  # google.rpc.Code
_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# The first filters of the process, once they are set; see _ignore_warnings.
_ignored: list[object] = []
_ignored_lock = threading.Lock()

Pixels = npt.NDArray[np.uint8]


class AnnotationError(Exception):
    """Why a picture, or one feature of it, has no annotation.

    Attributes:
        code: A google.rpc.Code number.
        message: What the response's ``error`` says.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class UnreadableError(AnnotationError):
    """The file is too large, or its pixels cannot be read: no feature can be computed."""

    def __init__(self, message: str = "Bad image data.") -> None:
        super().__init__(_INVALID_ARGUMENT, message)


class Picture:
    """A picture whose header has been read; its pixels are decoded when first asked for.

    All coordinates are those of the picture as it is displayed, that is with its EXIF orientation applied. What the
    service does with that orientation is not published.
    """

    def __init__(self, content: bytes) -> None:
        """Reads the header of ``content``.

        Raises:
            UnreadableError: The file is empty, no picture, over MAX_BYTES or over MAX_PIXELS.
        """
        if len(content) > MAX_BYTES:
            # The text for too large a file is not published; this one is ours.
            raise UnreadableError("Image too large. Please limit to 20 MB.")
        _ignore_warnings()
        self._content = content
        self._header = self._open()
        width, height = self._header.size
        self._orientation = _orientation(self._header)
        self.width, self.height = (height, width) if self._orientation >= 5 else (width, height)

    @cached_property
    def detail(self) -> Pixels:
        """RGB pixels, shape (height, width, 3), C-contiguous, its longest side at most DETAIL_SIDE.

        Raises:
            UnreadableError: The pixels are broken or end too early.
        """
        # The header's file object is good for one decoding.
        return np.asarray(_decode(self._header, DETAIL_SIDE, self._orientation))

    @cached_property
    def thumbnail(self) -> Pixels:
        """RGB pixels, shape (height, width, 3), its longest side at most THUMBNAIL_SIDE.

        Which other features are asked for never changes it: a JPEG's is decoded small, another format's is made of ``detail``.

        Raises:
            UnreadableError: The pixels are broken or end too early.
        """
        if self._header.format in ("JPEG", "MPO"):
            return np.asarray(_decode(self._open(), THUMBNAIL_SIDE, self._orientation))
        small = Image.fromarray(self.detail)
        small.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.BOX)
        return np.asarray(small)

    def decode(self) -> None:
        """Makes sure that the pixels can be decoded.

        Raises:
            UnreadableError: They cannot.
        """
        _ = self.thumbnail

    @property
    def scale(self) -> tuple[float, float]:
        """What x and y in ``detail`` are multiplied by to get those of the picture."""
        height, width = self.detail.shape[:2]
        return self.width / width, self.height / height

    def polygon(self, points: npt.ArrayLike) -> v1.BoundingPoly:
        """A polygon of ``points``, an array of x and y in pixels of the picture, rounded and kept inside the picture."""
        limits = (self.width - 1, self.height - 1)
        inside = np.clip(np.rint(np.asarray(points, dtype=np.float64)), 0, limits).astype(int).tolist()
        return v1.BoundingPoly(vertices=[v1.Vertex(x=x, y=y) for x, y in inside])

    def box(self, left: float, top: float, right: float, bottom: float) -> v1.BoundingPoly:
        """An upright rectangle, its vertices from the top left on clockwise, in pixels of the picture."""
        return self.polygon([(left, top), (right, top), (right, bottom), (left, bottom)])

    def _open(self) -> Image.Image:
        try:
            if self._content.startswith(_ICON):
                return _open_icon(self._content)
            image = Image.open(io.BytesIO(self._content), formats=_FORMATS)
            _check_size(image.width, image.height)
            return image
        except UnreadableError:
            raise
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise _too_many_pixels() from error
        except Exception as error:  # Plugins raise whatever a broken header makes them stumble over.
            raise UnreadableError from error


def _open_icon(content: bytes) -> Image.Image:
    """The largest picture of an icon, as its own header has it: the icon's directory may belie its size.

    Image.open would decode it at once, before its size could be told.
    """
    icon = IcoImagePlugin.IcoFile(io.BytesIO(content))
    image = Image.open(io.BytesIO(content[icon.entry[0].offset :]), formats=("PNG", "DIB"))
    if image.format == "PNG":
        _check_size(image.width, image.height)
        return image
    # A bitmap's height counts its mask, which lies below it.
    _check_size(image.width, image.height // 2)
    return icon.frame(0)


def _check_size(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise _too_many_pixels()


def _ignore_warnings() -> None:
    """What a picture is worth is said in its response: Pillow's warnings, which may be errors here, shall not decide it.

    For the whole process, since warnings.catch_warnings is not safe among threads; and again whenever other filters have come
    before these, as with pytest, which sets its own for each test.
    """
    with _ignored_lock:
        if list(warnings.filters[:2]) != _ignored:
            warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
            warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
            _ignored[:] = warnings.filters[:2]


def _too_many_pixels() -> UnreadableError:
    return UnreadableError("Image too large. Please limit to 75 megapixels.")


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8, that is still to be applied."""
    if image.format == "TIFF":
        return 1  # Pillow turns TIFF pictures by itself.
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # Broken metadata does not make the pixels unreadable.
        return 1
    return value if value in _UPRIGHT else 1


def _decode(image: Image.Image, side: int, orientation: int) -> Image.Image:
    """The first frame as upright RGB of at most ``side`` pixels along the longer edge."""
    try:
        image.draft("RGB", (side, side))
        image = _rgb(image)
        if max(image.size) > side:
            image.thumbnail((side, side), Image.Resampling.BOX)
    except Exception as error:  # As in Picture._open; decoders also run out of input here.
        raise UnreadableError from error
    return image.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else image


def _rgb(image: Image.Image) -> Image.Image:
    """``image`` in 8 bits RGB: 16 bits keep their upper half, floats are stretched, transparency lies on white."""
    image.load()
    if image.mode == "RGB" and not image.has_transparency_data:
        return image
    low = spread = 0.0
    if image.mode == "F":
        low = min(float(_floats(strip).min()) for _, strip in _strips(image))
        spread = max(float(_floats(strip).max()) for _, strip in _strips(image)) - low
    rgb = Image.new("RGB", image.size)
    for top, strip in _strips(image):
        if strip.mode == "F":
            strip = Image.fromarray(((_floats(strip) - low) * (255 / (spread or 1.0))).astype(np.uint8))
        elif strip.mode.startswith("I;16") or strip.mode == "I":
            strip = Image.fromarray((np.clip(np.asarray(strip), 0, 65535) >> 8).astype(np.uint8))
        elif strip.has_transparency_data:
            strip = Image.alpha_composite(Image.new("RGBA", strip.size, "white"), strip.convert("RGBA"))
        rgb.paste(strip.convert("RGB"), (0, top))
    return rgb


def _strips(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """The rows of a picture, a megapixel or so at a time: what is made of all of them at once costs a gigabyte at MAX_PIXELS."""
    height = max(2**20 // image.width, 1)
    for top in range(0, image.height, height):
        yield top, image.crop((0, top, image.width, min(top + height, image.height)))


def _floats(image: Image.Image) -> npt.NDArray[np.float64]:
    values: npt.NDArray[np.float32] = np.asarray(image)
    return np.nan_to_num(values).astype(np.float64)  # The difference of two of 32 bits may be none.
