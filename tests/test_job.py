"""Jobs against a server in this process: what is handed out, what is sent, what is spent, and how a job ends."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from opentelemetry import trace

from tests.faults.job_memory import Stage, check, take, take_some
from tests.until import auntil
from vision_grpc import AsyncClient, CallError, Client, ConfigError, JobIncomplete, LedgerError, image_requests, v1
from vision_grpc.emulator import Fault
from vision_grpc.job import AnnotationJob, read_standing, run_job
from vision_grpc.ledger import Ledger, LedgerReader, State

INTERNAL, UNAVAILABLE, NOT_FOUND, INVALID = 13, 14, 5, 3


@pytest.mark.parametrize("order", ["completion", "input"])
async def test_every_image_has_one_result(stage: Stage, client: AsyncClient, order: str) -> None:
    """A job hands out one result for each image, and in input order in the order of the input; each is sent once."""
    job = stage.job(50, client, order=order)
    results = await take(job)
    check(results, 50)
    if order == "input":
        assert [result.index for result in results] == list(range(50))
    assert set(stage.annotators.seen.values()) == {1}
    assert len(stage.submits()) == 13
    assert len({message.output_config.gcs_destination.uri for message in stage.submits()}) == 13
    assert all(f"gs://out/run/{job.job_id}/" in message.output_config.gcs_destination.uri for message in stage.submits())
    assert (job.summary.end, job.summary.ok, job.summary.sent, job.summary.attempts) == ("complete", 50, 50, {1: 50})
    assert job.progress is not None
    assert (job.progress.ok, job.progress.total, job.progress.in_flight, job.progress.remaining) == (50, 50, 0, 0.0)


@pytest.mark.parametrize("order", ["completion", "input"])
async def test_what_was_taken_is_forgotten(stage: Stage, client: AsyncClient, order: str) -> None:
    """However many requests a job has, what it holds of those that were taken is nothing."""
    stage.annotators.errors.update({2: [INTERNAL], 9: [INTERNAL]})
    job = stage.job(40, client, order=order)
    desk: Any = None
    async with job:
        async for _ in job:
            desk = job._desk
    assert job.summary.end == "complete"
    assert [*desk.ended, *desk.running, *desk.doubts, *desk.rests] == []


async def test_finished_job_does_nothing_again(stage: Stage, client: AsyncClient) -> None:
    """Resuming a job that is complete sends nothing and hands out nothing."""
    check(await take(stage.job(10, client)), 10)
    job = stage.job(10, client)
    assert await take(job) == []
    assert job.summary.end == "complete"
    assert len(stage.submits()) == 3


async def test_inputs_of_every_kind(stage: Stage, client: AsyncClient) -> None:
    """Async iterables of URIs, mappings and requests with features of their own are taken, and read once."""

    async def inputs() -> AsyncIterator[Any]:
        yield "gs://photos/0.jpg"
        yield {"image": {"source": {"image_uri": "gs://photos/1.jpg"}}}
        request = v1.AnnotateImageRequest(features=[v1.Feature(type=v1.Feature.Type.FACE_DETECTION)])
        request.image.source.image_uri = "gs://photos/2.jpg"
        yield request

    check(await take(stage.job(3, client, inputs=inputs(), request_size=2)), 3)
    sent = [request.features[0].type for message in stage.submits() for request in message.requests]
    assert sorted(sent) == [v1.Feature.Type.FACE_DETECTION, v1.Feature.Type.TEXT_DETECTION, v1.Feature.Type.TEXT_DETECTION]


async def test_no_images(stage: Stage, client: AsyncClient) -> None:
    """A job without images is complete at once."""
    job = stage.job(0, client)
    assert await take(job) == []
    assert job.summary.end == "complete"


@pytest.mark.parametrize("order", ["completion", "input"])
async def test_passing_failures_are_tried_again(tmp_path: Path, order: str) -> None:
    """Images with a passing error are sent again, up to the attempts; lasting errors are not; each one's history is kept."""
    errors = {1: [INTERNAL], 2: [UNAVAILABLE, INTERNAL], 5: [NOT_FOUND], 6: [INTERNAL] * 9, 9: [INVALID]}
    stage = Stage(tmp_path, errors=errors)
    async with stage.client() as client:
        job = stage.job(12, client, order=order, request_size=5)
        results = await take(job)
    stage.close()
    check(results, 12, failed={5, 6, 9})
    if order == "input":
        assert [result.index for result in results] == list(range(12))
    for result in results:
        # Annotations beside an error are correct, and stay.
        assert result.response.text_annotations[0].description == str(result.index)
        assert result.ok or result.error.index == result.index
    assert [stage.annotators.seen[number] for number in (0, 1, 2, 5, 6, 9)] == [1, 2, 3, 1, 3, 1]
    assert job.summary.attempts == {1: 9, 2: 1, 3: 2}
    assert job.summary.errors == {"NOT_FOUND": 1, "INTERNAL": 1, "INVALID_ARGUMENT": 1}
    assert (job.summary.sent, job.summary.ok, job.summary.failed) == (12 + 3 + 2, 9, 3)
    with LedgerReader(tmp_path / "job.db") as ledger:
        assert [(failure.attempt, failure.code, failure.again) for failure in ledger.history(2)] == [(1, 14, True), (2, 13, True)]
        assert [(failure.attempt, failure.again) for failure in ledger.history(6)] == [(1, True), (2, True), (3, False)]
        assert ledger.history(0) == []


