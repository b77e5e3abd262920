"""A picture file's bytes in, a small upright JPEG out. No I/O here. Pillow (extra ``local``) is imported when used."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

# What the service reads (https://cloud.google.com/vision/docs/supported-files) and Pillow decodes. Naming them keeps out
# Pillow's other readers, one of which starts Ghostscript.
_FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "ICO", "TIFF")
_MAX_PIXELS = 75_000_000  # https://cloud.google.com/vision/quotas; also bounds the memory of one decoding to a few hundred MB
_QUALITY = 75
_ORIENTATION = 0x0112
_TURNS = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}
_SIDEWAYS = (5, 6, 7, 8)


class ThumbnailError(Exception):
    """Why there is no thumbnail, as half a sentence that a reader of the report understands."""


@dataclass(frozen=True)
class Thumbnail:
    """A JPEG, and the width and height in pixels of the picture that it was made from, as displayed."""

    jpeg: bytes
    width: int
    height: int


def thumbnail(content: bytes, side: int, frame: tuple[int, int] | None = None) -> Thumbnail:
    """Makes an upright thumbnail of at most ``side`` pixels along the longer edge. Metadata, places among it, stays out.

    Args:
        content: the picture's file.
        side: in pixels; a smaller picture keeps its size.
        frame: the width and height that the annotations' coordinates are in, where known. What the service does with an EXIF
            orientation is not published: a frame that fits only the stored pixels means that it left them as they are.

    Raises:
        ThumbnailError: the bytes are no picture that can be read, or too large a one, or Pillow is not installed.
    """
    try:
        from PIL import Image
    except ModuleNotFoundError as error:
        raise ThumbnailError("pictures need Pillow: pip install 'vision-grpc[local]'") from error
    # Our own limit is the lower one, so that the warning says nothing new. Not in catch_warnings, which threads must not share.
    warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
    try:
        with Image.open(io.BytesIO(content), formats=_FORMATS) as image:
            if image.width * image.height > _MAX_PIXELS:
                raise Image.DecompressionBombError
            if image.format == "TIFF":
                image.load()  # Pillow turns TIFF pictures by itself here, which changes their size.
                orientation = 1
            else:
                orientation = image.getexif().get(_ORIENTATION, 1)
            stored = image.size
            upright = (stored[1], stored[0]) if orientation in _SIDEWAYS else stored
            if frame == stored != upright:
                orientation, upright = 1, stored
            small = _small(image, side)
            if orientation in _TURNS:
                small = small.transpose(Image.Transpose[_TURNS[orientation]])
            out = io.BytesIO()
            small.save(out, "JPEG", quality=_QUALITY, optimize=True)
    except Image.DecompressionBombError as error:
        raise ThumbnailError("the picture has more than 75 megapixels") from error
    except Exception as error:  # Plugins raise whatever a broken file makes them stumble over.
        raise ThumbnailError("the file could not be read as a picture") from error
    return Thumbnail(out.getvalue(), *upright)


def _small(image: Picture, side: int) -> Picture:
    """The first frame in 8 bits RGB, scaled down: 16 bits keep their upper half, transparency lies on white."""
    from PIL import Image

    if image.mode.startswith("I"):
        image = image.convert("I").point(lambda value: value / 256).convert("L")
    elif image.has_transparency_data:
        colours = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", colours.size, "white"), colours).convert("RGB")
    elif image.mode not in ("RGB", "L", "CMYK"):
        image = image.convert("RGB")
    image.thumbnail((side, side))  # Of a JPEG in one of these modes it decodes no more pixels than it needs.
    return image.convert("RGB")
