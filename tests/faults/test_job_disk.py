"""The ledger's disk fills up, or its clock goes back: the job stops in words, and a resume loses nothing."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import pytest

from tests.faults.job_memory import Stage, check
from tests.faults.job_world import World
from vision_grpc import LedgerError
from vision_grpc.ledger import Ledger


class SmallDisk(Ledger):
    """A ledger on a disk with room for so many pages more than it has at its beginning."""

    def __init__(self, path: Path, room: int) -> None:
        super().__init__(path)
        self._room = room

    def begin(self, settings: Mapping[str, object]) -> None:
        super().begin(settings)
        assert self._database is not None
        pages = self._database.execute("PRAGMA page_count").fetchone()[0]
        self._database.execute(f"PRAGMA max_page_count={pages + self._room}")


async def test_full_disk(tmp_path: Path) -> None:
    """A job whose ledger cannot grow stops with a LedgerError, however far it came; with more room each time it comes to its end."""
    stage = Stage(tmp_path)
    results: list[Any] = []
    stops: list[str] = []
    async with stage.client() as client:
        for room in itertools.count(1):
            job = stage.job(1200, client, ledger=SmallDisk(tmp_path / "job.db", room), resubmit_unknown=True)
            try:
                async with job:
                    async for part in job.slices():
                        results += part
            except LedgerError as error:
                stops.append(str(error))
                continue
            if job.summary.end == "complete":
                break
    stage.close()
    assert len(stops) >= 3
    assert all("no space is left for the ledger" in words for words in stops)
    check(list({result.index: result for result in results}.values()), 1200)
    assert set(stage.annotators.seen.values()) == {1}


def test_disk_that_refuses_writes(tmp_path: Path) -> None:
    """A file system that takes no more bytes stops the job in words, at whatever write; with more room it comes to its end."""
    world = World(tmp_path, 300)
    stops = 0
    for room in range(24_576, 10_000_000, 49_152):
        outcome = world.live(limit=room)
        if "error" not in outcome:
            break
        assert outcome["error"] == "LedgerError", outcome
        assert "no space is left for the ledger" in outcome["message"] or "the disk failed under the ledger" in outcome["message"]
        stops += 1
    assert outcome["end"] == "complete", outcome
    assert stops >= 2
    world.check()
    world.close()


class Forgetful(Ledger):
    """A ledger whose disk fails when the job is summed up."""

    def failures(self) -> NoReturn:
        raise LedgerError("the disk failed under the ledger")


async def test_disk_that_fails_at_the_end(tmp_path: Path) -> None:
    """Where all was handed out and the ledger cannot tell what it came to, the iteration ends in that error; a resume tells."""
    stage = Stage(tmp_path)
    results: list[Any] = []
    async with stage.client() as client:
        job = stage.job(4, client, ledger=Forgetful(tmp_path / "job.db"))
        with pytest.raises(LedgerError, match="the disk failed"):
            async with job:
                async for result in job:
                    results.append(result)
        check(results, 4)
        job = stage.job(4, client)
        async with job:
            assert [result async for result in job] == []
        assert job.summary.end == "complete"
    stage.close()


async def test_clock_set_back(tmp_path: Path) -> None:
    """A time of day that goes back, within a run and between runs, changes nothing: a doubt's grace is not measured by it."""
    stage = Stage(tmp_path)
    backwards = itertools.count(2_000_000_000, -3600)
    results: list[Any] = []
    async with stage.client() as client:
        for cap in (12, 24, None):
            ledger = Ledger(tmp_path / "job.db", clock=lambda: float(next(backwards)))
            job = stage.job(40, client, ledger=ledger, max_images=cap)
            async with job:
                results += [result async for result in job]
    stage.close()
    check(results, 40)
    assert set(stage.annotators.seen.values()) == {1}


@pytest.mark.parametrize("cut", [1000, 5000])
async def test_ledger_cut_off_between_runs(tmp_path: Path, cut: int) -> None:
    """A ledger that lost its end between two runs is refused, and nothing is sent."""
    stage = Stage(tmp_path)
    async with stage.client() as client:
        job = stage.job(400, client, max_images=40)
        async with job:
            results = [result async for result in job]
        path = tmp_path / "job.db"
        whole = path.read_bytes()
        path.write_bytes(whole[:-cut])
        sent = len(stage.submits())
        with pytest.raises(LedgerError, match="is damaged"):
            await anext(stage.job(400, client).slices())
        assert len(stage.submits()) == sent
        path.write_bytes(whole)
        async with stage.job(400, client) as job:
            results += [result async for result in job]
    stage.close()
    check(results, 400)