@pytest.mark.parametrize("order", ["completion", "input"])
async def test_fewer_attempts_in_a_resume(tmp_path: Path, order: str) -> None:
    """Images that an earlier run has planned to send again have one result, that of their last try, however few attempts are left."""
    stage = Stage(tmp_path, errors={1: [INTERNAL], 6: [INTERNAL]})
    async with stage.client() as client:
        job = stage.job(8, client, order="input", rest=3600.0)
        task = asyncio.ensure_future(take(job))
        await auntil(lambda: job.progress and (job.progress.planned, job.progress.ended) == (2, 8), "both images, planned again")
        job.stop()
        assert [result.index for result in await task] == [0]
        check(await take(stage.job(8, client, order=order, attempts=1)), 8)
    stage.close()


async def test_operation_that_fails_for_good(stage: Stage, client: AsyncClient) -> None:
    """An operation's lasting error becomes the error of each of its images."""
    stage.server.faults.add(Fault.fail_operation(grpc.StatusCode.PERMISSION_DENIED, "Error writing final output"))
    job = stage.job(8, client, images_in_flight=4)
    results = await take(job)
    check(results, 8, failed={0, 1, 2, 3})
    assert job.summary.errors == {"PERMISSION_DENIED": 4}
    assert "Error writing final output" in str(results[0].error)


async def test_operation_that_fails_for_now(stage: Stage, client: AsyncClient) -> None:
    """The images of an operation that ended with a passing error are sent again."""
    stage.server.faults.add(Fault.fail_operation(grpc.StatusCode.INTERNAL, times=2))
    job = stage.job(8, client)
    check(await take(job), 8)
    assert job.summary.attempts == {2: 8}


async def test_part_of_a_failed_operation_is_kept(stage: Stage, client: AsyncClient) -> None:
    """What a failed operation wrote all the same is handed out, and only the rest is sent again."""
    stall = Fault.stall()
    stage.server.faults.add(stall, Fault.fail_operation(grpc.StatusCode.INTERNAL))
    job = stage.job(4, client, batch_size=2)
    slices = job.slices()
    task = asyncio.ensure_future(anext(slices))
    await auntil(stage.submits, "the submit")
    prefix = stage.submits()[0].output_config.gcs_destination.uri
    stage.objects.write(
        f"{prefix}output-3-to-4.json",
        b'{"responses":[{"textAnnotations":[{"description":"2"}],"context":{"uri":"gs://photos/2.jpg"}},'
        b'{"textAnnotations":[{"description":"3"}],"context":{"uri":"gs://photos/3.jpg"}}]}',
    )
    stage.server.faults.release()
    results = list(await task)
    async for part in slices:
        results += part
    check(results, 4)
    assert [len(message.requests) for message in stage.submits()] == [4, 2]


@pytest.mark.parametrize("order", ["completion", "input"])
@pytest.mark.parametrize("code", [grpc.StatusCode.INTERNAL, grpc.StatusCode.PERMISSION_DENIED])
async def test_part_of_a_failed_operation_that_cannot_be_read(stage: Stage, client: AsyncClient, order: str, code: grpc.StatusCode) -> None:
    """What a failed operation wrote and cannot be read now is neither sent again nor taken for a failure: a resume reads it."""
    stage.server.faults.add(Fault.stall(), Fault.fail_operation(code))
    read = stage.objects.read

    def forbidden(uri: str) -> bytes:
        if "output-" in uri:
            raise OSError("the network is down")
        return read(uri)

    stage.objects.read = forbidden  # type: ignore[method-assign]
    job = stage.job(4, client, batch_size=2, order=order)
    task = asyncio.ensure_future(take_some(job))
    await auntil(stage.submits, "the submit")
    prefix = stage.submits()[0].output_config.gcs_destination.uri
    for first in (0, 2):
        responses = ",".join(
            f'{{"textAnnotations":[{{"description":"{image}"}}],"context":{{"uri":"gs://photos/{image}.jpg"}}}}'
            for image in (first, first + 1)
        )
        stage.objects.write(f"{prefix}output-{first + 1}-to-{first + 2}.json", f'{{"responses":[{responses}]}}'.encode())
    stage.server.faults.release()
    assert (await task)[0] == []
    assert job.summary.end == "unreadable"
    assert "the network is down" in job.summary.unreadable[0].reason
    stage.objects.read = read  # type: ignore[method-assign]
    check(await take(stage.job(4, client, batch_size=2, order=order)), 4)
    assert len(stage.submits()) == 1


