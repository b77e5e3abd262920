"""Output objects read and decoded, each on whichever worker is free. Listed before, in another stage."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from typing import TYPE_CHECKING, Any

import apache_beam as beam
from apache_beam.metrics import Metrics

from vision_grpc._job.settle import written
from vision_grpc._results.join import ImageResult, join
from vision_grpc._results.shards import Shard, destination_of, find_shards, load_shards
from vision_grpc.beam._grouping import FAILURES, keyed
from vision_grpc.errors import ImageError, ResultsError
from vision_grpc.objects import open_objects

if TYPE_CHECKING:
    from vision_grpc.beam._settings import Batch, Key
    from vision_grpc.objects import Objects

_DATA_LOSS = 15


@dataclass(frozen=True)
class Unit:
    """Results that are read together: mostly those of one output object.

    Attributes:
        shards: The objects; their numbers count from 1 within the unit.
        first: The index in its request of the unit's first result, from 0.
        version: Whose messages are made.
        uris: The images, in order; None where they are not known, and the objects tell.
        keys: The images' keys.
        code, message: Why an image that is not in the objects has no result; None where it should be there.
    """

    destination: str
    shards: tuple[Shard, ...]
    first: int
    version: str
    uris: tuple[str, ...] | None = None
    keys: tuple[Key, ...] | None = None
    code: int | None = None
    message: str | None = None


def units(objects: Objects, batch: Batch, prefix: str, version: str, code: int | None, message: str | None) -> list[Unit]:
    """What is to be read of a batch whose operation has ended: every image is in one unit.

    Raises:
        ResultsError: The objects cannot be listed.
    """
    uris = tuple(batch.part.uris())
    # v1p1beta1's operations write what v1's do.
    whole = Unit(prefix, (), 0, "v1p4beta1" if version == "v1p4beta1" else "v1", uris, batch.keys, code, message)
    shards = find_shards(objects, prefix)
    if not written([(shard.first, shard.last) for shard in shards], len(uris)):
        # Some are missing, or their names do not say all: they are judged together.
        return [replace(whole, shards=tuple(shards))]
    return [
        replace(unit, uris=uris[unit.first : shard.last], keys=batch.keys[unit.first : shard.last])
        for shard in shards
        for unit in [_alone(whole, shard)]
    ]


def _alone(whole: Unit, shard: Shard) -> Unit:
    return replace(whole, shards=(replace(shard, first=1, last=shard.last - shard.first + 1),), first=shard.first - 1)


def destinations(objects: Objects, output: str) -> list[str]:
    """The prefixes to which operations have written: `output` itself, and those in the folder of that name. Raises OSError."""
    found = dict.fromkeys(destination_of(info.uri) for info in objects.list(output))
    folder = output.rstrip("/") + "/"
    return [prefix for prefix in found if prefix is not None and (prefix == output or prefix.startswith(folder))]


def existing(objects: Objects, destination: str, version: str) -> list[Unit]:
    """The output objects of a destination, each as a unit.

    Raises:
        ResultsError: They cannot be listed, overlap, or leave a gap.
    """
    shards = find_shards(objects, destination)
    if shards and not written([(shard.first, shard.last) for shard in shards], shards[-1].last):
        due = 1
        for shard in shards:
            if shard.first != due:
                words = "overlaps the object before it" if shard.first < due else f"follows a gap: the results from {due} on are missing"
                raise ResultsError(f"{shard.uri} {words}.", uri=shard.uri)
            due = shard.last + 1
    return [_alone(Unit(destination, (), 0, version), shard) for shard in shards]


class Read(beam.DoFn):  # type: ignore[misc]
    """One result for every image of a unit; those with an error go to the failures, where that output is wanted."""

    def __init__(self, objects: Objects | None, *, apart: bool) -> None:
        self._given = objects
        self._objects: Objects | None = None
        self._apart = apart
        self._ok = Metrics.counter("vision_grpc", "images_ok")
        self._failed = Metrics.counter("vision_grpc", "images_failed")
        self._bytes = Metrics.distribution("vision_grpc", "shard_bytes")
        self._took = Metrics.distribution("vision_grpc", "shard_milliseconds")

    def process(self, unit: Unit) -> Iterator[Any]:
        if self._objects is None:
            self._objects = self._given or open_objects(unit.destination)[0]
        begun = time.monotonic()
        for index, result in read(self._objects, unit):
            (self._ok if result.ok else self._failed).inc()
            key = unit.keys[index] if unit.keys else ()
            value = keyed(key, result)
            yield value if result.ok or not self._apart else beam.pvalue.TaggedOutput(FAILURES, value)
        took = int((time.monotonic() - begun) * 1000)
        for shard in unit.shards:
            self._bytes.update(shard.size)
            # They are read as one: each took its part.
            self._took.update(took // len(unit.shards))


def read(objects: Objects, unit: Unit) -> Iterator[tuple[int, ImageResult]]:
    """Yields a result for every image of the unit, with its index there.

    Raises:
        ResultsError: An object cannot be read now; or, where the images are not known, it is damaged.
    """
    problems: list[ResultsError] = []

    def report(error: ResultsError) -> None:
        # What another try may mend, Beam tries again.
        if unit.uris is None or isinstance(error.__cause__, OSError):
            raise error
        problems.append(error)

    response_class = import_module(f"vision_grpc.{unit.version}").AnnotateImageResponse
    loaded = load_shards(objects, list(unit.shards), unit.version, None)
    missing = set(range(len(unit.uris or ())))
    for result in join(loaded, response_class.FromString, unit.uris, unit.destination, report):
        missing.discard(result.index)
        yield result.index, _placed(result, unit.first)
    if unit.uris is not None:
        code, message = (unit.code, unit.message) if unit.code is not None else (_DATA_LOSS, " ".join(map(str, problems)))
        for index in sorted(missing):
            yield index, _failed(unit.uris, index, unit.first, code, message or "the service gave no words", response_class())


def _placed(result: ImageResult, first: int) -> ImageResult:
    if not first:
        return result
    index, error = first + result.index, result.error
    if error is not None:
        error = ImageError(error.code, error.message, index=index, uri=error.uri, details=error.details)
    return ImageResult(index, result.uri, result.response, error)


def _failed(uris: Sequence[str], index: int, first: int, code: int, message: str, response: Any) -> ImageResult:
    place = first + index
    return ImageResult(place, uris[index], response, ImageError(code, message, index=place, uri=uris[index]))
