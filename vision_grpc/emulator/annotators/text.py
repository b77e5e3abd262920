"""TEXT_DETECTION and DOCUMENT_TEXT_DETECTION: what is written in a picture, by RapidOCR on onnxruntime.

The models lie inside RapidOCR's wheel; nothing is downloaded, and nothing is sent anywhere. Both features give the same answer: one
reader serves both.
"""

import logging
import os
import threading
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from vision_grpc import v1
from vision_grpc.emulator.annotators import layout
from vision_grpc.emulator.annotators.picture import Picture

# Lower than this no letter is legible, and RapidOCR would blow the picture up to thousands of pixels.
_LOWEST = 8
_SETTINGS = {
    "Global.log_level": "critical",
    "Global.use_cls": False,
    "Global.return_word_box": True,
    "Global.return_single_char_box": True,
    # The default enlarges small pictures to 736 pixels along the shorter edge, which costs a logo a second and 800 MB.
    "Det.limit_type": "max",
    "Det.limit_side_len": 960,
    "EngineConfig.onnxruntime.enable_cpu_mem_arena": False,
    # Pictures are annotated beside each other, which uses the processors better than splitting one picture's work.
    "EngineConfig.onnxruntime.intra_op_num_threads": 1,
    "EngineConfig.onnxruntime.inter_op_num_threads": 1,
}
_OPENING = "([{<«“‘\"'"
_CLOSING = ")]}>»”’\"'.,;:!?…"
_Break = v1.TextAnnotation.DetectedBreak.BreakType
_BREAKS = {" ": _Break.SPACE, "\t": _Break.SURE_SPACE}
_engine_lock = threading.Lock()


def annotate(picture: Picture, request: v1.AnnotateImageRequest, response: v1.AnnotateImageResponse) -> None:
    """Adds ``text_annotations``, the whole text first and then its words, and ``full_text_annotation``.

    Adds neither where nothing is written. ``max_results`` does not apply to text, as Feature says. ``language_hints`` change
    nothing: one model reads all its scripts at once, and which language it read it does not know, so that no language is
    named. ``text`` is the symbols with their breaks put in (" " for SPACE and SURE_SPACE, a newline for EOL_SURE_SPACE and
    LINE_BREAK), without the newline at its end, as the service answers.
    """
    blocks = layout.read(_recognise(picture))
    if not blocks:
        return
    annotation = v1.TextAnnotation()
    page = annotation.pages.add(width=picture.width, height=picture.height)
    text: list[str] = []
    words: list[v1.EntityAnnotation] = []
    for block in blocks:
        block_out = page.blocks.add(block_type=v1.Block.BlockType.TEXT, bounding_box=picture.polygon(block.quad))
        for paragraph in block.paragraphs:
            out = block_out.paragraphs.add(bounding_box=picture.polygon(paragraph.quad))
            for line in paragraph.lines:
                for word in line.words:
                    _add_word(out.words.add(), word, picture)
                    written = "".join(symbol.text for symbol in word.symbols)
                    words.append(v1.EntityAnnotation(description=written, bounding_poly=out.words[-1].bounding_box))
                    text += (written, " " if word.after else "")
                end = _Break.LINE_BREAK if line is paragraph.lines[-1] else _Break.EOL_SURE_SPACE
                out.words[-1].symbols[-1].property.detected_break.type = end
                text.append("\n")
            out.confidence = _mean(word.confidence for word in out.words)
        block_out.confidence = _mean(paragraph.confidence for paragraph in block_out.paragraphs)
    page.confidence = _mean(block.confidence for block in page.blocks)
    annotation.text = "".join(text).rstrip("\n")
    corners = np.array([(vertex.x, vertex.y) for block in page.blocks for vertex in block.bounding_box.vertices])
    whole = picture.box(*corners.min(axis=0), *corners.max(axis=0))
    response.text_annotations.add(description=annotation.text, bounding_poly=whole)
    response.text_annotations.extend(words)
    response.full_text_annotation.CopyFrom(annotation)


def _add_word(out: v1.Word, word: layout.Word, picture: Picture) -> None:
    symbols = word.symbols
    first, last = symbols[0].quad, symbols[-1].quad
    out.bounding_box.CopyFrom(picture.polygon([first[0], last[1], last[2], first[3]]))
    out.confidence = _mean(symbol.confidence for symbol in symbols)
    for symbol in symbols:
        out.symbols.add(text=symbol.text, confidence=symbol.confidence, bounding_box=picture.polygon(symbol.quad))
    if word.after:
        out.symbols[-1].property.detected_break.type = _BREAKS[word.after]


def _mean(values: Any) -> float:
    return float(np.mean(list(values)))


