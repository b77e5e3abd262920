"""A job's client is killed again and again, and its server too: no request is sent twice, and no image is lost.

VISION_GRPC_KILLS=100 kills as often as issue 5 asks for, at random moments and at every boundary of every write.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.job_world import World

KILLS = int(os.environ.get("VISION_GRPC_KILLS", "12"))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Callable[..., World]]:
    """Makes Worlds that end with the test."""
    worlds = []

    def make(images: int, **settings: object) -> World:
        worlds.append(World(tmp_path, images, **settings))  # type: ignore[arg-type]
        return worlds[-1]

    yield make
    for made in worlds:
        made.close()


@pytest.mark.timeout(900)
def test_killed_at_random_moments(world: Callable[..., World]) -> None:
    """200 requests, the client killed at random moments and resumed each time: each image is sent once and has its result."""
    draw = random.Random(5)
    # Ten rounds of requests that take 0.3 s at least: however fast the machine, half of the kills come before the end.
    there = world(600, seconds=0.3)
    killed = 0
    while killed < KILLS:
        outcome = there.live(seconds=draw.uniform(0.02, 0.2 if KILLS > 50 else 0.5), in_flight=15 if KILLS > 50 else 60)
        assert "error" not in outcome, outcome
        if not outcome["killed"]:
            break
        killed += 1
    assert killed >= KILLS // 2, "the job ended before it was killed often enough to mean anything"
    outcome = there.live()
    assert outcome["end"] == "complete", outcome
    there.check()


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_at_every_write(world: Callable[..., World], when: str) -> None:
    """The client is killed at the 1st, the 2nd, … the last of the ledger's writes, each time in a new job, and resumed once."""
    there = world(12 if KILLS < 100 else 36)
    for write in range(1, 10_000):
        outcome = there.live(f"job{write}", write=write, when=when)
        assert "error" not in outcome, outcome
        if not outcome["killed"]:
            break
        outcome = there.live(f"job{write}")
        assert outcome.get("end") == "complete", f"{write}: {outcome}"
        there.check(f"job{write}")
    assert write > there.images / 3 * 5  # plan, intend, accept, end, collect


@pytest.mark.timeout(3600)
def test_killed_after_every_few_writes(world: Callable[..., World]) -> None:
    """One job whose client never lives for more than a few writes still comes to its end, each image sent once."""
    there = world(600 if KILLS >= 100 else 60, seconds=0.01)
    draw = random.Random(7)
    # Each life needs some writes to get anywhere: those before them settle what the last one left.
    for _ in range(5_000):
        outcome = there.live(write=draw.randint(1, 12), when=draw.choice(["before", "after"]), in_flight=15)
        assert "error" not in outcome, outcome
        if not outcome["killed"]:
            break
    assert outcome["end"] == "complete", outcome
    there.check()
