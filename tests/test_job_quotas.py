"""A job in virtual time against a service that watches its quotas: benchmarks/job.py, on a small scale."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc.error_details_pb2 import RetryInfo

from benchmarks.job import REQUESTS_PER_MINUTE, SimulatedService, VirtualLoop, simulate, uris
from vision_grpc.errors import CallError
from vision_grpc.job import AnnotationJob
from vision_grpc.ledger import Ledger


@pytest.mark.parametrize(("images", "size", "seconds"), [(60_000, 1_500, 60.0), (4_200, 2, 0.5)])
def test_quotas_hold_at_every_virtual_moment(images: int, size: int, seconds: float) -> None:
    """Neither requests a minute nor images in processing exceed the quota, and each is used where it is what limits."""
    table = simulate(images, size, seconds)
    figures = table.row("AnnotationJob").figures
    assert all(target.met for target in table.targets), table.targets
    assert figures["most images in processing"] <= 8_000
    if size == 2:
        assert 0.9 * REQUESTS_PER_MINUTE <= figures["most requests in 60 s"] <= REQUESTS_PER_MINUTE
    else:
        assert figures["most images in processing"] >= 7_500


async def _resumed(folder: Path, quota: int) -> tuple[SimulatedService, list[int]]:
    loop, service, indices = asyncio.get_running_loop(), SimulatedService(0.5), []
    while True:
        ledger = Ledger(folder / "job.db", clock=lambda: 1_795_000_000.0 + loop.time())
        settings: dict[str, Any] = {"features": "text", "output": "gs://out/run", "client": service, "request_size": 1}
        job = AnnotationJob(uris(12), ledger=ledger, requests_per_minute=quota, resubmit_unknown=True, **settings)
        async with job, aclosing(job.slices()) as slices:
            async for part in slices:
                if any(result.index not in indices for result in part):
                    indices += [result.index for result in part]
                    job.stop()
        if job.summary.end == "complete":
            return service, indices


def test_quota_holds_over_resumes(tmp_path: Path) -> None:
    """A job that is broken off after each request, and resumed at once, sends no more in a minute than one that is left alone."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        service, indices = runner.run(_resumed(tmp_path, 3))
    assert set(indices) == set(range(12))
    assert service.most_in_minute <= 3


class Refusing(SimulatedService):
    """Refuses the first request, and asks for ten days."""

    refused = False

    async def submit(self, request: Any, metadata: Any) -> str:
        if self.refused:
            return await super().submit(request, metadata)
        self.refused = True
        method, code = "AsyncBatchAnnotateImages", grpc.StatusCode.RESOURCE_EXHAUSTED
        raise CallError(method=method, code=code, message="Later.", details=[RetryInfo(retry_delay={"seconds": 864_000})])


def test_a_refusal_holds_a_job_for_a_day_at_most(tmp_path: Path) -> None:
    """What a server asks for in its RetryInfo is obeyed as in any other call: up to a day."""

    async def ended() -> float:
        settings: dict[str, Any] = {"features": "text", "output": "gs://out/run", "ledger": tmp_path / "job.db"}
        async with AnnotationJob(uris(1), client=Refusing(0.5), **settings) as job:
            assert len([result async for result in job]) == 1
        return asyncio.get_running_loop().time()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        assert 86_400 <= runner.run(ended()) < 86_500
