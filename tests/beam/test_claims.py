"""Claims: of any number of attempts at once, at most one may send; and what an attempt did is seen by the next."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from vision_grpc.beam._claims import Claims, Found, claimed
from vision_grpc.objects import LocalObjects, ObjectInfo

PREFIX = "gs://out/run/0123/"


def claims(root: Path) -> Claims:
    return Claims(LocalObjects({"out": root}), PREFIX)


def test_the_first_may_send_and_the_second_not(tmp_path: Path) -> None:
    """A claim that stands keeps every later one away, until it is void."""
    first = claims(tmp_path).claim()
    assert first is not None
    assert claims(tmp_path).claim() is None
    assert claims(tmp_path).look() == Found(frozenset({first}), None)
    claims(tmp_path).void([first])
    assert claims(tmp_path).look() == Found(frozenset(), None)
    assert claims(tmp_path).claim() is not None


def test_an_operation_keeps_all_away(tmp_path: Path) -> None:
    """Once an operation is noted, nobody may send, and everybody knows its name."""
    first = claims(tmp_path)
    assert first.claim() is not None
    first.started("projects/p/operations/0123456789abcdef")
    assert claims(tmp_path).look().operation == "projects/p/operations/0123456789abcdef"
    claims(tmp_path).void(claims(tmp_path).look().claims)
    assert claims(tmp_path).claim() is None


def test_many_at_once(tmp_path: Path) -> None:
    """Of eight attempts that start together, never two may send; after fifty rounds, some round had one that could."""
    granted = 0
    for turn in range(50):
        barrier = threading.Barrier(8)
        won: list[str] = []

        def attempt(turn: int = turn, barrier: threading.Barrier = barrier, won: list[str] = won) -> None:
            mine = Claims(LocalObjects({"out": tmp_path}), f"gs://out/{turn}/")
            barrier.wait()
            claim = mine.claim()
            if claim is not None:
                won.append(claim)

        threads = [threading.Thread(target=attempt) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(won) <= 1
        granted += len(won)
    assert granted


def test_a_claim_that_cannot_be_used_is_void(tmp_path: Path) -> None:
    """An attempt that fails between its claim and its submit stands in nobody's way, its own next one included."""

    class Unlistable(LocalObjects):
        def list(self, prefix: str) -> Iterator[ObjectInfo]:
            raise OSError("503 from storage")

    with pytest.raises(OSError, match="503"):
        Claims(Unlistable({"out": tmp_path}), PREFIX).claim()
    assert claims(tmp_path).look() == Found(frozenset(), None)
    assert claims(tmp_path).claim() is not None


def test_a_claim_tells_its_time(tmp_path: Path) -> None:
    """The earliest of several claims says since when the batch may have been sent."""
    before = int(time.time())
    claim = claims(tmp_path).claim()
    assert claim is not None
    moment = claimed([claim])
    assert moment is not None
    assert before <= moment <= time.time()
    assert claimed([claim, f"{before - 60}-0123"]) == before - 60
    assert claimed([]) is None
