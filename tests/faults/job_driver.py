"""A process that runs lives of a job, each in a fork of its own, and kills them as told: one JSON line in, one out, for each life.

A life is killed after some seconds, or just before or just after its n-th write to the ledger.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

# All imports happen here, once, so that a fork costs milliseconds. gRPC is not started before the fork.
from vision_grpc import AsyncClient, Polling
from vision_grpc._ledger.file import Statement
from vision_grpc.errors import VisionError
from vision_grpc.job import AnnotationJob
from vision_grpc.ledger import Ledger
from vision_grpc.objects import LocalObjects


class MortalLedger(Ledger):
    """Kills its process at one boundary of its writes."""

    def __init__(self, path: str, write: int, when: str) -> None:
        super().__init__(path)
        self._left = write
        self._when = when

    def _write(self, statements: Sequence[Statement], *, durable: bool = False, exactly: int | None = None) -> None:
        self._left -= 1
        if self._left == 0 and self._when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        super()._write(statements, durable=durable, exactly=exactly)
        if self._left == 0 and self._when == "after":
            os.kill(os.getpid(), signal.SIGKILL)


def uris(images: int) -> list[str]:
    return [f"gs://photos/{index}.jpg" for index in range(images)]


async def _live(order: dict[str, Any]) -> dict[str, Any]:
    root = Path(order["root"])
    buckets = {"photos": root / "photos", "out": root / "out"}
    ledger: Any = order["ledger"]
    if order.get("write"):
        ledger = MortalLedger(ledger, order["write"], order["when"])
    sink = os.open(order["sink"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    async with (
        AsyncClient(emulator=order["target"], polling=Polling(initial=0.02, maximum=0.1)) as client,
        AnnotationJob(
            uris(order["images"]),
            features="text",
            output="gs://out/run",
            client=client,
            ledger=ledger,
            request_size=order["size"],
            images_in_flight=order.get("in_flight", 60),
            requests_per_minute=1_000_000,
            order=order.get("order", "completion"),
            resubmit_unknown=True,
            grace=order.get("grace", 0.1),
            objects=LocalObjects(buckets),
        ) as job,
    ):
        async for results in job.slices():
            lines = "".join(f"{result.index} {result.uri} {'ok' if result.ok else result.error}\n" for result in results)
            os.write(sink, lines.encode())
    return {
        "end": job.summary.end,
        "ok": job.summary.ok,
        "sent": job.summary.sent,
        "unknown": len(job.summary.unknown),
        "unreadable": [lost.reason for lost in job.summary.unreadable],
    }


def _child(order: dict[str, Any]) -> None:
    code = 1
    if limit := order.get("limit"):
        # No file may grow beyond this: writes fail as they do on a full disk.
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    try:
        outcome = asyncio.run(_live(order))
        code = 0
    except VisionError as error:
        outcome = {"error": type(error).__name__, "message": str(error)}
    except BaseException:
        outcome = {"error": "crash", "message": traceback.format_exc()}
    Path(order["sink"] + ".outcome").write_text(json.dumps(outcome))
    os._exit(code)


def main() -> None:
    for line in sys.stdin:
        order = json.loads(line)
        outcome = Path(order["sink"] + ".outcome")
        outcome.unlink(missing_ok=True)
        begun = time.monotonic()
        child = os.fork()
        if child == 0:
            _child(order)
        if "seconds" in order:
            deadline = begun + order["seconds"]
            done = 0
            while not done and time.monotonic() < deadline:
                time.sleep(0.002)
                done, status = os.waitpid(child, os.WNOHANG)
            if not done:
                os.kill(child, signal.SIGKILL)
                status = os.waitpid(child, 0)[1]
        else:
            status = os.waitpid(child, 0)[1]
        reply = json.loads(outcome.read_text()) if outcome.exists() else {}
        print(json.dumps({"killed": os.WIFSIGNALED(status), **reply}), flush=True)


if __name__ == "__main__":
    main()
