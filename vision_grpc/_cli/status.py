"""A job's standing in a person's words. No I/O here."""

from __future__ import annotations

import dataclasses
import json
import time

from vision_grpc.job import Standing

_MEANING = {
    "planned": "waiting to be sent",
    "submitting": "being sent",
    "running": "being processed",
    "done": "done, results not taken yet",
    "failed": "failed, not taken yet",
    "unknown": "sent, not known whether accepted",
    "collected": "results taken",
}


def table(standing: Standing, *, local: bool = False) -> str:
    """The standing as a table; of a `local` job the output is a name of the embedded server's own, which says nothing to a person."""
    progress = standing.progress
    lines = [f"{'requests':>10}  state"]
    lines += [f"{progress.requests[name]:>10,}  {name}: {words}" for name, words in _MEANING.items() if progress.requests.get(name)]
    total = "of a number not yet known" if progress.total is None else f"of {progress.total:,}"
    begun = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(standing.begun))
    place = "to a folder of this machine" if local else f"below {standing.output}"
    lines.append(f"job {standing.job}, begun {begun}, writes {place}")
    lines.append(
        f"{progress.ok:,} images annotated, {progress.failed:,} failed, {progress.in_flight:,} in flight, "
        f"{progress.planned:,} waiting, {total}"
    )
    again = f", {progress.again:,} of them again" if progress.again else ""
    spent = f", cost {progress.cost:,.2f}" if progress.cost else ""
    lines.append(
        f"{progress.sent:,} images sent{again}{spent}; {progress.rate:,.1f} images/s in the last five minutes{_left(progress.remaining)}"
    )
    lines += [
        f"in doubt: {doubt.images:,} images from {doubt.first:,} on, to {doubt.destination} ({doubt.reason})" for doubt in standing.unknown
    ]
    return "\n".join(lines)


def as_json(standing: Standing) -> str:
    """The standing as one JSON object."""
    return json.dumps(dataclasses.asdict(standing))


def _left(seconds: float | None) -> str:
    if seconds is None:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f", {hours} h {minutes} min left" if hours else f", {minutes} min left" if minutes else f", {rest} s left"
