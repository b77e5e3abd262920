"""Jobs whose answers were lost, and where the evidence of what became of them is thin, misleading or not to be had."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from typing import Any

import grpc
import pytest

from tests.faults.job_memory import Stage, check, take, take_some
from tests.until import auntil
from vision_grpc import AsyncClient, JobIncomplete, Retry
from vision_grpc.emulator import Fault


def lost_and_failed() -> list[Fault]:
    """The reply to the first submit is lost, and its operation, which was accepted all the same, fails."""
    lost = Fault.fail("AsyncBatchAnnotateImages", grpc.StatusCode.UNAVAILABLE, accepted=True)
    return [lost, Fault.fail_operation(grpc.StatusCode.INTERNAL)]


async def test_accepted_and_failed_is_not_absent(stage: Stage, client: AsyncClient) -> None:
    """A request that was accepted, and whose operation failed, is sent again as what failed is: both sendings are counted."""
    stage.server.faults.add(*lost_and_failed())
    job = stage.job(4, client, resubmit_unknown=True)
    check(await take(job), 4)
    assert len(stage.submits()) == 2
    assert (job.summary.end, job.summary.sent, job.summary.attempts) == ("complete", 8, {2: 4})


async def test_accepted_and_failed_counts_against_a_cap(stage: Stage, client: AsyncClient) -> None:
    """What may have been accepted uses up a cap on images: no more is sent than that."""
    stage.server.faults.add(*lost_and_failed())
    job = stage.job(4, client, resubmit_unknown=True, max_images=4)
    assert await take(job) == []
    assert (job.summary.end, len(stage.submits())) == ("capped", 1)


async def test_accepted_and_cancelled_is_listed(stage: Stage, client: AsyncClient) -> None:
    """Without leave to send again it is listed, and the reason tells of the operation that ended without a result."""
    stage.server.faults.add(Fault.stall(), Fault.fail("AsyncBatchAnnotateImages", grpc.StatusCode.UNAVAILABLE, accepted=True))
    job = stage.job(4, client)
    async with job:
        slices = job.slices()
        first = asyncio.ensure_future(anext(slices))
        await auntil(lambda: stage.calls("ListOperations"), "the doubt")
        (operation,) = [operation async for operation in client.list_operations("operations")]
        await client.cancel_operation(operation.name)
        with pytest.raises(JobIncomplete, match="not known whether"):
            await first
    assert job.summary.end == "unknown"
    assert "an operation failed that may have been its own" in job.unknown[0].reason


async def test_stopped_before_it_was_sent(stage: Stage) -> None:
    """A job that is stopped while its first request waits for a connection leaves it planned, not in doubt; a resume sends it once."""
    with socket.create_server(("127.0.0.1", 0)) as silent:  # which accepts connections, and says nothing
        client = AsyncClient(emulator=f"127.0.0.1:{silent.getsockname()[1]}", retry=Retry(connect=60.0))
        async with client, stage.job(4, client, submit_timeout=60.0) as job:
            taking = asyncio.ensure_future(anext(job.slices(), None))
            await auntil(lambda: job.progress is not None and job.progress.requests.get("submitting") == 1, "the request")
            job.stop()
            assert await taking is None
            await job.close()
        assert (job.summary.end, job.summary.unknown, job.summary.sent) == ("stopped", (), 0)
    async with stage.client() as client:
        check(await take(stage.job(4, client)), 4)
    assert len(stage.submits()) == 1


async def test_own_failed_operations_are_no_evidence(stage: Stage, client: AsyncClient) -> None:
    """A failed operation that the ledger knows is another request's: beside it, absence is proved, and not counted as sent."""
    stage.server.faults.add(
        Fault.fail_operation(grpc.StatusCode.NOT_FOUND), Fault.fail("AsyncBatchAnnotateImages", grpc.StatusCode.UNAVAILABLE, nth=2)
    )
    job = stage.job(8, client, resubmit_unknown=True, images_in_flight=4)
    check(await take(job), 8, failed={0, 1, 2, 3})
    assert (job.summary.end, job.summary.sent, job.summary.attempts) == ("complete", 8, {1: 8})


@pytest.mark.parametrize("code", [grpc.StatusCode.NOT_FOUND, grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.PERMISSION_DENIED])
async def test_a_list_that_is_refused_is_no_list(stage: Stage, client: AsyncClient, code: grpc.StatusCode) -> None:
    """A lasting error of the list means that there is none: absence is not proved, and the job ends."""
    stage.server.faults.add(
        Fault.fail("AsyncBatchAnnotateImages", grpc.StatusCode.UNAVAILABLE), Fault.fail("ListOperations", code, times=None)
    )
    job = stage.job(4, client, resubmit_unknown=True)
    assert (await take_some(job))[0] == []
    assert job.summary.end == "unknown"
    assert "lists no operations" in job.unknown[0].reason
    assert stage.calls("ListOperations") == 1


@pytest.mark.parametrize("order", ["completion", "input"])
async def test_a_list_that_always_fails(stage: Stage, order: str) -> None:
    """Where the list only fails, the job gives the request up when its patience is over, and says why; a resume finds it."""
    failing = Fault.fail("ListOperations", grpc.StatusCode.UNAVAILABLE, "The list is down", times=None)
    stage.server.faults.add(Fault.fail("AsyncBatchAnnotateImages", grpc.StatusCode.UNAVAILABLE, accepted=True), failing)
    async with stage.client(retry=Retry(attempts=1)) as client:
        job = stage.job(8, client, resubmit_unknown=True, patience=0.1, order=order, images_in_flight=4)
        results, _ = await take_some(job)
        assert sorted(result.index for result in results) == [4, 5, 6, 7]
        assert job.summary.end == "unknown"
        assert "could not be looked for" in job.unknown[0].reason
        assert "The list is down" in job.unknown[0].reason
        stage.server.faults.remove(failing)
        check(results + await take(stage.job(8, client, order=order)), 8)
    assert len(stage.submits()) == 2


async def test_objects_that_may_not_be_listed(stage: Stage, client: AsyncClient) -> None:
    """Where the objects may not be listed, the request is given up too: the list of operations alone proves nothing."""

    def forbidden(prefix: str) -> Iterator[Any]:
        raise PermissionError("no storage.objects.list")

    stage.objects.list = forbidden  # type: ignore[method-assign]
    stage.server.faults.add(Fault.fail("AsyncBatchAnnotateImages", grpc.StatusCode.UNAVAILABLE))
    job = stage.job(4, client, resubmit_unknown=True, patience=0.1)
    assert (await take_some(job))[0] == []
    assert "no storage.objects.list" in job.unknown[0].reason
    assert len(stage.submits()) == 1