async def test_refusals_slow_the_job(stage: Stage, client: AsyncClient) -> None:
    """RESOURCE_EXHAUSTED only delays: the request waits for its turn again, under the same prefix."""
    stage.server.faults.add(Fault.fail("AsyncBatchAnnotateImages", grpc.StatusCode.RESOURCE_EXHAUSTED, "Quota exceeded", times=1))
    job = stage.job(12, client)
    check(await take(job), 12)
    assert job.progress is not None
    assert job.progress.refusals == 1
    assert set(stage.annotators.seen.values()) == {1}
    assert (job.summary.sent, len(stage.submits())) == (12, 4)


async def test_patience_ends(stage: Stage, client: AsyncClient) -> None:
    """A service that refuses for longer than the patience ends the job with its own words; nothing is lost."""
    fault = Fault.fail("AsyncBatchAnnotateImages", grpc.StatusCode.RESOURCE_EXHAUSTED, "Quota exceeded", times=None)
    stage.server.faults.add(fault)
    with pytest.raises(CallError, match="Quota exceeded"):
        await take(stage.job(8, client, patience=0.2))
    stage.server.faults.clear()
    check(await take(stage.job(8, client)), 8)


async def test_refused_job_loses_no_image(stage: Stage, client: AsyncClient) -> None:
    """Where the service refuses the very first request, the job stops with its words, and no image is given up for it."""
    stage.server.faults.add(Fault.fail("AsyncBatchAnnotateImages", grpc.StatusCode.INVALID_ARGUMENT, "No such parent", times=None))
    with pytest.raises(CallError, match="No such parent"):
        await take(stage.job(8, client))
    stage.server.faults.clear()
    check(await take(stage.job(8, client)), 8)


async def test_rejected_request(stage: Stage, client: AsyncClient) -> None:
    """A request that is refused for what it holds fails its own images, once others were accepted."""
    stage.server.faults.add(Fault.fail("AsyncBatchAnnotateImages", grpc.StatusCode.INVALID_ARGUMENT, "Odd", nth=2))
    job = stage.job(12, client, images_in_flight=4)
    check(await take(job), 12, failed={4, 5, 6, 7})
    assert job.summary.errors == {"INVALID_ARGUMENT": 4}


@pytest.mark.parametrize("lists", [True, False])
async def test_lost_reply_is_settled(stage: Stage, client: AsyncClient, lists: bool) -> None:
    """A request whose reply was lost after acceptance is found, by the list or by its objects, and not sent again."""
    stage.server.faults.add(Fault.fail("AsyncBatchAnnotateImages", grpc.StatusCode.UNAVAILABLE, nth=2, accepted=True))
    if not lists:
        stage.server.faults.add(Fault.unimplemented("ListOperations"))
    # Without a list only the objects tell, and they are looked for until the grace is over, however long they take to be written.
    job = stage.job(20, client, resubmit_unknown=True, grace=0.05 if lists else 100.0)
    check(await take(job), 20)
    assert set(stage.annotators.seen.values()) == {1}
    assert (job.summary.end, len(stage.submits())) == ("complete", 5)


async def test_unknown_is_listed_not_sent(stage: Stage, client: AsyncClient) -> None:
    """A request that was never accepted, for all one sees, is listed and not sent again before the caller says so."""
    stage.server.faults.add(Fault.fail("AsyncBatchAnnotateImages", grpc.StatusCode.UNAVAILABLE, nth=2))
    job = stage.job(20, client)
    results, missing = await take_some(job)
    assert len(results) == 16
    (unknown,) = missing.unknown
    assert (missing.unknown, missing.unreadable, missing.uri) == (job.unknown, (), unknown.destination)
    assert job.summary.end == "unknown"
    assert unknown.images == 4
    assert unknown.destination == f"gs://out/run/{job.job_id}/{unknown.request:06d}-1/"
    assert "resubmit_unknown" in unknown.reason
    again = stage.job(20, client, resubmit_unknown=True)
    check(results + await take(again), 20)
    assert again.summary.end == "complete"
    assert set(stage.annotators.seen.values()) == {1}


@pytest.mark.parametrize("order", ["completion", "input"])
async def test_no_evidence_without_a_list(stage: Stage, client: AsyncClient, order: str) -> None:
    """Where the server lists no operations, absence is never proved: nothing is sent again, whatever the caller allows."""
    stage.server.faults.add(
        Fault.fail("AsyncBatchAnnotateImages", grpc.StatusCode.UNAVAILABLE, nth=2), Fault.unimplemented("ListOperations")
    )
    job = stage.job(20, client, resubmit_unknown=True, order=order)
    assert len((await take_some(job))[0]) == 16
    assert job.summary.end == "unknown"
    assert "lists no operations" in job.unknown[0].reason


