"""Many calls of one kind, one after another or 64 in flight: their wall and CPU time, and their latencies."""

from __future__ import annotations

import asyncio
import gc
import statistics
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor

from benchmarks import Sample

IN_FLIGHT = 64


def sequence(call: Callable[[], object], calls: int) -> Sample:
    """Calls one after another on this thread."""
    return _sample(lambda: [_timed(call) for _ in range(calls)], calls)


def threads(call: Callable[[], object], calls: int, pool: ThreadPoolExecutor) -> Sample:
    """Calls from all threads of a pool at once."""
    return _sample(lambda: list(pool.map(lambda _: _timed(call), range(calls))), calls)


def awaited(loop: asyncio.AbstractEventLoop, call: Callable[[], Awaitable[object]], calls: int, in_flight: int) -> Sample:
    """Calls of so many tasks at once on an event loop."""

    async def work(share: int) -> list[float]:
        latencies = []
        for _ in range(share):
            start = time.perf_counter()
            await call()
            latencies.append(time.perf_counter() - start)
        return latencies

    async def all_of_them() -> list[float]:
        done = await asyncio.gather(*(work(max(1, calls // in_flight)) for _ in range(in_flight)))
        return [latency for latencies in done for latency in latencies]

    return _sample(lambda: loop.run_until_complete(all_of_them()), max(1, calls // in_flight) * in_flight)


def _timed(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _sample(work: Callable[[], list[float]], calls: int) -> Sample:
    gc.collect()
    cpu, wall = time.process_time(), time.perf_counter()
    latencies = work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return Sample(wall / calls, cpu / calls, {"p50 ms": statistics.median(latencies) * 1000})
