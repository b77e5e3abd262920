"""The output objects of an operation: found, put in order, read and decoded ahead of their use. Knows nothing of the inputs."""

from __future__ import annotations

import pickle
import re
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from itertools import islice
from multiprocessing import get_context
from typing import TYPE_CHECKING, TypeVar

from google.protobuf.json_format import ParseError

from vision_grpc._json.decode import decode_shard
from vision_grpc.errors import ConfigError, ResultsError

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from vision_grpc.objects import Objects

T = TypeVar("T")

# https://cloud.google.com/vision/docs/batch: the destination, then this, with nothing between them.
_NAME = re.compile(r"output-([1-9][0-9]*)-to-([1-9][0-9]*)\.json")
_LOOK = 1000
_AHEAD_OBJECTS = 4
_AHEAD_BYTES = 64 << 20


@dataclass(frozen=True)
class Shard:
    """One output object: the results first..last, counted from 1 and inclusive, as its name says."""

    uri: str
    size: int
    first: int
    last: int


def find_shards(objects: Objects, prefix: str) -> list[Shard]:
    """Returns the shards of the destination in the order of their numbers; "10" sorts before "2" in a listing.

    Raises ResultsError where the listing fails.
    """
    shards = []
    with _results_errors(prefix):
        for info in objects.list(prefix + "output-"):
            if name := _NAME.fullmatch(info.uri[len(prefix) :]):
                shards.append(Shard(info.uri, info.size, int(name[1]), int(name[2])))
    return sorted(shards, key=lambda shard: (shard.first, shard.last))


def destination_of(uri: str) -> str | None:
    """The prefix to which an operation wrote this object; None where it bears no output object's name."""
    prefix, output, numbers = uri.rpartition("output-")
    return prefix if _NAME.fullmatch(output + numbers) else None


def folders_below(objects: Objects, prefix: str) -> list[str]:
    """The folders in which output objects lie whose names begin with `prefix`, as far as the first thousand objects there tell."""
    folders: dict[str, None] = {}
    with _results_errors(prefix):
        for info in islice(objects.list(prefix), _LOOK):
            folder, slash, name = info.uri.rpartition("/")
            if _NAME.fullmatch(name):
                folders[folder + slash] = None
    return list(folders)


def load_shards(
    objects: Objects, shards: list[Shard], version: str, workers: int | None
) -> Iterator[tuple[Shard, list[bytes] | ResultsError]]:
    """Yields each shard with the bytes of its responses, or with what is wrong with it, in the order given.

    Without workers, up to four objects (or 64 MiB, if that is less) are read ahead by threads and decoded here. With workers,
    as many processes read and decode, up to two shards each ahead of their use.

    Raises ResultsError where a worker process dies, which says nothing about any shard.
    """
    if workers is None:
        with _closing(ThreadPoolExecutor(_AHEAD_OBJECTS, "vision-grpc-read")) as threads:
            for shard, reading in _ahead(shards, lambda shard: threads.submit(_read, objects, shard.uri), _AHEAD_OBJECTS, _AHEAD_BYTES):
                try:
                    yield shard, _decode(reading.result(), shard.uri, version)
                except ResultsError as error:
                    yield shard, error
        return
    # A forked child would inherit gRPC's locks and threads' state; a fresh process costs a tenth of a second.
    spawn = get_context("spawn")
    next_uri = ""
    try:
        with _closing(ProcessPoolExecutor(workers, spawn, _begin_worker, (objects, version))) as processes:
            for shard, loading in _ahead(shards, lambda shard: processes.submit(_load_in_worker, shard.uri), 2 * workers, None):
                next_uri = shard.uri
                try:
                    yield shard, loading.result()
                except ResultsError as error:
                    yield shard, error
    except BrokenProcessPool as error:
        uri = next_uri or shards[0].uri
        words = f'{uri} was not read: a worker process died, or the script lacks the `if __name__ == "__main__"` guard that workers needs.'
        raise ResultsError(words, uri=uri) from error


def check_travels(objects: Objects) -> None:
    """Raises ConfigError where the objects cannot be sent to worker processes."""
    try:
        pickle.dumps(objects)
    except Exception as error:
        # Whatever an object's own pickling raises.
        raise ConfigError(f"workers needs objects that can be pickled, for its processes: {error}") from error


def _ahead(
    shards: list[Shard], start: Callable[[Shard], Future[T]], most_objects: int, most_bytes: int | None
) -> Iterator[tuple[Shard, Future[T]]]:
    waiting: deque[tuple[Shard, Future[T]]] = deque()
    size = 0
    for shard in shards:
        while waiting and (len(waiting) >= most_objects or (most_bytes is not None and size + shard.size > most_bytes)):
            size -= waiting[0][0].size
            yield waiting.popleft()
        waiting.append((shard, start(shard)))
        size += shard.size
    yield from waiting


@contextmanager
def _closing(executor: Executor) -> Iterator[Executor]:
    try:
        yield executor
    except BaseException:
        # What is being read for a reader that has left ends by itself.
        executor.shutdown(wait=False, cancel_futures=True)
        raise
    executor.shutdown()


def _read(objects: Objects, uri: str) -> bytes:
    with _results_errors(uri):
        return objects.read(uri)


def _decode(data: bytes, uri: str, version: str) -> list[bytes]:
    try:
        return decode_shard(_batch_class(version), data)
    except ParseError as error:
        raise ResultsError(f"{uri} is cut off, or is not the JSON of a BatchAnnotateImagesResponse: {error}", uri=uri) from error


def _batch_class(version: str) -> type[Message]:
    message_class: type[Message] = import_module(f"vision_grpc.{version}").BatchAnnotateImagesResponse
    return message_class


_worker: tuple[Objects, str]


def _begin_worker(objects: Objects, version: str) -> None:
    global _worker
    _worker = (objects, version)


def _load_in_worker(uri: str) -> list[bytes]:
    objects, version = _worker
    return _decode(_read(objects, uri), uri, version)


@contextmanager
def _results_errors(uri: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ResultsError(f"{uri} cannot be read: {error}", uri=uri) from error
