"""The polls of one operation where the server has neither List nor Wait, in virtual time: ours beside the official futures'.

The official schedules are taken from google-api-core as it is installed, ours from `Polling`.
"""

from __future__ import annotations

import itertools
import random
import statistics
from collections.abc import Callable, Iterator

from benchmarks import Row, Table
from vision_grpc import Polling

OURS, FUTURE, TASK = "vision_grpc", "official future", "official async future"
_OPERATIONS = 4000


def _ours() -> Iterator[float]:
    polling = Polling()
    return (polling.interval(polls, random.random()) for polls in itertools.count(1))


def _future() -> Iterator[float]:
    from google.api_core.future.polling import DEFAULT_POLLING as POLLING
    from google.api_core.retry import exponential_sleep_generator

    return exponential_sleep_generator(POLLING._initial, POLLING._maximum, POLLING._multiplier)  # type: ignore[no-any-return]


def _task() -> Iterator[float]:
    from google.api_core.future.async_future import DEFAULT_RETRY as RETRY
    from google.api_core.retry import exponential_sleep_generator

    return exponential_sleep_generator(RETRY._initial, RETRY._maximum, RETRY._multiplier)  # type: ignore[no-any-return]


SCHEDULES: dict[str, Callable[[], Iterator[float]]] = {OURS: _ours, FUTURE: _future, TASK: _task}


def simulate(*durations: float) -> list[Table]:
    """A table for each duration: operations that end evenly over so many seconds, their polls and the lag until the last."""
    return [_table(duration) for duration in durations]


def _table(duration: float) -> Table:
    rows = []
    for name, schedule in SCHEDULES.items():
        polls, lags = 0, []
        for index in range(_OPERATIONS):
            end = duration * (index + 0.5) / _OPERATIONS
            now, pauses = 0.0, schedule()
            polls += 1  # the first is made at once
            while now < end:
                now += next(pauses)
                polls += 1
            lags.append(now - end)
        lags.sort()
        p99 = lags[int(len(lags) * 0.99)]
        figures = {"polls an operation": polls / _OPERATIONS, "lag mean s": statistics.fmean(lags), "lag p99 s": p99}
        rows.append(Row(name, figures=figures))
    return Table(f"simulated: the polls of operations that end evenly over {duration:g} s, without List", rows)
