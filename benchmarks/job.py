"""The job engine alone, in virtual time: ``python -m benchmarks.job --simulate 10000000``.

A simulated service takes requests in the same process and keeps the published quotas, which it also checks: no 60 virtual
seconds may see more requests, and no moment more images in processing, than it allows. It refuses, loses replies, and fails
images, all from a fixed seed. Time passes only when nothing is left to do: days of a job take minutes. Ledger, planning,
scheduling, settling and delivery are the real ones.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import logging
import random
import resource
import selectors
import tempfile
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import Executor
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar, TypeVarTuple

import grpc

from benchmarks import Row, Table, Target
from vision_grpc import v1
from vision_grpc._job.service import Listed
from vision_grpc.errors import CallError, ImageError
from vision_grpc.job import AnnotationJob, ImageResult

_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")

REQUESTS_PER_MINUTE = 1_800
IMAGES_IN_FLIGHT = 8_000


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time passes only while nothing is ready and no thread is at work."""

    def __init__(self) -> None:
        self._now = 0.0
        self._threads_at_work = 0
        super().__init__(_Selector(self))

    def time(self) -> float:
        return self._now

    def run_in_executor(self, executor: Executor | None, func: Callable[[*_Ts], _T], *args: *_Ts) -> asyncio.Future[_T]:
        future = super().run_in_executor(executor, func, *args)
        self._threads_at_work += 1
        future.add_done_callback(self._thread_done)
        return future

    def _thread_done(self, _: Any) -> None:
        self._threads_at_work -= 1


class _Selector(selectors.DefaultSelector):
    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None or self._loop._threads_at_work:
            return super().select(timeout if timeout == 0 else None)
        if timeout > 0 and not (events := super().select(0)):
            self._loop._now += timeout
            return events
        return super().select(0)


