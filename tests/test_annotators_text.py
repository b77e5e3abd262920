"""TEXT_DETECTION and DOCUMENT_TEXT_DETECTION: what is read, where it is, and how it hangs together."""

import io
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFont

from vision_grpc import v1
from vision_grpc.emulator.annotators import annotate, reads_language

IMAGES = Path(__file__).resolve().parents[1] / "examples" / "images"
Break = v1.TextAnnotation.DetectedBreak.BreakType
SEPARATORS = {Break.UNKNOWN: "", Break.SPACE: " ", Break.SURE_SPACE: " ", Break.EOL_SURE_SPACE: "\n", Break.LINE_BREAK: "\n"}
EXPECTED = {
    "sign.png": "HARBOUR STREET\nCity centre 2 km",
    "rotated.jpg": "THIS SIDE UP\nHandle with care",
    "receipt.png": (
        "CORNER MARKET\n12 Harbour Street\nBread 2.40\nCoffee beans 11.90\nApples 1.2 kg 3.84\nOlive oil 8.50\nTOTAL 26.64\n"
        "2026-11-20 at 17:42\nThank you!"
    ),
    "page.png": (
        "Morning at the Harbour\n"
        "The harbour wakes before the town. Boats come in\nwith the tide, and gulls follow each of them to the\n"
        "quay, loud and never satisfied.\n"
        "At seven the market opens. Baskets of mackerel stand\nbeside crates of lemons, and the first buyers argue\n"
        "about the price of both.\n"
        "By noon the stones are washed and dry again. Only\nthe smell of salt stays behind, and a list of sales\n"
        "that the clerk copies into a blue book."
    ),
}


def read(content: bytes | Image.Image, feature: str = "TEXT_DETECTION", **rest: object) -> v1.AnnotateImageResponse:
    """The response for a picture and one text feature."""
    if isinstance(content, Image.Image):
        file = io.BytesIO()
        content.save(file, "PNG")
        content = file.getvalue()
    return annotate(content, v1.AnnotateImageRequest(features=[{"type": feature, **rest}]))


def written(*lines: tuple[tuple[int, int], str], size: tuple[int, int] = (800, 500)) -> Image.Image:
    """A white picture with words in black at given places."""
    image = Image.new("RGB", size, "white")
    for place, text in lines:
        ImageDraw.Draw(image).text(place, text, font=ImageFont.load_default(size=32), fill="black")
    return image


def printed(text: str) -> Image.Image:
    """A line in a font that has accents and other scripts, which Pillow's own has not."""
    # Not above: a program of this module's, whose home is to stay empty, would make matplotlib's folder there.
    import matplotlib

    font = ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf", 36)
    image = Image.new("RGB", (800, 160), "white")
    ImageDraw.Draw(image).text((40, 60), text, font=font, fill="black")
    return image


def bounds(poly: v1.BoundingPoly) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of a polygon."""
    xs, ys = [vertex.x for vertex in poly.vertices], [vertex.y for vertex in poly.vertices]
    return min(xs), min(ys), max(xs), max(ys)


def assert_within(inner: v1.BoundingPoly, outer: v1.BoundingPoly, slack: int = 3) -> None:
    """Asserts that one polygon's extent lies in another's, but for rounding."""
    left, top, right, bottom = bounds(inner)
    assert left >= bounds(outer)[0] - slack
    assert top >= bounds(outer)[1] - slack
    assert right <= bounds(outer)[2] + slack
    assert bottom <= bounds(outer)[3] + slack


@pytest.mark.parametrize("feature", ["TEXT_DETECTION", "DOCUMENT_TEXT_DETECTION"])
@pytest.mark.parametrize("name", EXPECTED)
def test_example_pictures_are_read(name: str, feature: str) -> None:
    """Both features read the examples word for word, into both textAnnotations and fullTextAnnotation."""
    response = read((IMAGES / name).read_bytes(), feature)
    assert response.full_text_annotation.text == EXPECTED[name]
    assert response.text_annotations[0].description == EXPECTED[name]
    assert "".join(each.description for each in response.text_annotations[1:]) == "".join(EXPECTED[name].split())


@pytest.mark.parametrize("name", EXPECTED)
def test_structure_is_consistent(name: str) -> None:
    """Symbols and breaks spell the text; every part lies in the one that holds it; confidences are probabilities."""
    content = (IMAGES / name).read_bytes()
    annotation = read(content).full_text_annotation
    (page,) = annotation.pages
    width, height = (360, 520)[::-1] if name == "rotated.jpg" else Image.open(io.BytesIO(content)).size
    assert (page.width, page.height) == (width, height)
    spelled, confidences = "", [page.confidence]
    for block in page.blocks:
        assert block.block_type == v1.Block.BlockType.TEXT
        confidences.append(block.confidence)
        for paragraph in block.paragraphs:
            assert_within(paragraph.bounding_box, block.bounding_box)
            confidences.append(paragraph.confidence)
            for word in paragraph.words:
                assert_within(word.bounding_box, paragraph.bounding_box, slack=6)
                confidences.append(word.confidence)
                for symbol in word.symbols:
                    assert len(symbol.text) == 1
                    assert_within(symbol.bounding_box, word.bounding_box)
                    confidences.append(symbol.confidence)
                    spelled += symbol.text + SEPARATORS[symbol.property.detected_break.type]
                for left, right in pairwise(word.symbols):
                    assert bounds(left.bounding_box)[2] <= bounds(right.bounding_box)[2]
            assert paragraph.words[-1].symbols[-1].property.detected_break.type == Break.LINE_BREAK
    assert spelled == annotation.text + "\n"
    assert all(0.5 < confidence <= 1 for confidence in confidences)
    assert all(vertex.x < width and vertex.y < height for block in page.blocks for vertex in block.bounding_box.vertices)
    assert not page.property.detected_languages


def test_words_are_where_they_are_written() -> None:
    """Each word's box meets the place where the script drew it, and punctuation at its end is a word of its own."""
    response = read(written(((40, 60), "WAITING? turn it off"), ((40, 300), "3.50")))
    words = {each.description: bounds(each.bounding_poly) for each in response.text_annotations[1:]}
    assert list(words) == ["WAITING", "?", "turn", "it", "off", "3.50"]
    for word, before, top in (("WAITING", "", 60), ("turn", "WAITING? ", 60), ("off", "WAITING? turn it ", 60), ("3.50", "", 300)):
        font = ImageFont.load_default(size=32)
        left, right = 40 + font.getlength(before), 40 + font.getlength(before + word)
        assert words[word][0] == pytest.approx(left, abs=8)
        assert words[word][2] == pytest.approx(right, abs=8)
        assert words[word][1] < top + 20 < words[word][3]


