"""What the report is told of a result: shapes in pixels, numbers that JSON can hold, nothing of what is not there."""

import json

import pytest

from vision_grpc import v1
from vision_grpc._report.data import facts, frame, shapes, size_without_picture
from vision_grpc._report.facts import COUNTED, counts, whole_text
from vision_grpc.results import ImageResult


def poly(*points: tuple[int, int]) -> v1.BoundingPoly:
    return v1.BoundingPoly(vertices=[v1.Vertex(x=x, y=y) for x, y in points])


def face_shape(bounding: v1.BoundingPoly) -> list[object]:
    """The shape of a face with that polygon, in a picture of 200 x 100 pixels."""
    drawn = shapes(v1.AnnotateImageResponse(face_annotations=[v1.FaceAnnotation(bounding_poly=bounding)]), (200, 100))
    return drawn["faces"][0] if drawn else []


@pytest.mark.parametrize(
    ("bounding", "numbers"),
    [
        (poly((1, 2), (5, 2), (5, 9), (1, 9)), [1, 2, 4, 7]),
        (poly((5, 9), (1, 9), (1, 2), (5, 2)), [1, 2, 4, 7]),
        (poly((1, 2), (5, 3), (5, 9), (1, 8)), [1, 2, 5, 3, 5, 9, 1, 8]),
        (poly((-3, 2), (5, 2), (5, 9)), [-3, 2, 5, 2, 5, 9]),
        (poly((5, 9), (1, 2)), [1, 2, 4, 7]),
        (poly((5, 9)), None),
        (poly(), None),
        (
            v1.BoundingPoly(normalized_vertices=[v1.NormalizedVertex(x=x, y=y) for x, y in ((0.5, 0), (1, 0), (1, 0.25), (0.5, 0.25))]),
            [100, 0, 100, 25],
        ),
    ],
    ids=["upright", "turned", "slanted", "three corners", "two corners", "one corner", "empty", "normalized"],
)
def test_polygons_become_shapes(bounding: v1.BoundingPoly, numbers: list[float] | None) -> None:
    """Upright rectangles take four numbers, whatever corner they start at; others keep all corners; what encloses nothing is left out."""
    assert face_shape(bounding) == ([] if numbers is None else ["Face 1", *numbers])


def test_the_tight_box_stands_in_for_a_missing_one() -> None:
    """A face that has only the box of its skin is drawn with that."""
    face = v1.FaceAnnotation(fd_bounding_poly=poly((1, 2), (5, 2), (5, 9), (1, 9)))
    assert shapes(v1.AnnotateImageResponse(face_annotations=[face]), (20, 20)) == {"faces": [["Face 1", 1, 2, 4, 7]]}


def paged() -> v1.AnnotateImageResponse:
    """A response whose words stand in its pages alone."""
    response = v1.AnnotateImageResponse()
    page = response.full_text_annotation.pages.add(width=300, height=200)
    paragraph = page.blocks.add(bounding_box=poly((0, 0), (90, 0), (90, 20), (0, 20))).paragraphs.add()
    for place, text in enumerate(("Hi", "you")):
        left = place * 40
        word = paragraph.words.add(bounding_box=poly((left, 0), (left + 30, 0), (left + 30, 20), (left, 20)))
        for letter in text:
            word.symbols.add(text=letter)
    response.full_text_annotation.text = "Hi you\n"
    return response


def test_words_are_found_in_pages_where_they_stand_nowhere_else() -> None:
    """Without text_annotations the words are put together from symbols, drawn and counted."""
    assert shapes(paged(), (300, 200))["words"] == [["Hi", 0, 0, 30, 20], ["you", 40, 0, 30, 20]]
    assert (counts(paged())["words"], counts(paged())["blocks"], whole_text(paged())) == (2, 1, "Hi you")


def test_words_in_both_places_are_counted_once() -> None:
    """The service tells text twice; the first entry of text_annotations is the whole and no word."""
    response = paged()
    for text in ("Hi you\n", "Hi", "you"):
        response.text_annotations.add(description=text, bounding_poly=poly((0, 0), (9, 9)))
    assert counts(response)["words"] == 2
    assert len(shapes(response, (300, 200))["words"]) == 2
    response.ClearField("full_text_annotation")
    assert whole_text(response) == "Hi you"


def test_the_size_without_a_picture() -> None:
    """The text's page tells it; else it is as far as the annotations reach; else a guess, for nothing is drawn in pixels."""
    assert frame(paged()) == size_without_picture(paged()) == (300, 200)
    face = v1.FaceAnnotation(bounding_poly=poly((10, 20), (110, 20), (110, 90), (10, 90)))
    assert size_without_picture(v1.AnnotateImageResponse(face_annotations=[face])) == (120, 110)
    assert frame(v1.AnnotateImageResponse()) is None
    width, height = size_without_picture(v1.AnnotateImageResponse())
    assert width > 0
    assert height > 0


def test_numbers_that_json_lacks_are_left_out() -> None:
    """NaN and the infinities, which a float field may hold, do not reach the page."""
    nan = float("nan")
    response = v1.AnnotateImageResponse(label_annotations=[v1.EntityAnnotation(description="odd", score=nan)])
    response.image_properties_annotation.dominant_colors.colors.add(score=nan, pixel_fraction=float("inf")).color.red = float("-inf")
    response.localized_object_annotations.add(name="odd", score=nan).bounding_poly.normalized_vertices.add(x=nan, y=float("inf"))
    result = ImageResult(0, "gs://b/o", response)
    assert json.dumps([facts(result), shapes(response, (10, 10))], allow_nan=False)
    assert facts(result)["colors"] == [["#000000", 0, 0]]


def test_nothing_found_is_nothing_said() -> None:
    """Kinds without an annotation have no key, which is what the page's filters go by."""
    assert facts(ImageResult(4, "a.jpg", v1.AnnotateImageResponse())) == {"index": 4, "uri": "a.jpg"}
    assert counts(v1.AnnotateImageResponse()) == dict.fromkeys(COUNTED, 0)


def test_colours_are_ordered_by_their_share() -> None:
    """The largest share comes first, and channels beyond 0 to 255 are clipped."""
    response = v1.AnnotateImageResponse()
    for red, share in ((300.0, 0.1), (-4.0, 0.2), (127.6, 0.3)):
        response.image_properties_annotation.dominant_colors.colors.add(pixel_fraction=share).color.red = red
    assert [color[0] for color in facts(ImageResult(0, "a", response))["colors"]] == ["#800000", "#000000", "#ff0000"]
