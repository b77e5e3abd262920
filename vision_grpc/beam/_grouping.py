"""Images gathered into batches: full ones at once, a rest at the end of its window or after a time. Knows nothing of the service.

Beam's own GroupIntoBatches would do, but for its timer of processing time, which it has also where nobody asks for one: such a
timer keeps a pipeline off DirectRunner's parallel modes.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
from apache_beam.coders import FastPrimitivesCoder, VarIntCoder
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import BagStateSpec, ReadModifyWriteStateSpec, TimerSpec, on_timer
from apache_beam.utils.timestamp import Timestamp

from vision_grpc import v1
from vision_grpc._results.join import ImageResult
from vision_grpc.beam._settings import Batch, Item, Settings, uri_of
from vision_grpc.errors import ConfigError, ImageError

FAILURES = "failures"

_INVALID_ARGUMENT = 3
_ITEMS = BagStateSpec("items", FastPrimitivesCoder())
_COUNT = ReadModifyWriteStateSpec("count", VarIntCoder())
_WINDOW_END = TimerSpec("window_end", TimeDomain.WATERMARK)
_TIME_UP = TimerSpec("time_up", TimeDomain.REAL_TIME)
_ITEMS_OF_KEY, _COUNT_OF_KEY = map(beam.DoFn.StateParam, (_ITEMS, _COUNT))
_AT_WINDOW_END, _AT_TIME_UP = map(beam.DoFn.TimerParam, (_WINDOW_END, _TIME_UP))


class Check(beam.DoFn):  # type: ignore[misc]
    """Makes an Item of each element, with its shard as the key; what no request can hold goes to the failures.

    So does what is not of the declared type of the elements, which decides how results are stored: `pairs` says whether they
    are all pairs, or none is; None where they may be both.
    """

    def __init__(self, settings: Settings, shards: int, pairs: bool | None) -> None:
        self._settings = settings
        self._shards = shards
        self._pairs = pairs
        self._failed = beam.metrics.Metrics.counter("vision_grpc", "images_failed")

    def process(self, element: Any) -> Iterator[Any]:
        try:
            key, image = self._settings.check(element)
            if self._pairs not in (None, bool(key)):
                found = "a" if key else "no"
                raise ConfigError(f"the element is {found} pair, and the type of the elements says otherwise: mend their type hint")
        except ConfigError as error:
            self._failed.inc()
            key = element[:1] if isinstance(element, tuple) and len(element) == 2 and self._pairs is not False else ()
            yield beam.pvalue.TaggedOutput(FAILURES, keyed(key, _refused(uri_of(element), str(error))))
            return
        yield self._shard(image), (key, image)

    def _shard(self, image: str | bytes) -> int:
        if self._shards == 1:
            return 0
        raw = image.encode() if isinstance(image, str) else image
        return int.from_bytes(hashlib.blake2b(raw, digest_size=8).digest()) % self._shards


def keyed(key: tuple[Any, ...], result: ImageResult) -> Any:
    """The result as its element came: in a pair with its key, or alone."""
    return (*key, result) if key else result


def _refused(uri: str, message: str) -> ImageResult:
    return ImageResult(0, uri, v1.AnnotateImageResponse(), ImageError(_INVALID_ARGUMENT, message, index=0, uri=uri))


class Gather(beam.DoFn):  # type: ignore[misc]
    """Batches of at most `request_size` images of one shard and window; rests at the window's end."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def process(
        self,
        element: tuple[int, Item],
        window: Any = beam.DoFn.WindowParam,
        items: Any = _ITEMS_OF_KEY,
        count: Any = _COUNT_OF_KEY,
        window_end: Any = _AT_WINDOW_END,
    ) -> Iterable[Batch]:
        items.add(element[1])
        total = (count.read() or 0) + 1
        if total >= self._settings.request_size:
            return self._flush(items, count)
        count.write(total)
        if total == 1:
            # Its last moment: what a timer brings bears the time for which it was set, and must lie in the window.
            window_end.set(window.max_timestamp())
        return []

    @on_timer(_WINDOW_END)  # type: ignore[untyped-decorator]
    def at_the_end(self, items: Any = _ITEMS_OF_KEY, count: Any = _COUNT_OF_KEY) -> Iterable[Batch]:
        return self._flush(items, count)

    def _flush(self, items: Any, count: Any) -> list[Batch]:
        gathered = list(items.read())
        items.clear()
        count.clear()
        return [self._settings.batch(gathered)] if gathered else []


class GatherInTime(Gather):
    """As Gather, and no image waits longer than `max_wait` seconds for others."""

    def __init__(self, settings: Settings, max_wait: float) -> None:
        super().__init__(settings)
        self._max_wait = max_wait

    def process(
        self,
        element: tuple[int, Item],
        window: Any = beam.DoFn.WindowParam,
        items: Any = _ITEMS_OF_KEY,
        count: Any = _COUNT_OF_KEY,
        window_end: Any = _AT_WINDOW_END,
        time_up: Any = _AT_TIME_UP,
    ) -> Iterable[Batch]:
        # The parameters are named once more, for Beam reads from them what state and timers there are.
        if not count.read():
            time_up.set(Timestamp.of(time.time() + self._max_wait))
        full = super().process(element, window, items, count, window_end)
        if full:
            time_up.clear()
        return full

    @on_timer(_TIME_UP)  # type: ignore[untyped-decorator]
    def in_time(self, items: Any = _ITEMS_OF_KEY, count: Any = _COUNT_OF_KEY) -> Iterable[Batch]:
        return self._flush(items, count)