def test_whole_text_has_the_box_of_all_words() -> None:
    """The first of textAnnotations spans the others."""
    response = read((IMAGES / "receipt.png").read_bytes())
    for word in response.text_annotations[1:]:
        assert_within(word.bounding_poly, response.text_annotations[0].bounding_poly)


def test_confidences_belong_to_their_symbols() -> None:
    """An illegible letter lowers its own word's confidence, not that of a word before or after it."""
    image = written(((40, 60), "alpha beta gamma"))
    font = ImageFont.load_default(size=32)
    middle = 40 + font.getlength("alpha be")
    ImageDraw.Draw(image).line((middle, 65, middle + 12, 95), fill="black", width=5)
    words = read(image).full_text_annotation.pages[0].blocks[0].paragraphs[0].words
    assert len(words) == 3
    assert words[1].confidence < min(words[0].confidence, words[2].confidence)


def test_blank_picture_has_no_annotation() -> None:
    """Nothing written means no textAnnotations, no fullTextAnnotation and no error."""
    assert read((IMAGES / "blank.png").read_bytes()) == v1.AnnotateImageResponse()


def test_columns_are_blocks_read_one_after_the_other() -> None:
    """Two columns of prose do not run into each other."""
    left = [((30, 40 + 44 * i), text) for i, text in enumerate(("first column has", "three lines that", "end over here"))]
    right = [((440, 40 + 44 * i), text) for i, text in enumerate(("second column is", "read after all of", "the first one"))]
    annotation = read(written(*left, *right)).full_text_annotation
    assert len(annotation.pages[0].blocks) == 2
    assert annotation.text.split("\n") == [text for _, text in left + right]


def test_paragraphs_are_told_apart_by_the_space_between_them() -> None:
    """A gap wider than that between lines starts a paragraph, a much wider one a block."""
    lines = [((30, 30), "one one one one"), ((30, 70), "two two two two"), ((30, 150), "three three three"), ((30, 400), "four four four")]
    blocks = read(written(*lines)).full_text_annotation.pages[0].blocks
    assert [[len(paragraph.words) for paragraph in block.paragraphs] for block in blocks] == [[8, 3], [3]]


def test_tilted_text_has_tilted_boxes() -> None:
    """Text that climbs by eight degrees is read in order, in boxes that climb with it."""
    image = written(((60, 200), "uphill all the way"), ((60, 250), "and never down")).rotate(8, fillcolor="white", expand=True)
    response = read(image)
    assert response.full_text_annotation.text == "uphill all the way\nand never down"
    first = response.text_annotations[1].bounding_poly.vertices
    slope = (first[0].y - first[1].y) / (first[1].x - first[0].x)
    assert 0.08 < slope < 0.2