async def test_running_operation_is_waited_for(stage: Stage, client: AsyncClient) -> None:
    """While an operation runs that may be the lost one, the request is not taken for absent."""
    stall = Fault.stall()
    stage.server.faults.add(stall, Fault.fail("AsyncBatchAnnotateImages", grpc.StatusCode.UNAVAILABLE, accepted=True))
    job = stage.job(8, client, resubmit_unknown=True, images_in_flight=4)
    results: list[Any] = []
    async with job:
        async for result in job:
            results.append(result)
            if len(results) == 4:
                # Time enough to look for it, more than once since the grace was over.
                looks = stage.calls("ListOperations")
                await auntil(lambda looks=looks: stage.calls("ListOperations") >= looks + 4, "four looks at the list")  # type: ignore[misc]
                stage.server.faults.release()
    check(results, 8)
    assert set(stage.annotators.seen.values()) == {1}


async def test_vanished_operation(stage: Stage, client: AsyncClient) -> None:
    """An operation that the server does not know any more is listed; sent again only where the caller said so."""
    unseen = Fault.fail("GetOperation", grpc.StatusCode.UNAVAILABLE, times=None)
    stage.server.faults.add(Fault.stall(), unseen)
    job = stage.job(4, client)
    task = asyncio.ensure_future(take(job))
    await auntil(lambda: job.progress and job.progress.requests["running"], "the operation, running")
    with LedgerReader(stage.folder / "job.db") as ledger:
        name = ledger.last_operation
    assert name
    await client.cancel_operation(name)
    await client.delete_operation(name)
    stage.server.faults.remove(unseen)
    with pytest.raises(JobIncomplete, match="its operation is gone"):
        await task
    assert "its operation is gone" in job.unknown[0].reason
    stage.server.faults.clear()
    check(await take(stage.job(4, client, resubmit_unknown=True)), 4)


async def test_caps_stop_before_spending(stage: Stage, client: AsyncClient) -> None:
    """A cap on images or on cost stops before it is passed, over all runs together; a higher cap goes on."""
    job = stage.job(20, client, max_images=10)
    results = await take(job)
    assert (len(results), job.summary.end, job.summary.sent) == (8, "capped", 8)
    prices = {"text": 1.5}
    job = stage.job(20, client, max_cost=0.013, prices=prices)
    results += await take(job)
    assert (job.summary.end, job.summary.sent) == ("capped", 16)
    assert job.summary.cost == pytest.approx(0.012)
    check(results + await take(stage.job(20, client)), 20)


async def test_a_feature_without_a_price_is_not_free(stage: Stage, client: AsyncClient) -> None:
    """A request of its own features, one of which has no price, ends the job before anything is sent under a cap on cost."""
    inputs = image_requests(["gs://photos/a.jpg"], ["text", "faces"])
    job = stage.job(0, client, inputs=inputs, max_cost=5, prices={"text": 1.5})
    with pytest.raises(ConfigError, match="prices lacks FACE_DETECTION"):
        await take(job)
    assert not stage.submits()


async def test_slow_consumer_slows_the_job(stage: Stage, client: AsyncClient) -> None:
    """A consumer that does not take results stops the sending: what is uncollected stays within the images in flight."""
    job = stage.job(400, client, images_in_flight=20)
    async with job:
        slices = job.slices()
        results = list(await anext(slices))
        before = -1
        while before != len(stage.submits()):
            before = len(stage.submits())
            await asyncio.sleep(0.3)
        assert before <= (20 + 20 + 4) // 4
        async for part in slices:
            results += part
    check(results, 400)


async def test_drain_and_resume(stage: Stage, client: AsyncClient) -> None:
    """A drained job hands out what was sent, and a resume does the rest."""
    job = stage.job(100, client, images_in_flight=8)
    results = []
    async with job:
        async for result in job:
            results.append(result)
            if len(results) == 10:
                assert await job.drain(60)
    assert job.summary.end == "drained"
    assert 10 < len(results) < 60
    assert job.summary.ok == len(results)
    check(results + await take(stage.job(100, client)), 100)
    assert set(stage.annotators.seen.values()) == {1}


async def test_uncollected_results_come_again(stage: Stage, client: AsyncClient) -> None:
    """What a consumer had of a request when it broke off comes again in a resume, and is not sent again."""
    job = stage.job(12, client, images_in_flight=4, order="input")
    async with job:
        async for result in job:
            if result.index == 5:
                break
    assert job.summary.end == "stopped"
    results = await take(stage.job(12, client, order="input"))
    assert [result.index for result in results] == list(range(4, 12))
    assert set(stage.annotators.seen.values()) == {1}


async def test_stop_ends_the_wait(stage: Stage, client: AsyncClient) -> None:
    """stop() ends an iteration that waits; the operation that runs is taken up by a resume."""
    stall = Fault.stall()
    stage.server.faults.add(stall)
    job = stage.job(4, client)
    task = asyncio.ensure_future(take(job))
    await auntil(lambda: job.progress and job.progress.requests["running"], "the operation, running")
    job.stop()
    assert await task == []
    stage.server.faults.release()
    check(await take(stage.job(4, client)), 4)
    assert len(stage.submits()) == 1


