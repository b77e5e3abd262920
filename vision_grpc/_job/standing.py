"""How a job stands, read from its ledger without disturbing a process that works on it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from vision_grpc._job.account import Account, Progress, Unsettled
from vision_grpc._ledger.reader import LedgerReader
from vision_grpc._ledger.rows import State
from vision_grpc.errors import LedgerError

_WINDOW = 300.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """A job as its ledger tells it.

    Attributes:
        job: Its ID.
        begun: When it was begun, in Unix seconds.
        output: The prefix below which its requests write.
        progress: Its numbers; the rate is that of the last five minutes of the wall clock, by whichever process.
        unknown: The requests of which it is not known whether they were accepted. While a job runs, it may be settling them.
    """

    job: str
    begun: float
    output: str
    progress: Progress
    unknown: tuple[Unsettled, ...]


def read_standing(ledger: str | Path, *, clock: Callable[[], float] = time.time) -> Standing:
    """How the job of this ledger stands.

    Raises:
        LedgerError: There is no ledger, or it cannot be read.
    """
    with LedgerReader(ledger) as reader:
        now, begun, job = clock(), reader.begun, reader.job
        settings = reader.settings
        if "output" not in settings:
            raise LedgerError(f"the ledger {ledger} is not a job's: its settings name no output")
        output = str(json.loads(settings["output"]))
        ended = reader.ended_since(now - _WINDOW)
        progress = Account.of(reader.tallies(), reader.total, now).progress(now)
        # A clock that was set back must not make a rate of nothing.
        rate = ended / max(1.0, min(_WINDOW, now - begun))
        left = None if progress.total is None else progress.total - progress.ok - progress.failed
        unknown = [
            Unsettled(
                request=row.number,
                first=row.first,
                images=row.images,
                destination=destination(output, job, row.number, row.attempt),
                operation=row.operation,
                sent=row.sent,
                reason=row.error or "",
            )
            for row in reader.rows(State.UNKNOWN)
        ]
    remaining = 0.0 if left == 0 else left / rate if left is not None and rate else None
    return Standing(job=job, begun=begun, output=output, progress=replace(progress, rate=rate, remaining=remaining), unknown=tuple(unknown))


def destination(output: str, job: str, number: int, attempt: int) -> str:
    """The prefix that the objects of one request of a job, and no other's, bear."""
    return f"{output}{job}/{number:06d}-{attempt}/"