def test_text_turned_by_a_quarter_starts_at_its_own_top_left() -> None:
    """Text that runs downwards keeps its vertices in reading order: the first one is the top left of the letters."""
    response = read(written(((40, 60), "DOWNWARDS we go")).rotate(-90, expand=True))
    assert response.full_text_annotation.text == "DOWNWARDS we go"
    first, second, third, _ = response.text_annotations[1].bounding_poly.vertices
    assert second.y > first.y + 50
    assert third.x < second.x - 20


def test_orientation_gives_upright_coordinates() -> None:
    """A photo that EXIF turns upright is read in the frame in which it is displayed."""
    response = read((IMAGES / "rotated.jpg").read_bytes())
    left, top, right, bottom = bounds(response.text_annotations[0].bounding_poly)
    assert right - left > 2 * (bottom - top) - 60
    assert (left + right) / 2 == pytest.approx(260, abs=15)
    assert (top + bottom) / 2 == pytest.approx(165, abs=15)


def test_large_pictures_have_boxes_in_their_own_pixels() -> None:
    """A picture that is scaled down to be read has its boxes scaled back up."""
    small = written(((40, 60), "far and wide"))
    words = read(small).text_annotations
    large = read(small.resize((4000, 2500))).text_annotations
    assert [word.description for word in large] == [word.description for word in words]
    for box, big in zip(words, large, strict=True):
        assert bounds(big.bounding_poly) == pytest.approx([5 * edge for edge in bounds(box.bounding_poly)], abs=60)


def test_both_features_together_answer_once() -> None:
    """Asking for both text features gives what either gives."""
    content = (IMAGES / "sign.png").read_bytes()
    both = v1.AnnotateImageRequest(features=[{"type": "TEXT_DETECTION"}, {"type": "DOCUMENT_TEXT_DETECTION"}])
    assert annotate(content, both) == read(content)


def test_max_results_does_not_apply_to_text() -> None:
    """As Feature.max_results documents, all words come whatever the limit."""
    content = (IMAGES / "sign.png").read_bytes()
    assert read(content, max_results=1) == read(content)


def test_language_hints_are_accepted_and_change_nothing() -> None:
    """A hint neither fails nor makes the answer claim a language."""
    content = (IMAGES / "sign.png").read_bytes()
    hinted = v1.AnnotateImageRequest(features=[{"type": "TEXT_DETECTION"}], image_context={"language_hints": ["de", "en"]})
    assert annotate(content, hinted) == read(content)


@pytest.mark.parametrize(
    ("hints", "read"),
    [
        ("en de DE fr pl tr zh zh-Hans zh-Hant zh-TW ja pt-BR sr-Latn az-Latn und-Latn mul-Latn-t-i0-handwrit en-t-i0-handwrit", True),
        ("ru ru-PETR1708 uk sr sr-Cyrl az-Cyrl el ko ar he iw hi th ka vi vi-Latn vi-VN eo xx und", False),
    ],
)
def test_languages_that_are_read(hints: str, read: bool) -> None:
    """A BCP-47 hint is told by its script where it names one, and else by its language, whatever else is in it."""
    assert {hint: reads_language(hint) for hint in hints.split()} == dict.fromkeys(hints.split(), read)
    assert not reads_language("")


@pytest.mark.parametrize("text", ["Größe, Straße, Übermut", "Élève, garçon, Noël", "Zażółć gęślą jaźń", "Rødgrød, blåbær", "mañana, señor"])
def test_letters_with_accents_are_read(text: str) -> None:
    """The Latin letters of languages that it claims to read come out letter by letter."""
    assert read(printed(text)).full_text_annotation.text == text


def test_other_scripts_are_not_read() -> None:
    """Cyrillic, of a language that it does not claim, comes out as Latin letters of the same shape, if at all."""
    said = read(printed("Съешь МОСКВА булок")).full_text_annotation.text
    assert not set("Съешь МОСКВА булок".replace(" ", "")) & set(said)


def test_reading_is_silent(capfd: pytest.CaptureFixture[str]) -> None:
    """RapidOCR's log does not reach the terminal, not even for a blank picture."""
    read((IMAGES / "blank.png").read_bytes())
    read((IMAGES / "sign.png").read_bytes())
    assert capfd.readouterr() == ("", "")


def test_reading_tells_nobody_about_it(tmp_path: Path) -> None:
    """onnxruntime's telemetry, which begins with a device id in the user's home, stays off: that home stays empty."""
    program = "from tests.test_annotators_text import IMAGES, read; print(len(read((IMAGES / 'sign.png').read_bytes()).text_annotations))"
    told = ("XDG_", "ORT_")
    environ = {name: value for name, value in os.environ.items() if not name.startswith(told)} | {"HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", program], env=environ, cwd=IMAGES.parents[1], capture_output=True, text=True, check=True)
    assert int(done.stdout) > 1
    assert list(tmp_path.iterdir()) == []
