"""The embedded annotators beside the libraries that they call, on the same pictures: what our layer over them costs.

The libraries are called as the annotators call them, with the same settings on the same pixels: decoding by Pillow, faces by
OpenCV's cascade, text by RapidOCR. Colours and crops are computations of this project; there is nothing below to compare with.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from benchmarks import Table, compare
from vision_grpc import v1
from vision_grpc.emulator.annotators import annotate, text
from vision_grpc.emulator.annotators.faces import _CASCADE
from vision_grpc.emulator.annotators.picture import Picture

PICTURES = Path(__file__).resolve().parent.parent / "examples" / "images"
_LIBRARY, _OURS = "libraries alone", "vision_grpc.emulator"


def run(rounds: int, names: tuple[str, ...] = ("page.png", "receipt.png", "sign.png", "landscape.jpg")) -> list[Table]:
    """Annotates example pictures."""
    contents = [(PICTURES / name).read_bytes() for name in names]
    tables = [
        _compared("text", v1.Feature.Type.DOCUMENT_TEXT_DETECTION, _ocr, contents, max(2, rounds // 2)),
        _compared("faces", v1.Feature.Type.FACE_DETECTION, _faces(), contents, rounds),
    ]
    for table in tables:
        table.aim(f"CPU ÷ libraries alone: {table.title}", _OURS, _LIBRARY, at_most=1.10)
    return tables


def _compared(what: str, feature: v1.Feature.Type, library: Callable[[bytes], object], contents: list[bytes], rounds: int) -> Table:
    request = v1.AnnotateImageRequest(features=[v1.Feature(type=feature)])

    def ours() -> None:
        for content in contents:
            assert not annotate(content, request).error.code

    def alone() -> None:
        for content in contents:
            library(content)

    return compare(f"{what}, {len(contents)} pictures", {_LIBRARY: alone, _OURS: ours}, rounds)


def _ocr(content: bytes) -> object:
    engine = text._engine()
    image, record = engine.preprocess_img(cv2.cvtColor(Picture(content).detail, cv2.COLOR_RGB2BGR))
    return engine.run_ocr_steps(image, record)


def _faces() -> Callable[[bytes], object]:
    classifier = cv2.CascadeClassifier(str(_CASCADE))

    def find(content: bytes) -> object:
        grey = cv2.cvtColor(Picture(content).detail, cv2.COLOR_RGB2GRAY)
        shrink = min(1.0, 800 / max(grey.shape))
        if shrink < 1:
            grey = cv2.resize(grey, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
        found = classifier.detectMultiScale3(cv2.equalizeHist(grey), 1.1, 3, minSize=(32, 32), outputRejectLevels=True)
        return np.asarray(found[0])

    return find