@cache
def _engine() -> Any:
    """RapidOCR with its models loaded. Threads may share it: onnxruntime allows it, and the rest keeps no state."""
    # onnxruntime's wheels make a device id in the user's home and send Microsoft the program's path and the machine's kind, unless
    # this is set before they are imported; what the environment says already stands.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import rapidocr
    from rapidocr.main import RapidOCR

    models = Path(rapidocr.__file__).parent / "models"
    paths = {}
    for part in ("det", "rec"):
        # Named outright, since RapidOCR downloads what it does not find under the name that it expects.
        found = sorted(models.glob(f"*_{part}_*.onnx"))
        if not found:
            raise RuntimeError(f"rapidocr's {models} holds no model named *_{part}_*.onnx: install rapidocr from its wheel")
        paths[f"{part.capitalize()}.model_path"] = str(found[0])
    engine = RapidOCR(params=_SETTINGS | paths)
    logging.getLogger("RapidOCR").disabled = True  # It warns of each picture without text.
    return engine


def _recognise(picture: Picture) -> list[layout.Line]:
    """The strips of text in a picture, in its own coordinates, in no particular order."""
    import cv2

    if min(picture.detail.shape[:2]) < _LOWEST:
        return []
    with _engine_lock:
        engine = _engine()
    image, record = engine.preprocess_img(cv2.cvtColor(picture.detail, cv2.COLOR_RGB2BGR))
    # Not engine(image): that pairs the confidences with the wrong symbols after the first space, and drops a line's tail.
    detected, _, recognised, crops = engine.run_ocr_steps(image, record)
    if detected.boxes is None or recognised.txts is None:
        return []
    padding, ratio = record["padding_1"], record["preprocess"]
    offset = np.array([padding["left"], padding["top"]])
    scale = np.array([ratio["ratio_w"], ratio["ratio_h"]]) * picture.scale
    strips = []
    for box, text, score, info, crop in zip(
        detected.boxes, recognised.txts, recognised.scores, recognised.word_results, crops, strict=True
    ):
        if text.strip() and score >= engine.text_score:
            quad = (np.asarray(box, dtype=np.float64) - offset) * scale
            if abs(crop.shape[1] - np.linalg.norm(box[0] - box[1])) > abs(crop.shape[1] - np.linalg.norm(box[0] - box[3])):
                quad = np.roll(quad, -1, axis=0)  # A tall strip was turned to be read, so that its text runs downwards.
            strips.append(layout.Line(_words(text, info, quad), quad))
    return strips


def _words(text: str, info: Any, quad: layout.Quad) -> list[layout.Word]:
    """Splits a recognised strip into words and places each symbol by the column in which the recogniser saw it.

    Like the service, takes punctuation at either end of a word for a word of its own.
    """
    columns = iter([column for word in info.word_cols for column in word])
    confidences = info.confs if len(info.confs) == len(text) else [float(np.mean(info.confs))] * len(text)
    inked = [(at, char) for at, char in enumerate(text) if not char.isspace()]
    centres = np.array([(next(columns) + 0.5) / info.line_txt_len for _ in inked])
    pitch = float(np.median(np.diff(centres))) if len(centres) > 1 else 1.0 / max(len(text), 1)
    middles = (centres[1:] + centres[:-1]) / 2
    lefts = np.maximum(centres - pitch / 2, np.concatenate([[0.0], middles]))
    rights = np.minimum(centres + pitch / 2, np.concatenate([middles, [1.0]]))
    words: list[layout.Word] = []
    numbered = enumerate(inked)
    # Characters of one word have the same number of white spaces before them.
    for _, run in groupby(numbered, key=lambda item: item[1][0] - item[0]):
        symbols = [layout.Symbol(char, confidences[at], _slice(quad, lefts[i], rights[i])) for i, (at, char) in run]
        words += [layout.Word(part) for part in _split(symbols)]
        words[-1].after = " "
    words[-1].after = ""
    return words


def _split(symbols: list[layout.Symbol]) -> list[list[layout.Symbol]]:
    start, end = 0, len(symbols)
    while start < end - 1 and symbols[start].text in _OPENING:
        start += 1
    while end > start + 1 and symbols[end - 1].text in _CLOSING:
        end -= 1
    return [*([each] for each in symbols[:start]), symbols[start:end], *([each] for each in symbols[end:])]


def _slice(quad: layout.Quad, left: float, right: float) -> layout.Quad:
    """The part of a strip between two shares of its length."""
    top_left, top_right, bottom_right, bottom_left = quad
    top, bottom = top_right - top_left, bottom_right - bottom_left
    return np.array([top_left + left * top, top_left + right * top, bottom_left + right * bottom, bottom_left + left * bottom])
