"""Draws the small pictures in examples/images/, the same ones each time: python examples/make_images.py [--out DIR]."""

import argparse
import io
from collections.abc import Callable
from pathlib import Path

from PIL import Image, ImageDraw, ImageFilter, ImageFont

HERE = Path(__file__).resolve().parent

RECEIPT = [
    ("Bread", "2.40"),
    ("Coffee beans", "11.90"),
    ("Apples 1.2 kg", "3.84"),
    ("Olive oil", "8.50"),
]
SWATCHES = {"red": (214, 40, 40), "orange": (247, 127, 0), "sand": (234, 226, 183), "teal": (42, 157, 143), "navy": (0, 48, 73)}
PAGE = """The harbour wakes before the town. Boats come in
with the tide, and gulls follow each of them to the
quay, loud and never satisfied.

At seven the market opens. Baskets of mackerel stand
beside crates of lemons, and the first buyers argue
about the price of both.

By noon the stones are washed and dry again. Only
the smell of salt stays behind, and a list of sales
that the clerk copies into a blue book."""


def receipt() -> Image.Image:
    """A till receipt: a title, items with their prices, a total, a date."""
    image = Image.new("L", (440, 560), 250)
    draw = ImageDraw.Draw(image)
    draw.text((220, 46), "CORNER MARKET", font=font(36), fill=20, anchor="mm")
    draw.text((220, 92), "12 Harbour Street", font=font(22), fill=40, anchor="mm")
    draw.line((30, 126, 410, 126), fill=90, width=2)
    for row, (item, price) in enumerate(RECEIPT):
        draw.text((34, 150 + 48 * row), item, font=font(26), fill=20)
        draw.text((406, 150 + 48 * row), price, font=font(26), fill=20, anchor="ra")
    draw.line((30, 356, 410, 356), fill=90, width=2)
    draw.text((34, 378), "TOTAL", font=font(32), fill=0)
    draw.text((406, 378), "26.64", font=font(32), fill=0, anchor="ra")
    draw.text((220, 462), "2026-11-20 at 17:42", font=font(22), fill=40, anchor="mm")
    draw.text((220, 510), "Thank you!", font=font(26), fill=20, anchor="mm")
    return image


def sign() -> Image.Image:
    """A street sign on a post before a hazy sky."""
    image = shade((640, 420), (168, 200, 226), (226, 232, 232))
    draw = ImageDraw.Draw(image)
    draw.rectangle((308, 250, 332, 420), fill=(110, 112, 116))
    draw.rounded_rectangle((70, 90, 570, 262), 18, fill=(255, 255, 255))
    draw.rounded_rectangle((80, 100, 560, 252), 14, fill=(12, 84, 150))
    draw.text((320, 150), "HARBOUR STREET", font=font(48), fill=(255, 255, 255), anchor="mm")
    draw.text((320, 212), "City centre 2 km", font=font(34), fill=(255, 255, 255), anchor="mm")
    return image


def page() -> Image.Image:
    """A page of prose in three paragraphs under a heading."""
    image = Image.new("L", (760, 640), 255)
    draw = ImageDraw.Draw(image)
    draw.text((60, 50), "Morning at the Harbour", font=font(40), fill=0)
    draw.multiline_text((60, 140), PAGE, font=font(24), fill=15, spacing=14)
    return image


def swatches() -> Image.Image:
    """Five colours side by side, each as wide as the others."""
    image = Image.new("RGB", (500, 200))
    draw = ImageDraw.Draw(image)
    for i, colour in enumerate(SWATCHES.values()):
        draw.rectangle((100 * i, 0, 100 * i + 99, 199), fill=colour)
    return image


def landscape() -> Image.Image:
    """Hills at dusk with a red balloon right of the middle: one thing that catches the eye in a calm picture."""
    image = shade((960, 640), (70, 96, 148), (238, 196, 158))
    draw = ImageDraw.Draw(image)
    for base, swing, colour in ((430, 60, (88, 102, 118)), (500, 46, (62, 82, 84)), (570, 30, (40, 60, 52))):
        ridge = [(x, base - round(swing * wave(x / 150 + base))) for x in range(0, 961, 8)]
        draw.polygon([(0, 640), *ridge, (960, 640)], fill=colour)
    image = image.filter(ImageFilter.GaussianBlur(2))
    draw = ImageDraw.Draw(image)
    draw.polygon([(636, 240), (784, 240), (728, 320), (692, 320)], fill=(204, 36, 40))
    draw.ellipse((620, 110, 800, 280), fill=(204, 36, 40))
    draw.rectangle((690, 338, 730, 364), fill=(120, 78, 40))
    return image


def note() -> Image.Image:
    """A handbill, stored lying on its side: only its EXIF orientation says how to hold it."""
    image = Image.new("RGB", (520, 360), (252, 244, 210))
    draw = ImageDraw.Draw(image)
    draw.rectangle((14, 14, 505, 345), outline=(150, 60, 40), width=6)
    draw.text((260, 110), "THIS SIDE UP", font=font(56), fill=(120, 30, 20), anchor="mm")
    draw.text((260, 220), "Handle with care", font=font(38), fill=(40, 40, 40), anchor="mm")
    return image.transpose(Image.Transpose.ROTATE_90)


def blank() -> Image.Image:
    """Nothing at all."""
    return Image.new("L", (400, 300), 255)


def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The font that Pillow brings along, so that every machine draws the same letters."""
    return ImageFont.load_default(size=size)


def shade(size: tuple[int, int], top: tuple[int, int, int], bottom: tuple[int, int, int]) -> Image.Image:
    """A vertical blend of two colours."""
    mask = Image.linear_gradient("L").resize(size)
    return Image.composite(Image.new("RGB", size, bottom), Image.new("RGB", size, top), mask)


def wave(x: float) -> float:
    """A smooth curve between -1 and 1 of period 4, made of parabolas: the mathematics library differs between machines."""
    x %= 4
    return x * (2 - x) if x < 2 else (x - 2) * (x - 4)


def encoded(image: Image.Image, orientation: int) -> bytes:
    """JPEG bytes with that EXIF orientation."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    image.save(file, "JPEG", quality=88, exif=exif)
    return file.getvalue()


def write(folder: Path) -> list[Path]:
    """Writes every picture into ``folder``, which is made if need be; returns the files."""
    folder.mkdir(parents=True, exist_ok=True)
    drawings: list[Callable[[], Image.Image]] = [receipt, sign, page, swatches, blank]
    for drawing in drawings:
        drawing().save(folder / f"{drawing.__name__}.png", optimize=True)
    photo = encoded(landscape(), 1)
    (folder / "landscape.jpg").write_bytes(photo)
    (folder / "rotated.jpg").write_bytes(encoded(note(), 6))
    (folder / "broken.jpg").write_bytes(photo[: len(photo) // 2])
    return sorted(folder.iterdir())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Draws the example pictures.")
    parser.add_argument("--out", type=Path, default=HERE / "images", help="folder to write to (default: examples/images)")
    for path in write(parser.parse_args().out):
        print(path)
