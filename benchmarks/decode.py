"""JSON shards to messages: this package, json_format, google-cloud-vision, Buf's protobuf-py, and orjson alone as the yardstick.

The shards are made here, of the size and in the layout (indented proto3 JSON) that the service's have. Every way's result is
compared with json_format's before it is timed. Python's garbage collector is on, as it is in a user's program.
"""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
from google.cloud import vision
from google.protobuf import json_format

from benchmarks import Row, Table, compare
from benchmarks._protobuf_py import from_json
from vision_grpc import v1
from vision_grpc._json.decode import decode_shard
from vision_grpc._json.shape import shadow_class
from vision_grpc.messages import to_json

READER = """
import re, sys
from vision_grpc.results import read_results
count = sum(1 for _ in read_results(sys.argv[1]))
print(count, re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1])
"""  # Linux alone; getrusage would say the peak of the parent that started the process
_TEXT = (
    "the of and to in is was that for on are with as his they be at one have this from or had by hot but some what there we can out "
    "other were all your when up use word how said an each she which do their time if will way about many then them would write like"
)
WORDS = _TEXT.split()


def run(rounds: int) -> list[Table]:
    """Times the three kinds of shards, then measures the memory of reading 100,000 results."""
    chance = random.Random(4)
    shards = {
        "20 dense pages of text": [dense(chance, index) for index in range(20)],
        "100 images with ten labels": [labels(chance, index) for index in range(100)],
        "100 images, mixed": [mixed(chance, index) for index in range(100)],
    }
    with from_json() as by_buf:
        batches = {name: v1.BatchAnnotateImagesResponse(responses=responses) for name, responses in shards.items()}
        tables = [_compared(name, batch, by_buf, rounds) for name, batch in batches.items()]
    return [*tables, _memory()]


def _compared(name: str, batch: v1.BatchAnnotateImagesResponse, by_buf: Callable[[bytes], Any], rounds: int) -> Table:
    text = to_json(batch, indent=True).encode()

    def ours() -> list[v1.AnnotateImageResponse]:
        return [v1.AnnotateImageResponse.FromString(wire) for wire in decode_shard(v1.BatchAnnotateImagesResponse, text)]

    shadow = shadow_class(v1.AnnotateImageResponse.DESCRIPTOR)

    def floor() -> list[v1.AnnotateImageResponse]:
        trees = orjson.loads(text)["responses"]
        return [v1.AnnotateImageResponse.FromString(shadow(**tree).SerializeToString()) for tree in trees]

    def by_json_format() -> v1.BatchAnnotateImagesResponse:
        return json_format.Parse(text, v1.BatchAnnotateImagesResponse(), ignore_unknown_fields=True)

    def by_google_cloud_vision() -> vision.BatchAnnotateImagesResponse:
        batch: vision.BatchAnnotateImagesResponse = vision.BatchAnnotateImagesResponse.from_json(text, ignore_unknown_fields=True)
        return batch

    reference = by_json_format()
    assert reference == batch
    assert ours() == list(reference.responses)
    assert vision.BatchAnnotateImagesResponse.serialize(by_google_cloud_vision()) == reference.SerializeToString()
    assert v1.BatchAnnotateImagesResponse.FromString(by_buf(text).to_binary()) == reference
    contenders: dict[str, Callable[[], object]] = {
        "orjson.loads alone": lambda: orjson.loads(text),
        "the same into protobuf, nothing looked at": floor,
        "vision_grpc": ours,
        "json_format.Parse": by_json_format,
        "Buf's protobuf-py from_json": lambda: by_buf(text),
        "google-cloud-vision from_json": by_google_cloud_vision,
    }
    sizes = f"{len(text) / 1e6:.1f} MB of JSON, {batch.ByteSize() / 1e6:.2f} MB of protobuf"
    table = compare(f"{name} ({sizes}); results equal", contenders, rounds)
    if "dense" in name:
        table.aim(f"CPU ÷ orjson alone: {name}", "vision_grpc", "orjson.loads alone", at_most=2.0)
    table.aim(f"CPU, json_format ÷ vision_grpc: {name}", "vision_grpc", "json_format.Parse", at_least=5)
    return table


