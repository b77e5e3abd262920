"""A job's numbers: what is where, how fast it goes, what is left, what it came to. No I/O and no clock here."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from vision_grpc._ledger.rows import Failure, Row, State, Tally
from vision_grpc.errors import status_code

_WINDOW = 300.0

End = Literal["complete", "unknown", "unreadable", "capped", "drained", "stopped"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """A job at one moment. Counts are images unless they say otherwise.

    Attributes:
        total: All images of the job; None before the inputs were read to their end.
        planned: Waiting to be sent.
        in_flight: Being sent, queued or processed at the service.
        unknown: In requests of which it is not known whether they were accepted.
        ended: Processed, and not yet taken by the consumer.
        ok: Handed out annotated.
        failed: Handed out with an error.
        again: Sent again so far, after a transient failure.
        sent: Sent in all, which is what the service bills.
        cost: What they cost by the caller's prices.
        refusals: Requests that the service refused for its quota, and that wait for their turn again.
        requests: Requests by the name of their state.
        rate: Images a second that ended, over the last five minutes of this run.
        remaining: Seconds left at that rate; None where total or rate is not known.
    """

    total: int | None
    planned: int
    in_flight: int
    unknown: int
    ended: int
    ok: int
    failed: int
    again: int
    sent: int
    cost: float
    refusals: int
    requests: Mapping[str, int]
    rate: float
    remaining: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Unsettled:
    """A request that the job ended without: what it holds, and where its results would lie."""

    request: int
    first: int
    images: int
    destination: str
    operation: str | None
    sent: float | None
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """What a job came to, over all of its runs.

    Attributes:
        end: "complete" where every image was handed out, otherwise why not: "unknown" requests, "unreadable" results, a cap on
            images or cost ("capped"), or the caller's word ("drained", "stopped").
        total: All images of the job, None where the inputs were not read to their end.
        ok: Handed out annotated.
        failed: Handed out with an error.
        sent: Images sent, each as often as it was.
        cost: What they cost by the caller's prices.
        attempts: Images handed out, by the number of times that they were sent.
        errors: Images handed out with an error, by the code's name.
        unknown: The requests of which it is not known whether they were accepted.
        unreadable: The requests that are done, and whose results cannot all be read.
    """

    end: End
    total: int | None
    ok: int
    failed: int
    sent: int
    cost: float
    attempts: Mapping[int, int]
    errors: Mapping[str, int]
    unknown: tuple[Unsettled, ...]
    unreadable: tuple[Unsettled, ...]


@dataclass(slots=True)
class Account:
    """The running sums behind a job's Progress."""

    total: int | None = None
    requests: Counter[State] = field(default_factory=Counter)
    images: Counter[State] = field(default_factory=Counter)
    ok: int = 0
    failed: int = 0
    again: int = 0
    sent: int = 0
    cost: float = 0.0
    refusals: int = 0
    _begun: float = 0.0
    _ends: deque[tuple[float, int]] = field(default_factory=deque)
    _recent: int = 0

    @classmethod
    def of(cls, tallies: Iterable[Tally], total: int | None, now: float) -> Account:
        """The sums as a ledger holds them."""
        account = cls(total=total, _begun=now)
        for tally in tallies:
            account.requests[tally.state] += tally.requests
            account.images[tally.state] += tally.images
            account.ok += tally.ok
            account.failed += tally.failed
            account.sent += tally.sent
            account.cost += tally.cost
            if tally.attempt > 1:
                account.again += tally.sent
        return account

    def add(self, images: int) -> None:
        """Another request is planned."""
        self.requests[State.PLANNED] += 1
        self.images[State.PLANNED] += images

    def move(self, images: int, before: State, after: State) -> None:
        """A request of so many images went from one state to another."""
        self.requests[before] -= 1
        self.images[before] -= images
        self.requests[after] += 1
        self.images[after] += images

    def send(self, row: Row) -> None:
        """A request is sent, and may be billed."""
        self.sent += row.images
        self.cost += row.cost
        self.again += row.images if row.attempt > 1 else 0

    def unsend(self, row: Row) -> None:
        """It turned out not to have been accepted."""
        self.sent -= row.images
        self.cost -= row.cost
        self.again -= row.images if row.attempt > 1 else 0

    def end(self, images: int, now: float) -> None:
        """So many images ended at the service, for the rate."""
        self._ends.append((now, images))
        self._recent += images
        self._forget(now)

    def progress(self, now: float) -> Progress:
        self._forget(now)
        rate = self._recent / max(min(now - self._begun, _WINDOW), 1e-9) if self._ends else 0.0
        left = None if self.total is None else self.total - self.ok - self.failed
        return Progress(
            total=self.total,
            planned=self.images[State.PLANNED],
            in_flight=self.images[State.SUBMITTING] + self.images[State.RUNNING],
            unknown=self.images[State.UNKNOWN],
            ended=self.images[State.DONE] + self.images[State.FAILED],
            ok=self.ok,
            failed=self.failed,
            again=self.again,
            sent=self.sent,
            cost=self.cost,
            refusals=self.refusals,
            requests={state.name.lower(): self.requests[state] for state in State},
            rate=rate,
            remaining=left / rate if left is not None and rate else (0.0 if left == 0 else None),
        )

    def _forget(self, now: float) -> None:
        while self._ends and self._ends[0][0] < now - _WINDOW:
            self._recent -= self._ends.popleft()[1]


def summary(
    end: End,
    total: int | None,
    tallies: Iterable[Tally],
    failures: Iterable[Failure],
    unknown: Iterable[Unsettled],
    unreadable: Iterable[Unsettled],
) -> Summary:
    """The Summary of a ledger's sums and failures; `end` is why the job ended where not every image was handed out."""
    tallies = list(tallies)
    collected = all(tally.state is State.COLLECTED for tally in tallies)
    attempts: Counter[int] = Counter()
    for tally in tallies:
        attempts[tally.attempt] += tally.ok + tally.failed
    errors = Counter(status_code(failure.code).name for failure in failures if not failure.again)
    return Summary(
        end="complete" if collected and total is not None else end,
        total=total,
        ok=sum(tally.ok for tally in tallies),
        failed=sum(tally.failed for tally in tallies),
        sent=sum(tally.sent for tally in tallies),
        cost=sum(tally.cost for tally in tallies),
        attempts={attempt: images for attempt, images in sorted(attempts.items()) if images},
        errors=dict(errors.most_common()),
        unknown=tuple(unknown),
        unreadable=tuple(unreadable),
    )