async def test_other_inputs_are_refused(stage: Stage, client: AsyncClient) -> None:
    """A resume with other, fewer or more inputs is refused before anything is sent; without any it goes on from the ledger."""
    job = stage.job(20, client, max_images=8)
    results = await take(job)
    uris = [f"gs://photos/{index}.jpg" for index in range(20)]
    sent = len(stage.submits())
    for other, words in (
        ([*uris[:9], "gs://photos/x.jpg", *uris[10:]], "images 9 to 12 differ"),
        (uris[:12], "it holds 20 images and these are 12"),
        ([*uris, "gs://photos/20.jpg"], "it holds 20 images and these are 21"),
    ):
        with pytest.raises(LedgerError, match=words):
            await take(stage.job(0, client, inputs=other))
    assert len(stage.submits()) == sent
    check(results + await take(stage.job(0, client, inputs=None)), 20)


@pytest.mark.parametrize("order", ["completion", "input"])
async def test_wrong_inputs_take_nothing(stage: Stage, client: AsyncClient, order: str) -> None:
    """Results that wait in the ledger are not handed out to a resume before its inputs were compared; they stay for the right one."""
    job = stage.job(20, client, order=order)
    async with job:
        async for _ in job:
            await auntil(lambda: job.progress and job.progress.ended == 20, "the end of every operation")
            break
    taken = threading.Event()

    def wrong() -> Iterator[str]:
        yield from (f"gs://photos/{index}.jpg" for index in range(16))
        taken.wait(0.3)  # results that are handed out too early come meanwhile
        yield from (f"gs://photos/x{index}.jpg" for index in range(4))

    results = []
    with pytest.raises(LedgerError, match="images 17 to 20 differ"):
        async for result in stage.job(0, client, inputs=wrong(), order=order):
            results.append(result)
            taken.set()
    assert results == []
    check(await take(stage.job(20, client, order=order)), 20)
    assert len(stage.submits()) == 5


async def test_resume_without_inputs_needs_all_of_them(stage: Stage, client: AsyncClient) -> None:
    """A ledger whose inputs were never read to their end cannot be resumed without them, nor one that is not there."""
    with pytest.raises(LedgerError, match=r"there is no ledger .*job.db to resume from"):
        await take(stage.job(0, client, inputs=None))
    assert not (stage.folder / "job.db").exists()
    with pytest.raises(ConfigError, match=r"inputs\[4\]: 'http://x/y.jpg' is a web address"):
        await take(stage.job(0, client, inputs=[f"gs://photos/{index}.jpg" for index in range(4)] + ["http://x/y.jpg"]))
    with pytest.raises(LedgerError, match="not yet read to their end"):
        await take(stage.job(0, client, inputs=None))
    check(await take(stage.job(6, client)), 6)


async def test_unreadable_results_wait_for_a_resume(stage: Stage, client: AsyncClient) -> None:
    """Results that cannot be read end the job as unreadable, without being lost, sent again or taken for failures."""
    kept: dict[str, bytes] = {}
    read = stage.objects.read

    def forgetful(uri: str) -> bytes:
        if "output-" in uri and not kept:
            kept[uri] = read(uri)
            raise PermissionError(uri)
        return read(uri)

    stage.objects.read = forgetful  # type: ignore[method-assign]
    job = stage.job(12, client)
    results, missing = await take_some(job)
    assert (len(results), job.summary.end) == (8, "unreadable")
    assert (missing.unreadable, missing.unknown) == (job.summary.unreadable, ())
    assert missing.unreadable[0].destination == missing.uri
    assert missing.uri in str(missing)
    assert next(iter(kept)) in job.summary.unreadable[0].reason
    check(results + await take(stage.job(12, client)), 12)
    assert len(stage.submits()) == 3


@pytest.mark.parametrize("order", ["completion", "input"])
async def test_unreadable_results_do_not_hold_up_the_job(stage: Stage, client: AsyncClient, order: str) -> None:
    """However many results cannot be read, all else is sent, handed out, and the job ends."""
    read = stage.objects.read

    def forbidden(uri: str) -> bytes:
        if "/000001-1/" in uri or "/000002-1/" in uri:
            raise PermissionError(uri)
        return read(uri)

    stage.objects.read = forbidden  # type: ignore[method-assign]
    job = stage.job(20, client, order=order, images_in_flight=4)
    results, _ = await take_some(job)
    assert sorted(result.index for result in results) == list(range(8, 20))
    assert (job.summary.end, [lost.request for lost in job.summary.unreadable]) == ("unreadable", [1, 2])
    stage.objects.read = read  # type: ignore[method-assign]
    check(results + await take(stage.job(20, client, order=order)), 20)
    assert len(stage.submits()) == 5


