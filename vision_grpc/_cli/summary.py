"""Annotations in a person's words: one line an image. No I/O here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from vision_grpc import v1

if TYPE_CHECKING:
    from vision_grpc.results import ImageResult

MAX_TEXT = 60
NOTHING = "nothing found"


def describe_result(result: ImageResult) -> str:
    """The image's name, its error if it has one, and what was found."""
    found = describe(result.response)
    if result.error is None:
        return printable(f"{result.uri}: {found}")
    return printable(f"{result.uri}: ERROR {result.error.message}" + ("" if found == NOTHING else f" · {found}"))


def printable(text: str) -> str:
    """The text with everything written out that could move a terminal's cursor, colour it or begin a line."""
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


def describe(response: v1.AnnotateImageResponse) -> str:
    """What was found, most telling first, in one line; "nothing found" where nothing was."""
    parts = [part for part in _parts(response) if part]
    return " · ".join(parts) if parts else NOTHING


def _parts(response: v1.AnnotateImageResponse) -> Iterable[str]:
    text = response.full_text_annotation.text or (response.text_annotations[0].description if response.text_annotations else "")
    if text.strip():
        words = text.split()
        flat = " ".join(words)
        shown = flat if len(flat) <= MAX_TEXT else flat[:MAX_TEXT].rsplit(" ", 1)[0] + " …"
        yield f"text “{shown}” ({count(len(words), 'word')})"
    if response.face_annotations:
        boxes = _list(_box(face.bounding_poly) for face in response.face_annotations)
        yield f"{count(len(response.face_annotations), 'face')} at {boxes}"
    for kind, entities in (
        ("labels", response.label_annotations),
        ("landmarks", response.landmark_annotations),
        ("logos", response.logo_annotations),
    ):
        if entities:
            yield f"{kind} {_list(f'{entity.description} {entity.score:.0%}' for entity in entities)}"
    if response.localized_object_annotations:
        counted = Counter(item.name for item in response.localized_object_annotations)
        yield f"objects {_list(f'{name} × {number}' if number > 1 else name for name, number in counted.most_common())}"
    if response.HasField("safe_search_annotation"):
        safe = response.safe_search_annotation
        ratings = ((field.name, v1.Likelihood.Name(value)) for field, value in safe.ListFields() if field.enum_type is not None)
        yield f"safe search {_list(f'{name} {value.lower()}' for name, value in ratings)}"
    if response.web_detection.web_entities:
        yield f"web {_list(entity.description for entity in response.web_detection.web_entities)}"
    colors = response.image_properties_annotation.dominant_colors.colors
    if colors:
        shares = sorted(colors, key=lambda info: -info.pixel_fraction)
        yield f"colours {_list(f'{_hex(info)} {info.pixel_fraction:.0%}' for info in shares)}"
    elif response.crop_hints_annotation.crop_hints:
        # The service adds crop hints to the colours unasked; alone they were asked for.
        yield f"crop {_list(_box(hint.bounding_poly) for hint in response.crop_hints_annotation.crop_hints)}"
    if response.product_search_results.results:
        yield count(len(response.product_search_results.results), "product")


def count(number: int, noun: str) -> str:
    """The number with its noun in the singular or plural."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _list(items: Iterable[str], most: int = 3) -> str:
    shown = list(items)
    return ", ".join(shown[:most]) + (f" and {len(shown) - most} more" if len(shown) > most else "")


def _box(poly: v1.BoundingPoly) -> str:
    xs, ys = [vertex.x for vertex in poly.vertices], [vertex.y for vertex in poly.vertices]
    return f"{min(xs)},{min(ys)} {max(xs) - min(xs)}×{max(ys) - min(ys)}" if xs else "?"


def _hex(info: v1.ColorInfo) -> str:
    return f"#{round(info.color.red):02x}{round(info.color.green):02x}{round(info.color.blue):02x}"
