"""What became of a request whose answer was lost, judged by evidence. No I/O and no clock here.

The API has no request ID. But every request has an output prefix of its own, a finished operation that succeeded names its
prefix, and a running one is at least listed. So a request was accepted where a finished operation or objects bear its prefix; it
was not where, some time after the last moment at which the service could have taken it in, every operation that then ran and
is not known to be another's has ended without bearing it. Anything else stays in doubt.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from vision_grpc._ledger.rows import Row


@dataclass(slots=True)
class Doubt:
    """A request of which it is not known whether it was accepted, or what became of its operation.

    Attributes:
        row: The request, as it was when the doubt began.
        since: When the doubt began, by this process's monotonic clock: the grace is never measured by the time of day.
        accepted: It was accepted, and its operation is gone.
        candidates: The operations that may be its own: those that ran when the grace was over. None before.
        counted: It takes room in the window of images in processing.
    """

    row: Row
    prefix: str
    since: float
    accepted: bool = False
    counted: bool = True
    candidates: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """The project's operations, without those that the ledger knows: finished ones by the prefix that they name, and running ones."""

    finished: Mapping[str, str] = field(default_factory=dict)
    running: frozenset[str] = frozenset()


class Verdict(enum.Enum):
    """What the evidence says."""

    OPEN = "look again later"
    FINISHED = "a finished operation names its prefix"
    WRITTEN = "all of its objects are there"
    ABSENT = "it was not accepted"
    BROKEN = "it was accepted, and ended without writing all of its objects"
    UNDECIDED = "the evidence does not suffice"


def written(shards: Sequence[tuple[int, int]], images: int) -> bool:
    """Whether objects of these first and last results hold all images: they follow each other without a gap to the last."""
    due = 1
    for first, last in sorted(shards):
        if first != due:
            return False
        due = last + 1
    return due == images + 1


def judge(doubt: Doubt, *, now: float, grace: float, listing: Listing | None, shards: Sequence[tuple[int, int]], last: bool) -> Verdict:
    """The verdict on one request; notes its candidates in `doubt`.

    Args:
        grace: Seconds after which the service shows what it has accepted.
        listing: None where the server lists no operations.
        shards: The first and last results of each object under the request's prefix.
        last: Nothing else of the job moves any more: what would be looked for later is given up.
    """
    if listing is not None and doubt.prefix in listing.finished:
        return Verdict.FINISHED
    if written(shards, doubt.row.images):
        return Verdict.WRITTEN
    if now - doubt.since < grace:
        return Verdict.OPEN
    if doubt.accepted:
        return Verdict.BROKEN
    if listing is None:
        return Verdict.UNDECIDED if last else Verdict.OPEN
    running = listing.running
    doubt.candidates = running if doubt.candidates is None else doubt.candidates & running
    if doubt.candidates:
        return Verdict.OPEN
    return Verdict.BROKEN if shards else Verdict.ABSENT