async def test_unreadable_results_of_a_failed_operation(stage: Stage, client: AsyncClient) -> None:
    """Where an operation failed and what it wrote cannot be read either, its own error is told first."""

    def unlisted(prefix: str) -> Iterator[Any]:
        raise FileNotFoundError(f"{prefix} has no bucket")

    stage.server.faults.add(Fault.unwritable("out"))
    stage.objects.list = unlisted  # type: ignore[method-assign]
    job = stage.job(4, client)
    assert (await take_some(job))[0] == []
    assert "the operation failed: Error writing final output to: gs://out/run/" in job.summary.unreadable[0].reason
    assert "has no bucket" in job.summary.unreadable[0].reason


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"output": "out/"}, "output: 'out/' is not a Cloud Storage prefix"),
        ({"request_size": 2001}, "request_size must be a whole number between 1 and 2,000, not 2001"),
        ({"batch_size": 0}, "batch_size must be a whole number between 1 and 100"),
        ({"images_in_flight": 0}, "images_in_flight must be a whole number at least 1"),
        ({"images_in_flight": 3}, "images_in_flight=3 is less than request_size=4"),
        ({"requests_per_minute": 1.5}, "requests_per_minute must be a whole number"),
        ({"order": "random"}, "order must be 'completion' or 'input'"),
        ({"attempts": True}, "attempts must be"),
        ({"max_cost": 3}, "max_cost and prices go together"),
        ({"max_cost": -1, "prices": {"text": 1}}, "max_cost must be"),
        ({"max_cost": 1, "prices": {"txt": 1}}, "there is no feature 'txt'"),
        ({"max_cost": 1, "prices": {"text": -1}}, "must be a number of at least 0"),
        ({"max_cost": 1, "prices": {"faces": 1}}, "prices lacks TEXT_DETECTION"),
        ({"grace": -1}, "grace must be a number at least 0"),
        ({"parent": "p"}, "parent must be projects/PROJECT"),
        ({"labels": {"A": "b"}}, "labels: key 'A'"),
        ({"max_cost": "5", "prices": {"text": 1}}, "max_cost must be a number of at least 0, not '5'"),
        ({"max_cost": 1, "prices": 5}, "prices must be a mapping of features to numbers, not 5"),
        ({"submit_timeout": float("inf")}, "submit_timeout must be a number between 0.001 and 86,400, not inf"),
        ({"output": None}, "output must be a string as 'gs://bucket/folder/', not None"),
        ({"output": Path("/out")}, "output must be a string"),
        ({"parent": 5}, "parent must be a string"),
        ({"labels": ["a"]}, "labels must be a mapping of strings to strings, not "),
        ({"labels": {"a": 1}}, "labels must be a mapping of strings to strings, not {'a': 1}"),
        ({"ledger": None}, "ledger must be the path of a file, not None"),
        ({"features": None, "image_context": {}}, "image_context needs features"),
        ({"features": None, "inputs": ["gs://photos/0.jpg"]}, r"inputs\[0\] is a URI alone: name the job's features"),
        ({"inputs": "gs://photos/0.jpg"}, r"inputs must be several URIs or requests in an iterable, as \[uri\], not 'gs://photos/0.jpg'"),
        ({"inputs": {"image": {}}}, "inputs must be several"),
        ({"inputs": v1.AnnotateImageRequest()}, "inputs must be several"),
        ({"inputs": 5}, "inputs must be several"),
    ],
)
async def test_wrong_settings(stage: Stage, client: AsyncClient, settings: dict[str, Any], words: str) -> None:
    """A wrong setting is refused in one sentence when the job is made."""
    with pytest.raises(ConfigError, match=words):
        stage.job(1, client, **settings)


@pytest.mark.parametrize("wrong", [Client, lambda **_: None])
async def test_wrong_client(stage: Stage, wrong: Any) -> None:
    """A job is for the asynchronous client, and says so, also where it is run without an event loop."""
    client = wrong(emulator=stage.server.target)
    settings: dict[str, Any] = {"features": "text", "output": "gs://out/run", "ledger": stage.folder / "job.db"}
    for run in (AnnotationJob, run_job):
        with pytest.raises(ConfigError, match="client must be an AsyncClient"):
            run(["gs://photos/0.jpg"], client=client, **settings)
    if client:
        client.close()
    assert not (stage.folder / "job.db").exists()


@pytest.mark.parametrize("setting", [{"labels": {"team": "maps"}}, {"parent": "projects/p"}])
async def test_version_without_the_field(stage: Stage, setting: dict[str, Any]) -> None:
    """What requests of an older version cannot say is refused before there is a ledger."""
    async with stage.client(version="v1p4beta1") as client:
        with pytest.raises(ConfigError, match=f"{next(iter(setting))}: requests of v1p4beta1 have no such field"):
            await take(stage.job(4, client, **setting))
        assert not (stage.folder / "job.db").exists()
        check(await take(stage.job(4, client)), 4)


async def test_wrong_input_is_corrected(stage: Stage, client: AsyncClient) -> None:
    """Where the very first input was found wrong the ledger holds nothing yet, and takes the corrected settings."""
    uris = [f"gs://photos/{index}.jpg" for index in range(4)]
    with pytest.raises(ConfigError, match="name the job's features"):
        await take(stage.job(0, client, inputs=iter(uris), features=None))
    check(await take(stage.job(0, client, inputs=iter(uris))), 4)


