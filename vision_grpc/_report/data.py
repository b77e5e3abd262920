"""One result as the JSON that the report's script reads. No I/O here.

Of each image there are two pieces, because the page reads the first of every image when it opens and the second only of
those that it shows:

- the facts: names, text, scores, what one searches and filters by;
- the shapes: what is drawn over the picture, by kind a list of ``[name, x, y, width, height]`` for upright rectangles and
  ``[name, x, y, x, y, …]`` with six numbers or more for other polygons, in pixels of the original picture.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from vision_grpc import v1
from vision_grpc._report import facts as _facts

Shapes = dict[str, list[list[Any]]]
Size = tuple[int, int]

_UNKNOWN_SIZE = (1000, 750)  # Of a picture that is not at hand and of which nothing tells the size.


def facts(result: _facts.ResultLike) -> dict[str, Any]:
    """What was found in one image. Kinds of which nothing was found are left out."""
    response, error = result.response, result.error
    record = {
        "text": _facts.whole_text(response),
        "languages": _languages(response),
        "labels": [_entity(entity) for entity in response.label_annotations],
        "objects": [[item.name, _number(item.score)] for item in response.localized_object_annotations],
        "faces": [_face(face) for face in response.face_annotations],
        "logos": [_entity(entity) for entity in response.logo_annotations],
        "landmarks": [
            [*_entity(entity), *([_number(at.lat_lng.latitude, 4), _number(at.lat_lng.longitude, 4)] for at in entity.locations[:1])]
            for entity in response.landmark_annotations
        ],
        "colors": sorted(map(_color, response.image_properties_annotation.dominant_colors.colors), key=lambda color: -color[1]),
        "crops": [[_number(hint.confidence), _number(hint.importance_fraction)] for hint in response.crop_hints_annotation.crop_hints],
        "safe": _likelihoods(response.safe_search_annotation) if response.HasField("safe_search_annotation") else {},
        "web": _web(response.web_detection),
        "products": [
            [item.product.display_name or item.product.name, _number(item.score)] for item in response.product_search_results.results
        ],
    }
    head: dict[str, Any] = {"index": result.index, "uri": result.uri}
    if error:
        head["error"] = [error.code.name, error.message]
    return head | {key: value for key, value in record.items() if value}


def frame(response: v1.AnnotateImageResponse) -> Size | None:
    """The width and height that the coordinates are in, where the text annotation tells."""
    for page in response.full_text_annotation.pages:
        if page.width > 0 and page.height > 0:
            return page.width, page.height
    return None


def size_without_picture(response: v1.AnnotateImageResponse) -> Size:
    """The size to draw the annotations in where there is no picture: the text's frame, else as far as the annotations reach."""
    told = frame(response)
    if told:
        return told
    drawn = [poly for _, entries in _polygons(response) for _, poly in entries]
    xs = [vertex.x for poly in drawn for vertex in poly.vertices]
    ys = [vertex.y for poly in drawn for vertex in poly.vertices]
    if not xs or max(xs) <= 0 or max(ys) <= 0:
        return _UNKNOWN_SIZE
    # As much room on the far sides as on the near ones, since no annotation tells where the picture ends.
    return max(xs) + max(min(xs), 1), max(ys) + max(min(ys), 1)


def shapes(response: v1.AnnotateImageResponse, size: Size) -> Shapes:
    """What to draw over a picture of that size, in pixels. Kinds of which there is nothing to draw are left out."""
    drawn: Shapes = {}
    for kind, entries in _polygons(response):
        outlines = ([name, *numbers] for name, poly in entries if (numbers := _outline(poly, size)))
        if found := list(outlines):
            drawn[kind] = found
    return drawn


