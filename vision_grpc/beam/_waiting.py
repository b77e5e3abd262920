"""Batches sent and waited for, in two ways: put off between two looks, which holds no thread, or all of a bundle's by one thread."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
from apache_beam.io.iobase import RestrictionProgress, RestrictionTracker
from apache_beam.metrics import Metrics
from apache_beam.transforms.core import RestrictionProvider
from apache_beam.transforms.window import WindowedValue
from apache_beam.utils.timestamp import Duration

from vision_grpc.beam._follow import Known, Visit, visit
from vision_grpc.beam._process import Process
from vision_grpc.beam._reading import Unit, units
from vision_grpc.beam._settings import Batch, Settings

_HOLD = 1.0
"""Seconds that a visit which comes too early waits in place. Some runners resume at once, whatever delay they are asked for."""

_PUNCTUAL = 0.02
_LONGEST_DELAY = 120.0


class _Send(beam.DoFn):  # type: ignore[misc]
    """What both ways have in common: the process they belong to, and what they count."""

    _process: Process

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._submit = Metrics.distribution("vision_grpc", "submit_milliseconds")
        self._images = Metrics.distribution("vision_grpc", "request_images")

    def setup(self) -> None:
        self._process = Process.enter(self._settings)

    def teardown(self) -> None:
        # Beam also tears down what was never set up.
        if self.__dict__.pop("_process", None) is not None:
            Process.leave(self._settings)

    def _visit(self, batch: Batch, known: Known) -> Visit:
        return visit(self._process, batch, self._prefix(batch), known)

    def _prefix(self, batch: Batch) -> str:
        return self._settings.prefix(batch, self._process.service.version)

    def _units(self, batch: Batch, now: Visit) -> list[Unit]:
        process = self._process
        return units(process.objects, batch, self._prefix(batch), process.service.version, now.code, now.message)

    def _count(self, batch: Batch, now: Visit) -> None:
        for name in now.counts:
            Metrics.counter("vision_grpc", name).inc()
        if now.submit_seconds is not None:
            self._submit.update(int(now.submit_seconds * 1000))
            self._images.update(batch.part.images)


class SendAndWait(_Send):
    """Sends the batches of a bundle as they come, and waits at its end for all of them, in one thread."""

    def start_bundle(self) -> None:
        self._waiting: list[tuple[Known, Batch, Any, Any]] = []

    def process(self, element: Batch, window: Any = beam.DoFn.WindowParam, timestamp: Any = beam.DoFn.TimestampParam) -> Iterator[Unit]:
        yield from self._look(Known(), element, window, timestamp)

    def finish_bundle(self) -> Iterator[WindowedValue]:
        while self._waiting:
            waiting, self._waiting = sorted(self._waiting, key=lambda entry: entry[0].due), []
            known = waiting[0][0]
            self._process.pause(min(max(0.0, known.due - time.time()), _HOLD), {other.operation for other, *_ in waiting})
            for entry in waiting:
                if entry[0].due - time.time() > _PUNCTUAL and not self._process.has_ended(entry[0].operation):
                    self._waiting.append(entry)
                    continue
                for unit in self._look(*entry):
                    yield WindowedValue(unit, entry[3], (entry[2],))

    def _look(self, known: Known, batch: Batch, window: Any, timestamp: Any) -> Iterable[Unit]:
        now = self._visit(batch, known)
        self._count(batch, now)
        if now.ended:
            return self._units(batch, now)
        self._waiting.append((now.known, batch, window, timestamp))
        return ()


@dataclass(frozen=True, slots=True)
class Wait:
    """What is left to do for a batch: everything from `known` on, or nothing."""

    known: Known
    over: bool = False


class WaitTracker(RestrictionTracker):  # type: ignore[misc]
    """A restriction that is one piece: it can be put off as a whole, and not be split."""

    def __init__(self, wait: Wait) -> None:
        self._wait = wait

    def current_restriction(self) -> Wait:
        return self._wait

    def current_progress(self) -> RestrictionProgress:
        return RestrictionProgress(fraction=1.0 if self._wait.over else 0.0)

    def try_claim(self, wait: Wait) -> bool:
        """Notes what a visit came to; False where the runner has put the rest off meanwhile, and the visit must count for nothing."""
        if self._wait.over:
            return False
        self._wait = wait
        return True

    def try_split(self, fraction_of_remainder: float) -> tuple[Wait, Wait] | None:
        if fraction_of_remainder != 0 or self._wait.over:
            return None
        residual, self._wait = self._wait, Wait(self._wait.known, over=True)
        return self._wait, residual

    def check_done(self) -> None:
        if not self._wait.over:
            raise ValueError("a batch was left before its operation ended")

    def is_bounded(self) -> bool:
        return True


class WaitProvider(RestrictionProvider):  # type: ignore[misc]
    def initial_restriction(self, element: Batch) -> Wait:
        return Wait(Known())

    def create_tracker(self, restriction: Wait) -> WaitTracker:
        return WaitTracker(restriction)

    def restriction_size(self, element: Batch, restriction: Wait) -> int:
        return 0 if restriction.over else element.part.images

    def truncate(self, element: Batch, restriction: Wait) -> Wait:
        # A pipeline that is drained waits for what it has sent: it is paid for.
        return restriction


_WAIT = beam.DoFn.RestrictionParam(WaitProvider())


class SendAndDefer(_Send):
    """Looks at a batch, and puts it off to the next look, until its operation has ended."""

    def process(self, element: Batch, tracker: Any = _WAIT) -> Iterator[Unit]:
        known = tracker.current_restriction().known
        early = min(known.due - time.time(), _LONGEST_DELAY)
        if early > _PUNCTUAL and not self._process.pause(min(early, _HOLD), {known.operation}) and early > _HOLD:
            tracker.defer_remainder(Duration.of(early - _HOLD))
            return
        now = self._visit(element, known)
        if not tracker.try_claim(Wait(now.known, over=now.ended)):
            return
        self._count(element, now)
        if now.ended:
            yield from self._units(element, now)
        else:
            tracker.defer_remainder(Duration.of(max(0.0, now.known.due - time.time())))
