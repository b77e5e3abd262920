"""What became of a request whose answer was lost, judged by evidence. No I/O and no clock here.

The API has no request ID. But every request has an output prefix of its own, a finished operation that succeeded names its
prefix, and a running or failed one is at least listed. So a request was accepted where a finished operation or objects bear its
prefix; it was not where, some time after the last moment at which the service could have taken it in, every operation that then ran
and is not known to be another's has succeeded without bearing it, and none has failed since the request was sent. Where one has, the
request was not accepted or is over: it may be sent again, as what failed is, but counts as sent. Anything else stays in doubt.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from vision_grpc._ledger.rows import Row

_CLOCKS_APART = 300.0
"""Seconds by which the service's clock, which dates an operation, may be behind this machine's, which dates the sending."""


@dataclass(slots=True)
class Doubt:
    """A request of which it is not known whether it was accepted, or what became of its operation.

    Attributes:
        row: The request, as it was when the doubt began.
        since: When the doubt began, by this process's monotonic clock: the grace is never measured by the time of day.
        accepted: It was accepted, and its operation is gone.
        blind: Since when every look for it has failed; None where the last one did not.
        candidates: The operations that may be its own: those that ran when the grace was over, and those that had failed since it
            was sent. None before.
        counted: It takes room in the window of images in processing.
    """

    row: Row
    prefix: str
    since: float
    accepted: bool = False
    counted: bool = True
    blind: float | None = None
    candidates: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """The project's operations.

    Attributes:
        finished: Those that succeeded, by the prefix that they name.
        running: Those that have not ended.
        failed: Those that failed or were cancelled, which name no prefix, and when they were created in Unix seconds, if that is known.
    """

    finished: Mapping[str, str] = field(default_factory=dict)
    running: frozenset[str] = frozenset()
    failed: Mapping[str, float | None] = field(default_factory=dict)

    def without(self, own: Collection[str]) -> Listing:
        """The same without the operations that are known to be other requests'."""
        failed = {name: created for name, created in self.failed.items() if name not in own}
        return Listing(self.finished, self.running.difference(own), failed)


class Verdict(enum.Enum):
    """What the evidence says."""

    OPEN = "look again later"
    FINISHED = "a finished operation names its prefix"
    WRITTEN = "all of its objects are there"
    ABSENT = "it was not accepted"
    BROKEN = "it was accepted, and ended without writing all of its objects"
    OVER = "it was not accepted, or its operation failed"
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
    if doubt.candidates is None:
        began = (doubt.row.sent or 0.0) - _CLOCKS_APART
        doubt.candidates = listing.running.union(name for name, created in listing.failed.items() if created is None or created >= began)
    else:
        doubt.candidates &= listing.running | listing.failed.keys()
    if doubt.candidates & listing.running:
        return Verdict.OPEN
    if shards:
        return Verdict.BROKEN
    return Verdict.OVER if doubt.candidates else Verdict.ABSENT
