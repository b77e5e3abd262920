"""The server dies under a job, loses replies, or forgets what it accepted."""

from __future__ import annotations

import random
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.faults.job_world import World
from vision_grpc import v1
from vision_grpc.ledger import LedgerReader, State


@pytest.fixture
def there(tmp_path: Path) -> Iterator[World]:
    """A server whose operations survive it, and 300 pictures."""
    world = World(tmp_path, 300, state=True, seconds=0.05)
    yield world
    world.close()


def accepted(world: World) -> list[str]:
    """The images of every operation that the server's state holds, found by the destination that each names."""
    with LedgerReader(world.root / "job.db") as ledger:
        prefix = f"gs://out/run/{ledger.job}/"
        parts = {f"{prefix}{row.number:06d}-{row.attempt}/": ledger.part(row.number) for row in ledger.rows(*State)}
    sent: list[str] = []
    world.kill_server()  # it holds its state for itself
    with closing(sqlite3.connect(world.root / "operations.db")) as database:
        for (wire,) in database.execute("SELECT operation FROM operations"):
            operation = v1.Operation.FromString(wire)
            response = v1.AsyncBatchAnnotateImagesResponse()
            assert operation.response.Unpack(response), operation
            sent += parts[response.output_config.gcs_destination.uri].uris()
    return sent


def test_server_killed_and_restarted(there: World) -> None:
    """The server is killed and restarted on its state while the job runs: the job goes on by itself, and each image is sent once."""
    draw = random.Random(3)
    there.begin_life(in_flight=30)
    for _ in range(4):
        time.sleep(draw.uniform(0.1, 0.4))
        there.restart_server()
    outcome = there.end_life()
    assert outcome["end"] == "complete", outcome
    there.check(sent=accepted(there))


def test_client_and_server_killed(there: World) -> None:
    """Both die in turns: still each image is sent once."""
    draw = random.Random(4)
    for _ in range(4):
        there.begin_life(in_flight=30, seconds=draw.uniform(0.2, 0.6))
        time.sleep(draw.uniform(0.05, 0.3))
        there.restart_server()
        outcome = there.end_life()
        assert "error" not in outcome, outcome
    outcome = there.live()
    assert outcome["end"] == "complete", outcome
    there.check(sent=accepted(there))


def test_results_come_once_where_nothing_dies(there: World) -> None:
    """Without a crash the consumer gets each result exactly once, in either order."""
    assert there.live("completion")["end"] == "complete"
    assert there.live("input", order="input")["end"] == "complete"
    for name in ("completion", "input"):
        there.check(name)
        assert Counter(there.results(name).values()) == {1: 300}
    lines = (there.root / "input.results").read_text().splitlines()
    assert [int(line.split()[0]) for line in lines] == list(range(300))