async def test_inputs_that_never_come(stage: Stage, client: AsyncClient) -> None:
    """A generator that waits for what never comes keeps neither the event loop nor the end of the job waiting."""
    waiting, never = threading.Event(), threading.Event()

    def uris() -> Iterator[str]:
        yield from (f"gs://photos/{index}.jpg" for index in range(4))
        waiting.set()
        never.wait()

    before = set(threading.enumerate())
    job = stage.job(0, client, inputs=uris())
    async with job:
        async for _ in job:
            break
        await auntil(waiting.is_set, "the wait")
    assert job.summary.end == "stopped"
    (reader,) = [thread for thread in {*threading.enumerate()} - before if thread.name == "vision-grpc-inputs"]
    assert reader.daemon
    never.set()
    reader.join(60)
    assert not reader.is_alive()


@pytest.mark.parametrize("leave", ["cancel", "close"])
async def test_left_while_it_begins(stage: Stage, client: AsyncClient, leave: str) -> None:
    """A job that is cancelled or closed while its ledger is being opened closes it: the next one begins at once."""
    opening, proceed = threading.Event(), threading.Event()

    class Slow(Ledger):
        def begin(self, settings: Any) -> None:
            opening.set()
            assert proceed.wait(60)
            super().begin(settings)

    job = stage.job(4, client, ledger=Slow(stage.folder / "job.db"))
    task = asyncio.ensure_future(take(job))
    await auntil(opening.is_set, "the opening of the ledger")
    asyncio.get_running_loop().call_soon(proceed.set)
    if leave == "cancel":
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    else:
        await job.close()
        assert await task == []
    assert not stage.submits()
    check(await take(stage.job(4, client)), 4)


async def test_a_job_is_iterated_once(stage: Stage, client: AsyncClient) -> None:
    """A second iteration is refused, and a summary before the end."""
    job = stage.job(1, client)
    with pytest.raises(ConfigError, match="has not ended"):
        _ = job.summary
    assert job.progress is None
    await take(job)
    with pytest.raises(ConfigError, match="iterated once"):
        await take(job)


async def test_log_records_are_structured(stage: Stage, client: AsyncClient, caplog: pytest.LogCaptureFixture) -> None:
    """Each step is a log record under vision_grpc.job with its facts as attributes."""
    caplog.set_level(logging.INFO, "vision_grpc.job")
    job = stage.job(4, client)
    await take(job)
    (accepted,) = [record for record in caplog.records if record.getMessage().startswith("a request was accepted")]
    facts = vars(accepted)
    assert (facts["vision_job"], facts["vision_request"], facts["vision_images"]) == (job.job_id, 1, 4)
    assert facts["vision_operation"].startswith("projects/")


def test_blocking_job(stage: Stage) -> None:
    """run_job iterates without an event loop, and leaves neither thread nor channel behind."""
    threads = {thread.name for thread in threading.enumerate()}
    uris = [f"gs://photos/{index}.jpg" for index in range(30)]
    settings: dict[str, Any] = {
        "features": "text",
        "output": "gs://out/run",
        "ledger": stage.folder / "job.db",
        "request_size": 4,
        "objects": stage.objects,
    }
    with run_job(uris, client=stage.client(), **settings) as job:
        results = list(job)
    check(results, 30)
    assert job.summary.end == "complete"
    assert job.drain()
    left = {thread.name for thread in threading.enumerate() if thread.is_alive()} - threads
    assert not [name for name in left if name.startswith("vision-grpc")]


