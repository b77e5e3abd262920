"""1,000 operations that finish evenly over a minute: RPCs, CPU, threads and lag (from an operation's end to its detection).

All contenders wait at the same time, each in a process of its own, each for operations of its own on the same schedule.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks import Row, Table
from benchmarks._schedules import simulate
from benchmarks._servers import Server

LISTED = "vision_grpc.wait_operations, List served"
POLLERS = "a poller for each, every 0.9 s"
UNLISTED = "vision_grpc.wait_operations, no List"
FUTURES = "official future.result(), 1,000 threads"
TASKS = "official async future.result(), 1,000 tasks"
CONTENDERS = {LISTED: "listed", POLLERS: "pollers", UNLISTED: "unlisted", FUTURES: "futures", TASKS: "tasks"}


def run(rounds: int, count: int = 1000, seconds: float = 60.0, starting: float = 10.0) -> list[Table]:
    """Waits once for every ten rounds: each takes a minute. The processes have `starting` seconds to start."""
    taken: dict[str, list[dict[str, float]]] = {name: [] for name in CONTENDERS}
    # A server for each: the thousand first polls of one would hold up the others.
    with ExitStack() as stack:
        servers = {name: stack.enter_context(Server()) for name in CONTENDERS}
        for turn in range(max(1, rounds // 10)):
            begin = time.monotonic() + starting
            processes = {}
            for name, kind in CONTENDERS.items():
                server = servers[name]
                project = f"{kind}-{turn}"
                server.control(do="start", run=project, count=count, seconds=seconds, begin=begin, lists=kind == "listed")
                command = [sys.executable, "-m", "benchmarks._waiting", kind, server.target, project, str(count), str(begin)]
                root = Path(__file__).resolve().parent.parent
                processes[name] = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root)
            for name, process in processes.items():
                output, _ = process.communicate(timeout=seconds * 5 + 60)
                project = f"{CONTENDERS[name]}-{turn}"
                ends = servers[name].control(do="ends", run=project)
                calls = servers[name].control(do="report", run=project)
                taken[name].append(_figures(json.loads(output), ends, calls))
    return [_table(taken, count, seconds), *simulate(10, 60, 600)]


def _figures(said: dict[str, Any], ends: dict[str, float], calls: dict[str, int]) -> dict[str, float]:
    lags = sorted(seen - ends[name] for name, seen in said["seen"].items())
    assert len(lags) == len(ends)
    return {
        "cpu": said["cpu"],
        "RPCs": float(sum(calls.values())),
        "threads": float(said["threads"]),
        "lag p50 s": statistics.median(lags),
        "lag p99 s": lags[int(len(lags) * 0.99)],
        "lag mean s": statistics.fmean(lags),
    }


def _table(taken: dict[str, list[dict[str, float]]], count: int, seconds: float) -> Table:
    rows = []
    for name, rounds in taken.items():
        figures = {key: statistics.median(each[key] for each in rounds) for key in rounds[0]}
        rows.append(Row(name, cpu=figures.pop("cpu"), figures=figures))
    table = Table(f"{count:,} operations that finish over {seconds:g} s; CPU of the whole minute", rows)
    ours, pollers, alone = (table.row(name).figures for name in (LISTED, POLLERS, UNLISTED))
    table.aim_figure("threads beside the one that gRPC has for its channel, List served", ours["threads"], at_most=1)
    table.aim_figure("RPCs, a poller for each ÷ ours, List served", pollers["RPCs"] / ours["RPCs"], at_least=10)
    table.aim_figure("mean lag, ours ÷ a poller for each", ours["lag mean s"] / pollers["lag mean s"], at_most=1.10)
    for words, name in (("official future", FUTURES), ("official async future", TASKS)):
        future = table.row(name).figures
        table.aim_figure(f"RPCs without List, ours ÷ {words}", alone["RPCs"] / future["RPCs"], at_most=1.0)
        table.aim_figure(f"mean lag without List, ours ÷ {words}", alone["lag mean s"] / future["lag mean s"], at_most=1.0)
    return table