def _memory() -> Table:
    """Reads 10,000 and 100,000 results in processes of their own, and compares their peaks."""
    chance = random.Random(4)
    text = to_json(v1.BatchAnnotateImagesResponse(responses=[mixed(chance, index) for index in range(100)]), indent=True)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        first = Path(folder, "output-1-to-100.json")
        first.write_text(text)
        for shards in (1, 100, 1000):
            for number in range(1, shards):
                path = Path(folder, f"output-{number * 100 + 1}-to-{number * 100 + 100}.json")
                if not path.exists():
                    path.hardlink_to(first)
            done = subprocess.run([sys.executable, "-c", READER, folder], capture_output=True, text=True, check=True)
            count, peak = done.stdout.split()
            rows.append(
                Row(
                    f"{int(count):,} results",
                    figures={"JSON": f"{len(text) * shards / 1e6:,.0f} MB", "peak RSS": f"{int(peak) / 1024:.0f} MB"},
                )
            )
    return Table("read_results, the peak of the whole process", rows)


def box(chance: random.Random) -> v1.BoundingPoly:
    x, y, width, height = chance.randrange(2000), chance.randrange(3000), chance.randrange(5, 60), chance.randrange(8, 40)
    corners = ((x, y), (x + width, y), (x + width, y + height), (x, y + height))
    return v1.BoundingPoly(vertices=[v1.Vertex(x=a, y=b) for a, b in corners])


def dense(chance: random.Random, index: int, paragraphs: int = 16, words: int = 13) -> v1.AnnotateImageResponse:
    """A page of text: blocks, paragraphs, words, symbols, each with its box, confidence and language."""
    response = _response(index)
    language = v1.TextAnnotation.DetectedLanguage(language_code="en", confidence=0.97)
    page = response.full_text_annotation.pages.add(width=2480, height=3508, confidence=0.96)
    text = []
    for _ in range(paragraphs // 2):
        block = page.blocks.add(bounding_box=box(chance), block_type=v1.Block.BlockType.TEXT, confidence=chance.random())
        for _ in range(2):
            paragraph = block.paragraphs.add(bounding_box=box(chance), confidence=chance.random())
            for _ in range(words):
                text.append(chance.choice(WORDS))
                word = paragraph.words.add(bounding_box=box(chance), confidence=chance.random())
                word.property.detected_languages.append(language)
                for letter in text[-1]:
                    symbol = word.symbols.add(bounding_box=box(chance), text=letter, confidence=chance.random())
                    symbol.property.detected_languages.append(language)
                symbol.property.detected_break.type = v1.TextAnnotation.DetectedBreak.BreakType.SPACE
    response.full_text_annotation.text = " ".join(text)
    for description in (" ".join(text), *text):
        response.text_annotations.add(description=description, bounding_poly=box(chance))
    return response


def labels(chance: random.Random, index: int) -> v1.AnnotateImageResponse:
    """Ten labels."""
    response = _response(index)
    for _ in range(10):
        score = chance.random()
        response.label_annotations.add(
            mid=f"/m/0{chance.randrange(10**5)}", description=chance.choice(WORDS), score=score, topicality=score
        )
    return response


def mixed(chance: random.Random, index: int) -> v1.AnnotateImageResponse:
    """Labels, faces, colours, crop hints, some text; every tenth image failed."""
    response = labels(chance, index)
    if index % 10 == 9:
        response = _response(index)
        response.error.code, response.error.message = 3, "Bad image data."
        return response
    for _ in range(index % 3):
        face = response.face_annotations.add(bounding_poly=box(chance), detection_confidence=chance.random(), roll_angle=-chance.random())
        for kind in range(1, 30):
            place = v1.Position(x=chance.random() * 100, y=chance.random() * 100, z=chance.random())
            face.landmarks.add(type=kind, position=place)
    for _ in range(10):
        colour = response.image_properties_annotation.dominant_colors.colors.add(score=chance.random(), pixel_fraction=chance.random())
        colour.color.red, colour.color.green = chance.randrange(256), chance.randrange(256)
    response.crop_hints_annotation.crop_hints.add(bounding_poly=box(chance), confidence=1, importance_fraction=chance.random())
    if index % 5 == 0:
        response.MergeFrom(dense(chance, index, paragraphs=2, words=6))
    return response


def _response(index: int) -> v1.AnnotateImageResponse:
    return v1.AnnotateImageResponse(context=v1.ImageAnnotationContext(uri=f"gs://bucket/pictures/{index}.jpg"))
