"""A job's ledger in a person's words, read without disturbing the job that writes it."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from vision_grpc.ledger import LedgerReader, State

_RECENT = 300.0
_MEANING = {
    State.PLANNED: "waiting to be sent",
    State.SUBMITTING: "being sent",
    State.RUNNING: "at the service",
    State.DONE: "done, results not taken yet",
    State.FAILED: "failed, not taken yet",
    State.UNKNOWN: "sent, not known whether accepted",
    State.COLLECTED: "results taken",
}


def status(path: Path) -> dict[str, Any]:
    """The job's numbers: total, states, failures, images sent, rate and seconds left.

    Raises:
        LedgerError: There is no ledger at `path`, or it cannot be read.
    """
    with LedgerReader(path) as ledger:
        tallies = ledger.tallies()
        total = ledger.total
        recent = ledger.ended_since(time.time() - _RECENT)
        states = {
            state.name.lower(): {
                "requests": sum(tally.requests for tally in tallies if tally.state is state),
                "images": sum(tally.images for tally in tallies if tally.state is state),
            }
            for state in State
        }
        ended = sum(tally.ok + tally.failed for tally in tallies)
        age = min(_RECENT, max(1.0, time.time() - ledger.begun))
        rate = recent / age
        left = None if total is None else total - ended
        return {
            "job": ledger.job,
            "begun": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(ledger.begun)),
            "total": total,
            "ok": sum(tally.ok for tally in tallies),
            "failed": sum(tally.failed for tally in tallies),
            "sent": sum(tally.sent for tally in tallies),
            "cost": sum(tally.cost for tally in tallies),
            "rate": rate,
            "remaining": left / rate if rate and left else (0.0 if left == 0 else None),
            "states": states,
        }


def table(numbers: dict[str, Any]) -> str:
    """The numbers as a table."""
    lines = [f"{'state':<12}{'requests':>10}{'images':>12}"]
    for state in State:
        counts = numbers["states"][state.name.lower()]
        if counts["requests"]:
            lines.append(f"{state.name.lower():<12}{counts['requests']:>10,}{counts['images']:>12,}   {_MEANING[state]}")
    total = "not yet known how many" if numbers["total"] is None else f"{numbers['total']:,}"
    lines.append(f"job {numbers['job']}, begun {numbers['begun']}: {numbers['ok']:,} annotated, {numbers['failed']:,} failed, of {total}")
    spent = f", cost {numbers['cost']:,.2f}" if numbers["cost"] else ""
    remaining = numbers["remaining"]
    left = "" if remaining is None else f", {_duration(remaining)} left" if remaining else ", nothing left"
    lines.append(f"{numbers['sent']:,} images sent{spent}; {numbers['rate']:,.1f} images/s in the last five minutes{left}")
    return "\n".join(lines)


def as_json(numbers: dict[str, Any]) -> str:
    return json.dumps(numbers)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min" if minutes else f"{rest} s"
