"""Side-by-side measurements. ``python -m benchmarks [name …]`` prints the tables; each other module here is one benchmark.

A benchmark is a module with ``run(rounds) -> list[Table]``. Contenders take turns, so that a slow minute of the machine meets
all of them, and each is said with its median and its spread, wall time beside the CPU time of this process. A server that they
call runs in a process of its own (`_servers`), whose CPU time is not counted.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Row:
    """One contender: seconds a round (median, lowest, highest), CPU seconds, the ratios of both to the yardstick's, other figures.

    Attributes:
        walls, cpus: The seconds of each round, of which those are the medians.
    """

    name: str
    median: float | None = None
    lowest: float | None = None
    highest: float | None = None
    ratio: float | None = None
    cpu: float | None = None
    cpu_ratio: float | None = None
    figures: Mapping[str, Any] = field(default_factory=dict)
    walls: Sequence[float] = ()
    cpus: Sequence[float] = ()


@dataclass(frozen=True)
class Target:
    """What was to be reached, and what was measured.

    Attributes:
        words: What the number is.
        value: The number.
        at_most, at_least: The bound; one of them.
    """

    words: str
    value: float
    at_most: float | None = None
    at_least: float | None = None

    @property
    def met(self) -> bool:
        return self.value <= self.at_most if self.at_most is not None else self.value >= (self.at_least or 0.0)

    @property
    def bound(self) -> str:
        return f"≤ {self.at_most:g}" if self.at_most is not None else f"≥ {self.at_least:g}"


@dataclass(frozen=True)
class Table:
    """What was compared, on what, the rows, and the targets that they decide."""

    title: str
    rows: list[Row]
    targets: list[Target] = field(default_factory=list)

    def row(self, name: str) -> Row:
        return next(row for row in self.rows if row.name == name)

    def aim(
        self, words: str, name: str, other: str, *, at_most: float | None = None, at_least: float | None = None, wall: bool = False
    ) -> None:
        """Adds a target for a ratio of CPU times (of wall times with `wall`): of `name` to `other`, or with at_least the other way."""
        ours, theirs = (row.walls if wall else row.cpus for row in (self.row(name), self.row(other)))
        value = _ratio(ours, theirs) if at_most is not None else _ratio(theirs, ours)
        self.targets.append(Target(words, value, at_most, at_least))

    def aim_figure(self, words: str, value: float, *, at_most: float | None = None, at_least: float | None = None) -> None:
        """Adds a target for any figure."""
        self.targets.append(Target(words, value, at_most, at_least))


@dataclass(frozen=True)
class Sample:
    """One measurement: wall and CPU seconds of one repetition, and figures of its own."""

    wall: float
    cpu: float
    figures: Mapping[str, float] = field(default_factory=dict)


def measure(work: Callable[[], object], repeat: int = 1) -> Sample:
    """Times `repeat` repetitions of `work` in this process."""
    gc.collect()
    cpu, wall = time.process_time(), time.perf_counter()
    for _ in range(repeat):
        result = work()
        del result
    return Sample((time.perf_counter() - wall) / repeat, (time.process_time() - cpu) / repeat)


def take_turns(title: str, contenders: Mapping[str, Callable[[], Sample]], rounds: int, *, warm: bool = True) -> Table:
    """Lets each contender measure itself in turns, after one round that does not count. The first is the yardstick of the ratios.

    Of every figure of the samples the row gets the median.
    """
    samples: dict[str, list[Sample]] = {name: [] for name in contenders}
    for turn in range(rounds + warm):
        for name, take in contenders.items():
            sample = take()
            if turn or not warm:
                samples[name].append(sample)
    return tabulate(title, samples)


def tabulate(title: str, samples: Mapping[str, Sequence[Sample]]) -> Table:
    """The table of these samples; the first contender is the yardstick."""
    rows: list[Row] = []
    for name, taken in samples.items():
        walls, cpus = [sample.wall for sample in taken], [sample.cpu for sample in taken]
        figures = {key: statistics.median(sample.figures[key] for sample in taken) for key in taken[0].figures}
        first = rows[0] if rows else Row(name, walls=walls, cpus=cpus)
        wall_ratio, cpu_ratio = _ratio(walls, first.walls), _ratio(cpus, first.cpus)
        wall, cpu = statistics.median(walls), statistics.median(cpus)
        rows.append(Row(name, wall, min(walls), max(walls), wall_ratio, cpu, cpu_ratio, figures, walls, cpus))
    return Table(title, rows)


def _ratio(values: Sequence[float], yardsticks: Sequence[float]) -> float:
    """The median of the rounds' ratios, since both had the same machine in a round; of the medians where rounds are not alike."""
    if len(values) == len(yardsticks):
        return statistics.median(value / yardstick for value, yardstick in zip(values, yardsticks, strict=True))
    return statistics.median(values) / statistics.median(yardsticks)


def compare(title: str, contenders: Mapping[str, Callable[[], object]], rounds: int, *, repeat: int = 1) -> Table:
    """Times pieces of work of this process in turns, each `repeat` times a round."""
    return take_turns(title, {name: _measured(work, repeat) for name, work in contenders.items()}, rounds)


def _measured(work: Callable[[], object], repeat: int) -> Callable[[], Sample]:
    return lambda: measure(work, repeat)
