"""What a job tells the outside: log records with structured extras, and OpenTelemetry's counters where its API is installed.

No secret and no annotation passes through here: numbers, names of operations, prefixes and the service's own words.
"""

from __future__ import annotations

import logging
from typing import Any

_log = logging.getLogger("vision_grpc.job")


def _meter() -> Any:
    try:
        from opentelemetry import metrics
    except ImportError:
        return None
    return metrics.get_meter("vision_grpc")


def trace_metadata() -> list[tuple[str, str]]:
    """The current trace context as gRPC metadata; empty without OpenTelemetry, or outside of a trace."""
    try:
        from opentelemetry import propagate
    except ImportError:
        return []
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    return [(key.lower(), value) for key, value in carrier.items()]


class Telemetry:
    """The log records and metrics of one job."""

    def __init__(self, job: str) -> None:
        self._job = job
        meter = _meter()
        self._images = meter and meter.create_counter("vision.job.images", "{image}", "Images by what became of them")
        self._requests = meter and meter.create_counter("vision.job.requests", "{request}", "Requests by what became of them")
        self._submit = meter and meter.create_histogram("vision.job.submit.duration", "s", "From intent to the service's answer")
        self._operation = meter and meter.create_histogram("vision.job.operation.duration", "s", "From acceptance to the end")

    def event(self, words: str, *, level: int = logging.INFO, **extras: object) -> None:
        """One log record; extras arrive as attributes ``vision_<name>``."""
        if _log.isEnabledFor(level):
            fields = {"vision_job": self._job, **{f"vision_{name}": value for name, value in extras.items()}}
            told = ", ".join(f"{name} {value}" for name, value in extras.items() if value is not None)
            _log.log(level, "%s%s", words, f" ({told})" if told else "", extra=fields)

    def request(self, outcome: str, *, seconds: float | None = None) -> None:
        """A submit was answered: accepted, refused, unsent, doubted or rejected."""
        if self._requests:
            self._requests.add(1, {"outcome": outcome})
        if self._submit and seconds is not None:
            self._submit.record(seconds, {"outcome": outcome})

    def operation(self, code: str, seconds: float | None) -> None:
        """An operation ended, with this code."""
        if self._requests:
            self._requests.add(1, {"outcome": "ended", "code": code})
        if self._operation and seconds is not None:
            self._operation.record(seconds, {"code": code})

    def images(self, ok: int, failed: int, again: int) -> None:
        """Images were handed out, or are sent again."""
        if self._images:
            for state, count in (("ok", ok), ("failed", failed), ("again", again)):
                if count:
                    self._images.add(count, {"state": state})
