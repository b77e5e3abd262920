"""Objects in memory, and a job against a server in this process: fast enough for thousands of operations."""

from __future__ import annotations

import bisect
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from vision_grpc import AsyncClient, JobIncomplete, Polling, v1
from vision_grpc.emulator import Emulator
from vision_grpc.job import AnnotationJob
from vision_grpc.objects import ObjectInfo


class Memory:
    """Objects that are bytes in memory; pictures gs://photos/<n>.jpg are there for every number and hold it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._objects: dict[str, bytes] = {}
        self._names: list[str] = []

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        with self._lock:
            start = bisect.bisect_left(self._names, prefix)
            found = []
            for name in self._names[start:]:
                if not name.startswith(prefix):
                    break
                found.append(ObjectInfo(name, len(self._objects[name])))
        return iter(found)

    def read(self, uri: str) -> bytes:
        if uri.startswith("gs://photos/"):
            return uri.removeprefix("gs://photos/").removesuffix(".jpg").encode()
        with self._lock:
            if uri not in self._objects:
                raise FileNotFoundError(f"{uri} does not exist.")
            return self._objects[uri]

    def write(self, uri: str, data: bytes, content_type: str = "application/octet-stream") -> None:
        with self._lock:
            if uri not in self._objects:
                bisect.insort(self._names, uri)
            self._objects[uri] = data

    def delete(self, uri: str) -> None:
        with self._lock:
            self._names.remove(uri)
            del self._objects[uri]

    def exists(self, uri: str) -> bool:
        return uri.startswith("gs://photos/") or uri in self._objects

    def size(self, uri: str) -> int:
        return len(self.read(uri))


class Annotators:
    """Annotates each picture with its number, counts how often, and fails those that it is told to.

    Attributes:
        seen: How often each picture was annotated, which is how often the server worked for it, and would bill it.
        errors: The error codes of a picture's first tries, in order.
    """

    def __init__(self, errors: dict[int, list[int]] | None = None) -> None:
        self.seen: Counter[int] = Counter()
        self.errors = errors or {}
        self._lock = threading.Lock()

    def __call__(self, content: bytes, _: bytes) -> bytes:
        number = int(content)
        with self._lock:
            self.seen[number] += 1
            codes = self.errors.get(number)
            code = codes.pop(0) if codes else 0
        response = v1.AnnotateImageResponse(text_annotations=[v1.EntityAnnotation(description=content.decode())])
        if code:
            response.error.code, response.error.message = code, f"Scripted for gs://photos/{number}.jpg"
        return response.SerializeToString()


class Stage:
    """A server in this process, its objects, and jobs on them."""

    def __init__(self, folder: Path, *, errors: dict[int, list[int]] | None = None, **server: Any) -> None:
        self.folder = folder
        self.objects = Memory()
        self.annotators = Annotators(errors)
        self.server = Emulator(objects=self.objects, annotator=self.annotators, **server).start()

    def client(self, **settings: Any) -> AsyncClient:
        return AsyncClient(emulator=self.server.target, polling=Polling(initial=0.01, maximum=0.05), **settings)

    def job(self, images: int, client: Any, **settings: Any) -> AnnotationJob:
        defaults: dict[str, Any] = {
            "features": "text",
            "output": "gs://out/run",
            "ledger": self.folder / "job.db",
            "request_size": 4,
            "requests_per_minute": 1_000_000,
            "grace": 0.05,
            "rest": 0.02,
            "objects": self.objects,
        }
        inputs = settings.pop("inputs", [f"gs://photos/{index}.jpg" for index in range(images)])
        return AnnotationJob(inputs, client=client, **{**defaults, **settings})

    def calls(self, method: str) -> int:
        """How many calls of a method have arrived."""
        return sum(call.method == method for call in self.server.calls)

    def submits(self) -> list[Any]:
        return [call.message for call in self.server.calls if call.method == "AsyncBatchAnnotateImages"]

    def close(self) -> None:
        self.server.stop()


def check(results: list[Any], images: int, *, failed: set[int] = frozenset()) -> None:  # type: ignore[assignment]
    """Each image has exactly one result, its own."""
    assert sorted(result.index for result in results) == list(range(images))
    for result in results:
        assert result.uri == f"gs://photos/{result.index}.jpg"
        assert (result.index in failed) == (not result.ok), result
        if result.ok:
            assert result.response.text_annotations[0].description == str(result.index)


async def take(job: AnnotationJob) -> list[Any]:
    """All that a job hands out."""
    async with job:
        return [result async for result in job]


async def take_some(job: AnnotationJob) -> tuple[list[Any], JobIncomplete]:
    """What a job hands out before it says that some results are missing."""
    results = []
    async with job:
        with pytest.raises(JobIncomplete, match="nothing is lost: resume") as missing:
            async for result in job:
                results.append(result)
    return results, missing.value
