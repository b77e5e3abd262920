"""The verdict on a request whose answer was lost, from each kind of evidence."""

from __future__ import annotations

import pytest

from vision_grpc._job.settle import Doubt, Listing, Verdict, judge, written
from vision_grpc._ledger.rows import Row, State

SENT = 1_795_000_000.0
PREFIX = "gs://out/run/job/000001-1/"


def doubt(*, accepted: bool = False) -> Doubt:
    row = Row(1, None, 1, State.UNKNOWN, 0, 40, None, SENT, None, None, None, 0.0)
    return Doubt(row, PREFIX, since=100.0, accepted=accepted)


def verdict(
    about: Doubt,
    now: float,
    *,
    finished: dict[str, str] | None = None,
    running: set[str] | None = None,
    failed: dict[str, float | None] | None = None,
    shards: list[tuple[int, int]] | None = None,
    lists: bool = True,
    last: bool = False,
) -> Verdict:
    listing = Listing(finished or {}, frozenset(running or ()), failed or {}) if lists else None
    return judge(about, now=now, grace=60.0, listing=listing, shards=shards or [], last=last)


def test_finished_operation_is_found_at_once() -> None:
    """A finished operation that names the prefix settles it, within the grace too."""
    assert verdict(doubt(), 100.0, finished={PREFIX: "operations/a"}) is Verdict.FINISHED
    assert verdict(doubt(), 100.0, finished={PREFIX + "x": "operations/a"}) is Verdict.OPEN


def test_objects_settle_it() -> None:
    """Objects that hold every image settle it; with some missing, it was accepted and is not over."""
    assert verdict(doubt(), 100.0, shards=[(21, 40), (1, 20)]) is Verdict.WRITTEN
    assert verdict(doubt(), 200.0, shards=[(1, 20)], running={"operations/a"}) is Verdict.OPEN
    assert verdict(doubt(), 200.0, shards=[(1, 20)]) is Verdict.BROKEN


def test_absence_needs_the_grace_and_every_candidate() -> None:
    """Absence is proved after the grace, when all that ran then has ended; what began later cannot be it."""
    about = doubt()
    assert verdict(about, 159.0) is Verdict.OPEN
    assert about.candidates is None
    assert verdict(about, 160.0, running={"operations/a", "operations/b"}) is Verdict.OPEN
    assert verdict(about, 170.0, running={"operations/b", "operations/later"}) is Verdict.OPEN
    assert verdict(about, 180.0, running={"operations/later"}) is Verdict.ABSENT


def test_a_candidate_that_ends_is_found_in_the_same_list() -> None:
    """A candidate that ended as the one in question is found, and not taken for absent."""
    about = doubt()
    verdict(about, 160.0, running={"operations/a"})
    assert verdict(about, 170.0, finished={PREFIX: "operations/a"}) is Verdict.FINISHED


def test_a_failed_operation_may_be_its_own() -> None:
    """An operation that failed since it was sent names no prefix, and disproves absence; with objects there it was accepted."""
    assert verdict(doubt(), 159.0, failed={"operations/a": SENT + 1}) is Verdict.OPEN
    assert verdict(doubt(), 160.0, failed={"operations/a": SENT + 1}) is Verdict.OVER
    assert verdict(doubt(), 160.0, failed={"operations/a": None}) is Verdict.OVER
    assert verdict(doubt(), 160.0, failed={"operations/a": SENT + 1}, shards=[(1, 20)]) is Verdict.BROKEN
    assert verdict(doubt(), 160.0, failed={"operations/a": SENT + 1}, running={"operations/b"}) is Verdict.OPEN


def test_the_clocks_may_be_apart() -> None:
    """An operation that seems to have been created a little before the sending may be its own, one of long before not."""
    assert verdict(doubt(), 160.0, failed={"operations/a": SENT - 60}) is Verdict.OVER
    assert verdict(doubt(), 160.0, failed={"operations/a": SENT - 3600}) is Verdict.ABSENT


def test_a_candidate_that_fails_stays_one() -> None:
    """What ran when the grace was over and failed then may have been it; what failed later without having run then was not."""
    about = doubt()
    assert verdict(about, 160.0, running={"operations/a", "operations/b"}) is Verdict.OPEN
    assert verdict(about, 170.0, running={"operations/b"}, failed={"operations/a": SENT}) is Verdict.OPEN
    assert verdict(about, 180.0, failed={"operations/a": SENT}) is Verdict.OVER
    about = doubt()
    assert verdict(about, 160.0, running={"operations/a"}) is Verdict.OPEN
    assert verdict(about, 170.0, failed={"operations/later": SENT + 70}) is Verdict.ABSENT


def test_without_a_list_absence_is_never_proved() -> None:
    """Where the server lists nothing, one waits for objects, and in the end does not know."""
    assert verdict(doubt(), 1e9, lists=False) is Verdict.OPEN
    assert verdict(doubt(), 1e9, lists=False, last=True) is Verdict.UNDECIDED
    assert verdict(doubt(), 130.0, lists=False, last=True) is Verdict.OPEN


def test_vanished_operation_is_broken_off() -> None:
    """A request that was accepted and whose operation is gone is over, whatever else runs."""
    assert verdict(doubt(accepted=True), 130.0) is Verdict.OPEN
    assert verdict(doubt(accepted=True), 160.0, running={"operations/a"}) is Verdict.BROKEN
    assert verdict(doubt(accepted=True), 160.0, lists=False) is Verdict.BROKEN


@pytest.mark.parametrize(
    ("shards", "images", "whole"),
    [
        ([], 1, False),
        ([(1, 1)], 1, True),
        ([(2, 2)], 2, False),
        ([(1, 2), (2, 3)], 3, False),
        ([(3, 4), (1, 2)], 4, True),
        ([(1, 9)], 4, False),
    ],
)
def test_written(shards: list[tuple[int, int]], images: int, whole: bool) -> None:
    """Objects are whole when they follow each other from the first image to the last, in whatever order they are listed."""
    assert written(shards, images) is whole