def _polygons(response: v1.AnnotateImageResponse) -> Iterable[tuple[str, Iterable[tuple[str, v1.BoundingPoly]]]]:
    yield "crops", ((f"Crop hint {number}", hint.bounding_poly) for number, hint in enumerate(response.crop_hints_annotation.crop_hints, 1))
    yield "blocks", ((f"Block {number}", block.bounding_box) for number, block in enumerate(_facts.blocks(response), 1))
    yield "words", _facts.words(response)
    yield "landmarks", ((entity.description, entity.bounding_poly) for entity in response.landmark_annotations)
    yield "logos", ((entity.description, entity.bounding_poly) for entity in response.logo_annotations)
    yield "objects", ((item.name, item.bounding_poly) for item in response.localized_object_annotations)
    groups = response.product_search_results.product_grouped_results
    yield "products", ((f"Product {number}", group.bounding_poly) for number, group in enumerate(groups, 1))
    # The tighter box only where the other is missing: one box a face is what a reader expects.
    faces = ((face.bounding_poly if face.HasField("bounding_poly") else face.fd_bounding_poly) for face in response.face_annotations)
    yield "faces", ((f"Face {number}", poly) for number, poly in enumerate(faces, 1))


def _outline(poly: v1.BoundingPoly, size: Size) -> list[float]:
    points: list[tuple[float, float]]
    if poly.vertices:
        points = [(vertex.x, vertex.y) for vertex in poly.vertices]
    else:
        width, height = size
        points = [(_number(vertex.x * width, 1), _number(vertex.y * height, 1)) for vertex in poly.normalized_vertices]
    corners = set(points)
    if len(corners) < 2:
        return []
    left, right = min(x for x, _ in corners), max(x for x, _ in corners)
    top, bottom = min(y for _, y in corners), max(y for _, y in corners)
    # Two points span a box too: the service leaves out corners that lie outside of the picture.
    if len(corners) == 2 or corners == {(left, top), (right, top), (right, bottom), (left, bottom)}:
        return [left, top, right - left, bottom - top]
    return [number for point in points for number in point]


def _number(value: float, digits: int = 3) -> float:
    """Rounded; 0 for NaN and the infinities, which JSON does not have."""
    return round(value, digits) if math.isfinite(value) else 0.0


def _entity(entity: v1.EntityAnnotation) -> list[Any]:
    return [entity.description or entity.mid, _number(entity.score)]


def _languages(response: v1.AnnotateImageResponse) -> list[str]:
    codes = (language.language_code for page in response.full_text_annotation.pages for language in page.property.detected_languages)
    return list(dict.fromkeys(codes))


def _face(face: v1.FaceAnnotation) -> dict[str, Any]:
    angles = [_number(angle, 1) for angle in (face.roll_angle, face.pan_angle, face.tilt_angle)]
    record: dict[str, Any] = {"confidence": _number(face.detection_confidence), "seems": _likelihoods(face)}
    if any(angles):
        record["angles"] = angles
    return record


def _likelihoods(message: v1.SafeSearchAnnotation | v1.FaceAnnotation) -> dict[str, int]:
    """Each field that is a Likelihood and is known, 1 (very unlikely) to 5 (very likely)."""
    named = (
        (field, value) for field, value in message.ListFields() if field.enum_type is not None and field.enum_type.name == "Likelihood"
    )
    return {field.name.removesuffix("_likelihood").replace("_", " "): value for field, value in named}


def _color(info: v1.ColorInfo) -> list[Any]:
    channels = (info.color.red, info.color.green, info.color.blue)
    code = "".join(f"{round(min(max(_number(channel), 0), 255)):02x}" for channel in channels)
    return [f"#{code}", _number(info.pixel_fraction, 4), _number(info.score, 4)]


def _web(web: v1.WebDetection) -> dict[str, Any]:
    lists = {
        "guesses": [item.label for item in web.best_guess_labels],
        "entities": [[item.description or item.entity_id, _number(item.score)] for item in web.web_entities],
        "pages": [[item.url, item.page_title] for item in web.pages_with_matching_images],
        "full": [item.url for item in web.full_matching_images],
        "partial": [item.url for item in web.partial_matching_images],
        "similar": [item.url for item in web.visually_similar_images],
    }
    return {key: value for key, value in lists.items() if value}