async def test_opentelemetry_hears_of_it(stage: Stage, client: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """With OpenTelemetry installed its counters and histograms are fed, and the trace context travels with each submit."""
    told: list[tuple[str, float, dict[str, str]]] = []

    class Meter:
        def create_counter(self, name: str, *_: str) -> Any:
            return type("Counter", (), {"add": lambda _, value, attributes: told.append((name, value, attributes))})()

        def create_histogram(self, name: str, *_: str) -> Any:
            return type("Histogram", (), {"record": lambda _, value, attributes: told.append((name, value, attributes))})()

    monkeypatch.setattr("opentelemetry.metrics.get_meter", lambda name: Meter())
    context = trace.SpanContext(0x1234, 0x5678, is_remote=False, trace_flags=trace.TraceFlags(1))
    stage.annotators.errors[0] = [INTERNAL]
    stage.server.faults.add(Fault.fail("AsyncBatchAnnotateImages", grpc.StatusCode.UNAVAILABLE, nth=2, accepted=True))
    with trace.use_span(trace.NonRecordingSpan(context)):
        check(await take(stage.job(8, client)), 8)
    images = [(value, attributes["state"]) for name, value, attributes in told if name == "vision.job.images"]
    assert sum(value for value, state in images if state == "ok") == 8
    assert sum(value for value, state in images if state == "again") == 1
    assert len([1 for name, *_ in told if name == "vision.job.submit.duration"]) == 3
    outcomes = Counter(attributes["outcome"] for name, _, attributes in told if name == "vision.job.requests")
    assert outcomes == {"accepted": 2, "doubted": 1, "ended": 3}  # also that whose answer was lost
    assert {attributes["code"] for name, _, attributes in told if name == "vision.job.operation.duration"} == {"OK"}
    calls = [call for call in stage.server.calls if call.method == "AsyncBatchAnnotateImages"]
    assert {dict(call.metadata)["traceparent"] for call in calls} == {f"00-{0x1234:032x}-{0x5678:016x}-01"}


async def test_standing_is_read_beside_a_running_job(stage: Stage, client: AsyncClient) -> None:
    """A job's standing is read from its ledger while it runs, and tells what a resume would find."""
    stage.server.faults.add(Fault.fail("AsyncBatchAnnotateImages", grpc.StatusCode.UNAVAILABLE, nth=3))
    job = stage.job(40, client, images_in_flight=8)
    async with job:
        with pytest.raises(JobIncomplete):
            async for _ in job.slices():
                standing = read_standing(stage.folder / "job.db")
                assert standing.job == job.job_id
                assert 0 < sum(standing.progress.requests.values()) <= 10
    standing = read_standing(stage.folder / "job.db")
    assert (standing.progress.total, standing.progress.ok, standing.progress.unknown) == (40, 36, 4)
    assert [lost.destination for lost in standing.unknown] == [lost.destination for lost in job.unknown]
    assert standing.progress.rate > 0
    assert standing.output == "gs://out/run/"


async def test_drained_before_it_began(stage: Stage, client: AsyncClient) -> None:
    """A job that is told to drain before its first result sends nothing."""
    job = stage.job(8, client)
    assert await job.drain()
    assert await take(job) == []
    assert job.summary.end == "drained"
    assert not stage.submits()


def test_blocking_job_that_lacks_results(stage: Stage) -> None:
    """A blocking job raises what is missing after the last result, and then ends; its summary says the same."""
    stage.server.faults.add(Fault.fail("AsyncBatchAnnotateImages", grpc.StatusCode.UNAVAILABLE, nth=2))
    uris = [f"gs://photos/{index}.jpg" for index in range(12)]
    settings: dict[str, Any] = {"features": "text", "output": "gs://out/run", "ledger": stage.folder / "job.db", "request_size": 4}
    with run_job(uris, client=stage.client(), objects=stage.objects, grace=0.05, **settings) as job:
        results = [next(job) for _ in range(8)]
        with pytest.raises(JobIncomplete) as missing:
            next(job)
        assert next(job, None) is None
    assert missing.value.unknown == job.summary.unknown
    lost = range(missing.value.unknown[0].first, missing.value.unknown[0].first + 4)
    assert {result.index for result in results} == set(range(12)) - {*lost}


def test_blocking_job_fails_once(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    """The error that ends a blocking job is raised, and not reported a second time as one that nobody asked for."""
    settings: dict[str, Any] = {"features": "text", "output": "gs://out/run", "ledger": stage.folder / "job.db"}
    with pytest.raises(ConfigError, match="is a web address"):
        list(run_job(["http://x/y.jpg"], client=stage.client(), objects=stage.objects, **settings))
    gc.collect()
    assert not [record for record in caplog.records if record.name == "asyncio"]


def test_blocking_job_drains(stage: Stage) -> None:
    """A blocking job that is told to drain goes on with what was sent, and then ends."""
    uris = [f"gs://photos/{index}.jpg" for index in range(100)]
    settings: dict[str, Any] = {"features": "text", "output": "gs://out/run", "ledger": stage.folder / "job.db", "request_size": 4}
    with run_job(uris, client=stage.client(), objects=stage.objects, images_in_flight=8, **settings) as job:
        results = [next(job) for _ in range(5)]
        job.drain(0)
        results += list(job)
    assert job.summary.end == "drained"
    assert len(results) == job.summary.ok < 100


def test_blocking_job_is_left_early(stage: Stage) -> None:
    """Leaving a blocking job in the middle closes it, and a resume hands out the rest."""
    uris = [f"gs://photos/{index}.jpg" for index in range(30)]
    settings: dict[str, Any] = {
        "features": "text",
        "output": "gs://out/run",
        "ledger": stage.folder / "job.db",
        "request_size": 4,
        "objects": stage.objects,
        "order": "input",
    }
    with run_job(uris, client=stage.client(), **settings) as job:
        first = [next(job) for _ in range(10)]
    with run_job(uris, client=stage.client(), **settings) as job:
        rest = list(job)
    assert [result.index for result in first] == list(range(10))
    assert [result.index for result in rest] == list(range(8, 30))
    assert set(stage.annotators.seen.values()) == {1}
    with LedgerReader(stage.folder / "job.db") as ledger:
        assert not ledger.rows(*(set(State) - {State.COLLECTED}))