class SimulatedService:
    """Takes requests, processes each for some virtual seconds, and keeps an eye on the quotas.

    Attributes:
        violations: How often a quota was exceeded.
        most_in_minute, most_in_processing: The highest that was seen of each.
        sent: Images accepted, by how often.
    """

    version = "v1"
    door: ModuleType = v1

    def __init__(self, seconds: float, seed: int = 5) -> None:
        self._draw = random.Random(seed)
        self._seconds = seconds
        self._minute: deque[float] = deque()
        self._processing = 0
        self._running: dict[str, tuple[str, int]] = {}
        self._finished: dict[str, str] = {}
        self._watched: set[str] = set()
        self._ended: deque[str] = deque()
        self._news = asyncio.Event()
        self._numbers = itertools.count(1)
        self._response = v1.AnnotateImageResponse()
        self.violations = 0
        self.most_in_minute = 0
        self.most_in_processing = 0
        self.requests = 0
        self.images = 0
        self.destinations: Counter[str] = Counter()

    async def submit(self, request: Any, metadata: Any) -> str:
        loop = asyncio.get_running_loop()
        now = loop.time()
        while self._minute and self._minute[0] <= now - 60:
            self._minute.popleft()
        self._minute.append(now)
        self.most_in_minute = max(self.most_in_minute, len(self._minute))
        self.violations += len(self._minute) > REQUESTS_PER_MINUTE
        fate = self._draw.random()
        await asyncio.sleep(self._draw.uniform(0.02, 0.3))
        if fate < 0.001:
            raise _failure(grpc.StatusCode.RESOURCE_EXHAUSTED, "Quota exceeded", ambiguous=False)
        if fate < 0.002:
            raise _failure(grpc.StatusCode.UNAVAILABLE, "lost on the way", ambiguous=True)
        images = len(request.requests)
        name = f"projects/p/operations/{next(self._numbers):016x}"
        destination = request.output_config.gcs_destination.uri
        self.destinations[destination] += 1
        self.requests += 1
        self.images += images
        self._processing += images
        self.most_in_processing = max(self.most_in_processing, self._processing)
        self.violations += self._processing > IMAGES_IN_FLIGHT
        self._running[name] = (destination, images)
        loop.call_later(self._seconds * self._draw.uniform(0.5, 1.5), self._finish, name)
        if fate < 0.003:
            raise _failure(grpc.StatusCode.UNAVAILABLE, "reply lost", ambiguous=True)
        return name

    def watch(self, name: str) -> None:
        self._watched.add(name)
        if name in self._finished:
            self._ended.append(name)
            self._news.set()

    async def ended(self) -> Sequence[tuple[str, v1.Operation | CallError]]:
        # As a client polls: what ended is known a moment later, with all else that ended by then.
        await self._news.wait()
        await asyncio.sleep(1.0)
        self._news.clear()
        names, self._ended = self._ended, deque()
        return [(name, v1.Operation(name=name, done=True)) for name in names]

    async def operations(self, known: str | None) -> AsyncIterator[Listed]:
        for name in list(self._running):
            yield Listed(name, False, None)
        for name, destination in list(self._finished.items()):
            yield Listed(name, True, destination)

    async def shards(self, prefix: str) -> list[tuple[int, int]]:
        return []

    async def results(self, prefix: str, uris: Sequence[str]) -> AsyncIterator[Sequence[ImageResult]]:
        draw = random.Random(prefix)
        failing = {draw.randrange(len(uris)): draw.choice([5, 13]) for _ in range(len(uris) // 200)}
        response = self._response
        for start in range(0, len(uris), 100):
            yield [
                ImageResult(
                    index, uri, response, ImageError(failing[index], "simulated", index=index, uri=uri) if index in failing else None
                )
                for index, uri in enumerate(uris[start : start + 100], start)
            ]

    def _finish(self, name: str) -> None:
        destination, images = self._running.pop(name)
        self._processing -= images
        self._finished[name] = destination
        if name in self._watched:
            self._ended.append(name)
            self._news.set()


def _failure(code: grpc.StatusCode, message: str, *, ambiguous: bool) -> CallError:
    return CallError(method="AsyncBatchAnnotateImages", code=code, message=message, ambiguous=ambiguous)


def uris(images: int) -> Iterator[str]:
    """Names that do not compress well, as those of photographs that were uploaded under random names."""
    for index in range(images):
        yield f"gs://my-photos/2026/11/{index * 0x9E3779B97F4A7C15 % 2**64:016x}.jpg"


async def _run(images: int, request_size: int, seconds: float, ledger: Path) -> tuple[SimulatedService, AnnotationJob, int, float]:
    service = SimulatedService(seconds)
    results = 0
    job = AnnotationJob(
        uris(images),
        features="text",
        output="gs://out/run",
        client=service,
        ledger=ledger,
        request_size=request_size,
        images_in_flight=IMAGES_IN_FLIGHT,
        requests_per_minute=REQUESTS_PER_MINUTE,
        resubmit_unknown=True,
    )
    async with job:
        async for part in job.slices():
            results += len(part)
    return service, job, results, asyncio.get_running_loop().time()


def simulate(images: int, request_size: int = 2_000, seconds: float = 60.0) -> Table:
    """Runs a job of so many images to its end, in virtual time, and tells what it took.

    Args:
        seconds: How long an operation runs on average, virtually.
    """
    with tempfile.TemporaryDirectory() as folder:
        ledger = Path(folder, "job.db")
        begun, cpu = time.perf_counter(), time.process_time()
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            service, job, results, virtual = runner.run(_run(images, request_size, seconds, ledger))
        wall, cpu = time.perf_counter() - begun, time.process_time() - cpu
        size = ledger.stat().st_size
    if job.summary.end != "complete" or results != images or max(service.destinations.values()) > 1:
        raise AssertionError(f"the simulated job went wrong: {job.summary}, {results} results")
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    figures = {
        "images/s": images / wall,
        "virtual hours": virtual / 3600,
        "peak MB": memory,
        "ledger MB": size / 1e6,
        "requests": service.requests,
        "images sent": service.images,
        "most requests in 60 s": service.most_in_minute,
        "most images in processing": service.most_in_processing,
    }
    title = f"a job of {images:,} images in requests of {request_size:,}, in virtual time"
    table = Table(title, [Row("AnnotationJob", wall, wall, wall, cpu=cpu, figures=figures)])
    table.targets.append(Target("moments at which a quota was exceeded", service.violations, at_most=0))
    if request_size == 2_000:
        scale = images / 10_000_000
        table.targets.append(Target("minutes for ten million images", wall / 60 / scale, at_most=10))
        table.targets.append(Target("peak memory, MB", memory, at_most=300))
        table.targets.append(Target("the ledger, MB for ten million images", size / 1e6 / scale, at_most=200))
    return table


def run(rounds: int) -> list[Table]:
    """A million images in large requests, which the images in processing limit, and in small ones, which the requests a minute do."""
    return [simulate(1_000_000), simulate(200_000, 20, 0.5)]


def main() -> None:
    from benchmarks.__main__ import show

    parser = argparse.ArgumentParser(prog="python -m benchmarks.job", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--simulate", type=int, default=10_000_000, metavar="IMAGES", help="images of the job (default: %(default)s)")
    parser.add_argument("--request-size", type=int, default=2_000, metavar="N", help="images of a request (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=60.0, metavar="S", help="virtual seconds of an operation (default: %(default)s)")
    arguments = parser.parse_args()
    logging.getLogger("vision_grpc.job").setLevel(logging.ERROR)
    show(simulate(arguments.simulate, arguments.request_size, arguments.seconds))


if __name__ == "__main__":
    main()
