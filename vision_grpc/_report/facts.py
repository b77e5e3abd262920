"""What a response says, in plain values that a report or a table shows. No I/O here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import grpc

from vision_grpc import v1


class FailureLike(Protocol):
    """Why one image failed; ``ImageError`` is one."""

    @property
    def code(self) -> grpc.StatusCode: ...
    @property
    def message(self) -> str: ...


class ResultLike(Protocol):
    """One image's result; ``ImageResult`` is one.

    ``uri`` is what the user named, a gs:// URI or a local path. ``response`` holds the annotations, which are correct also
    beside an error.
    """

    @property
    def index(self) -> int: ...
    @property
    def uri(self) -> str: ...
    @property
    def response(self) -> v1.AnnotateImageResponse: ...
    @property
    def error(self) -> FailureLike | None: ...


COUNTED = ("faces", "landmarks", "logos", "labels", "objects", "words", "blocks", "colors", "crop_hints", "web_entities", "products")
"""The kinds of annotation that `counts` counts."""


def whole_text(response: v1.AnnotateImageResponse) -> str:
    """All text of the image with its line breaks, without the one at its end; empty where none was found."""
    text = response.full_text_annotation.text
    if not text and response.text_annotations:
        text = response.text_annotations[0].description
    return text.rstrip("\n")


def words(response: v1.AnnotateImageResponse) -> Iterator[tuple[str, v1.BoundingPoly]]:
    """Yields each word with its polygon, in reading order."""
    # The same words stand in both places; here they need not be put together from symbols.
    if len(response.text_annotations) > 1:
        for entity in response.text_annotations[1:]:
            yield entity.description, entity.bounding_poly
        return
    for block in blocks(response):
        for paragraph in block.paragraphs:
            for word in paragraph.words:
                yield "".join(symbol.text for symbol in word.symbols), word.bounding_box


def blocks(response: v1.AnnotateImageResponse) -> Iterator[v1.Block]:
    """Yields the blocks of all pages; an image has one page."""
    for page in response.full_text_annotation.pages:
        yield from page.blocks


def counts(response: v1.AnnotateImageResponse) -> dict[str, int]:
    """How many annotations of each kind of `COUNTED` there are."""
    if len(response.text_annotations) > 1:
        word_count = len(response.text_annotations) - 1
    else:
        word_count = sum(len(paragraph.words) for block in blocks(response) for paragraph in block.paragraphs)
    return {
        "faces": len(response.face_annotations),
        "landmarks": len(response.landmark_annotations),
        "logos": len(response.logo_annotations),
        "labels": len(response.label_annotations),
        "objects": len(response.localized_object_annotations),
        "words": word_count,
        "blocks": sum(len(page.blocks) for page in response.full_text_annotation.pages),
        "colors": len(response.image_properties_annotation.dominant_colors.colors),
        "crop_hints": len(response.crop_hints_annotation.crop_hints),
        "web_entities": len(response.web_detection.web_entities),
        "products": len(response.product_search_results.results),
    }
