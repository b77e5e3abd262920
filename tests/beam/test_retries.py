"""Bundles break at every moment, and are run again: no image is sent twice, and none is lost."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import apache_beam as beam
import grpc
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.direct.direct_runner import BundleBasedDirectRunner
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from tests.beam.brittle import MOMENTS
from tests.beam.world import PROCESSES, THREADS, World
from tests.until import until
from vision_grpc import Client, OperationFailed
from vision_grpc.beam import AnnotateImages
from vision_grpc.emulator import Fault, VirtualClock
from vision_grpc.objects import LocalObjects, ObjectInfo
from vision_grpc.requests import image_requests

Worlds = Callable[..., World]
SUBMIT, LIST = "AsyncBatchAnnotateImages", "ListOperations"

DEAD: dict[str, Any] = {"submit_timeout": 1.0, "resubmit_unknown": True}
"""So long is it believed of an attempt that left nothing but its claim that it still sends."""


@pytest.mark.parametrize("defer", [False, True])
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_bundle_breaks(world: Worlds, retries: Counter[str], moment: str, defer: bool) -> None:
    """Whenever the bundle of a request breaks, its next run finds what the first did."""
    there = world(14)
    outcome = there.annotate(objects=there.brittle(moment), defer=defer, **DEAD)
    there.check(outcome)
    assert retries["Broken"] == 2
    assert not retries["other"]


@pytest.mark.parametrize("defer", [False, True])
def test_a_listing_that_fails_after_the_claim_loses_nothing(world: Worlds, retries: Counter[str], defer: bool) -> None:
    """Where the claim was written and the bucket then fails, nothing was sent, and the bundle's next run sends it."""
    there = world(14)
    outcome = there.annotate(objects=there.brittle("unlisted"), defer=defer)
    there.check(outcome)
    assert not outcome.failures
    assert retries["Broken"] == 2


@pytest.mark.parametrize("moment", MOMENTS)
def test_bundles_of_several_workers_break(world: Worlds, retries: Counter[str], moment: str) -> None:
    """The same with four workers, whose bundles break and are run again while the others' go on."""
    there = world(24)
    outcome = there.annotate(None, *THREADS, objects=there.brittle(moment), **DEAD, request_size=4)
    there.check(outcome)
    assert retries["Broken"] == 6


def test_processes_break_at_several_moments(world: Worlds, retries: Counter[str]) -> None:
    """Two worker processes that share nothing but the output: each request breaks after its submit, and again at its end."""
    there = world(14)
    outcome = there.annotate(None, *PROCESSES, objects=there.brittle("accepted", "ended"), resubmit_unknown=True)
    there.check(outcome)
    assert retries["Broken"] == 4


def test_the_runner_with_retries_of_its_own(world: Worlds) -> None:
    """BundleBasedDirectRunner runs a broken bundle again by itself."""
    there = world(5)
    broken = there.brittle("noted", "ended")
    there.check(there.annotate(there.stream(5), runner=BundleBasedDirectRunner(), max_wait=60.0, objects=broken))
    assert len(list(there.memory.iterdir())) == 2


@pytest.mark.parametrize(("options", "defer"), [((), False), ((), True), (THREADS, False)], ids=["waits", "defers", "threads"])
def test_every_bundle_runs_twice(world: Worlds, options: tuple[str, ...], defer: bool) -> None:
    """Where a runner runs each bundle twice and keeps the second run's output, nothing is sent twice."""
    there = world(14)
    outcome = there.annotate(None, "--direct_runner_bundle_repeat=1", *options, defer=defer)
    there.check(outcome)
    assert outcome.metrics["requests_found"] == 2


@pytest.mark.parametrize("refused", [None, grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.NOT_FOUND])
@pytest.mark.parametrize("defer", [False, True])
def test_a_lost_answer_is_found(world: Worlds, refused: grpc.StatusCode | None, defer: bool) -> None:
    """Requests that were accepted while their answer was lost are found by the operations' list, or by their objects alone."""
    there = world(14, operation_seconds=0.1)
    there.server.faults.add(Fault.fail(SUBMIT, grpc.StatusCode.UNAVAILABLE, accepted=True, times=2))
    if refused:
        there.server.faults.add(Fault.fail("ListOperations", refused, times=None))
    # Without a list only the objects tell, and they are looked for until the grace is over, however long they take to be written.
    outcome = there.annotate(defer=defer, grace=100.0 if refused else 0.3)
    there.check(outcome)
    assert outcome.metrics["requests_doubted"] == outcome.metrics["doubts_settled"] == 2


def test_what_may_have_been_accepted_is_not_sent_again(world: Worlds) -> None:
    """A lost request of which nothing is found fails with UNKNOWN, unless the caller allows that it is sent again."""
    there = world(7)
    there.server.faults.add(Fault.fail(SUBMIT, grpc.StatusCode.UNAVAILABLE))
    outcome = there.annotate(grace=0.1)
    assert there.sent() == Counter(there.uris)
    assert {failure.error.code for failure in outcome.failures} == {grpc.StatusCode.UNKNOWN}
    assert "resubmit_unknown=True sends it again" in outcome.failures[0].error.message
    assert outcome.metrics["requests_unknown"] == 1
    again = there.annotate(grace=0.1, **DEAD)
    assert sorted(result.uri for result in again.results) == sorted(there.uris)
    assert there.sent() == Counter(there.uris * 2), "the server counts the call that it refused"


def test_what_was_accepted_and_failed_is_not_sent_again(world: Worlds) -> None:
    """A lost request whose operation failed is never taken to be absent: its images fail, as with any operation that does."""
    there = world(7)
    there.server.faults.add(Fault.fail(SUBMIT, grpc.StatusCode.UNAVAILABLE, accepted=True), Fault.fail_operation(grpc.StatusCode.INTERNAL))
    outcome = there.annotate(grace=0.1, resubmit_unknown=True)
    assert there.sent() == Counter(there.uris)
    assert [failure.error.code for failure in outcome.failures] == [grpc.StatusCode.ABORTED] * 7
    assert "or its operation failed" in outcome.failures[0].error.message


@pytest.mark.parametrize("defer", [False, True])
def test_looks_that_fail_for_ever_end(world: Worlds, defer: bool) -> None:
    """A request in doubt that cannot be looked for is not sent again, and fails with UNKNOWN and the reason after the patience."""
    there = world(7)
    lost, blind = Fault.fail(SUBMIT, grpc.StatusCode.UNAVAILABLE), Fault.fail(LIST, grpc.StatusCode.UNAVAILABLE, "No list.", times=None)
    there.server.faults.add(lost, blind)
    outcome = there.annotate(defer=defer, grace=0.1, patience=0.2, resubmit_unknown=True)
    assert there.sent() == Counter(there.uris)
    assert [failure.error.code for failure in outcome.failures] == [grpc.StatusCode.UNKNOWN] * 7
    assert "was lost, and for 0.2 s it could not be looked for: ListOperations" in outcome.failures[0].error.message
    assert "No list." in outcome.failures[0].error.message
    assert (outcome.metrics["requests_unknown"], outcome.metrics["images_failed"]) == (1, 7)
    there.server.faults.clear()
    assert len(there.annotate(grace=0.1, **DEAD).results) == 7, "its claim still stands, and is looked for"


def test_what_was_written_is_read_where_looks_fail(world: Worlds) -> None:
    """Where a request in doubt cannot be looked for in the list, what lies under its prefix comes out all the same."""
    there = world(7)
    there.annotate()
    (noted,) = there.buckets["out"].rglob("operation-*")
    noted.unlink()
    (cut,) = there.buckets["out"].rglob("output-7-to-7.json")
    cut.unlink()
    there.server.faults.add(Fault.fail(LIST, grpc.StatusCode.UNAVAILABLE, times=None))
    outcome = there.annotate(patience=0.1)
    assert (len(outcome.results), [failure.error.code for failure in outcome.failures]) == (6, [grpc.StatusCode.UNKNOWN])
    assert there.sent() == Counter(there.uris)


def attempt(there: World, **settings: Any) -> int:
    """A whole pipeline over all pictures, as another process might run it at the same time; returns how many were annotated."""
    pipeline = beam.Pipeline(runner=FnApiRunner(), options=PipelineOptions([]))
    made: dict[str, Any] = {"client": there.client, "objects": there.objects, "request_size": 3} | settings
    pipeline | beam.Create(there.uris) | AnnotateImages("text", "gs://out/run", **made)
    result = pipeline.run()
    result.wait_until_finish()
    found = result.metrics().query(beam.metrics.MetricsFilter().with_name("images_ok"))["counters"]
    return sum(int(metric.committed) for metric in found)


class Held(LocalObjects):
    """Objects whose user is held up once, when it has claimed and listed, until the test lets it go."""

    claimed, go = threading.Event(), threading.Event()

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        found = list(super().list(prefix))
        if any("/claim-" in info.uri for info in found) and not Held.claimed.is_set():
            Held.claimed.set()
            assert Held.go.wait(200)
        return iter(found)


def test_an_attempt_that_is_about_to_send_is_waited_for(world: Worlds) -> None:
    """However short the grace, an attempt that has claimed and may be sending keeps another one from it; both get the results."""
    there = world(3)
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(attempt, there, objects=Held(there.buckets))
        try:
            assert Held.claimed.wait(200)
            second = threads.submit(attempt, there, grace=0.01, resubmit_unknown=True)
            until(
                lambda: second.done() or sum(call.method == LIST for call in there.server.calls) >= 3, "looks for the first one's request"
            )
        finally:
            Held.go.set()
        assert [one.result(200) for one in (first, second)] == [3, 3]
    assert there.sent() == Counter(there.uris)


def test_failed_operations_of_others_are_no_evidence(world: Worlds) -> None:
    """Beside an operation of another batch that failed, a request that was not accepted is sent again."""
    there = world(14)
    lost = Fault.fail(SUBMIT, grpc.StatusCode.UNAVAILABLE, nth=2)
    there.server.faults.add(Fault.fail_operation(grpc.StatusCode.INTERNAL, "Lost."), lost)
    outcome = there.annotate(grace=0.1, resubmit_unknown=True)
    assert (len(outcome.results), {failure.error.message for failure in outcome.failures}) == (7, {"Lost."})
    assert outcome.metrics["requests_accepted"] == 2


def test_operations_that_failed_long_before_are_no_evidence(world: Worlds) -> None:
    """An operation of nobody knows whom that failed long before the request was claimed was not that request's."""
    there = world(7, clock=VirtualClock(1e9))
    there.server.faults.add(Fault.fail_operation(grpc.StatusCode.INTERNAL), Fault.fail(SUBMIT, grpc.StatusCode.UNAVAILABLE, nth=2))
    with Client(emulator=there.server.target) as client, pytest.raises(OperationFailed):
        client.wait_operation(client.async_batch_annotate(image_requests(there.uris, "text"), "gs://out/other/"))
    outcome = there.annotate(grace=0.1, resubmit_unknown=True)
    assert (len(outcome.results), outcome.failures) == (7, [])


def test_a_vanished_operation_is_read_all_the_same(world: Worlds) -> None:
    """Where the server has forgotten a finished operation, its objects say what became of it."""
    there = world(7)
    there.server.faults.add(Fault.fail("GetOperation", grpc.StatusCode.NOT_FOUND, times=None))
    outcome = there.annotate()
    there.check(outcome)
    assert outcome.metrics["operations_gone"] == 1


def test_refusals_are_waited_out(world: Worlds) -> None:
    """RESOURCE_EXHAUSTED and a server that is not there yet delay the requests, which are then sent once."""
    there = world(7)
    there.server.faults.add(Fault.fail(SUBMIT, grpc.StatusCode.RESOURCE_EXHAUSTED, "Quota exceeded.", times=2))
    outcome = there.annotate()
    assert Counter(result.uri for result in outcome.results) == Counter(there.uris)
    assert outcome.metrics["requests_refused"] == 2
    assert there.sent() == Counter(there.uris * 3), "two refused calls, and the one that was accepted"


def test_a_request_that_the_service_rejects_fails_alone(world: Worlds) -> None:
    """INVALID_ARGUMENT for one request is the failure of its images; nothing of it is sent again."""
    there = world(14)
    there.server.faults.add(Fault.fail(SUBMIT, grpc.StatusCode.INVALID_ARGUMENT, "Bad request."))
    outcome = there.annotate()
    assert (len(outcome.results), len(outcome.failures)) == (7, 7)
    assert {failure.error.message for failure in outcome.failures} == {"Bad request."}
    assert outcome.metrics["requests_rejected"] == 1


def test_missing_rights_fail_the_pipeline(world: Worlds, retries: Counter[str]) -> None:
    """PERMISSION_DENIED is nobody's image's fault: the pipeline fails with it, and no image is given up."""
    there = world(7)
    denied = Fault.fail(SUBMIT, grpc.StatusCode.PERMISSION_DENIED, "No rights.", times=None)
    there.server.faults.add(denied)
    with pytest.raises(Exception, match=r"No rights\."):
        there.annotate()
    assert retries["CallError"] == 4
    there.server.faults.clear()
    assert len(there.annotate().results) == 7


def test_a_bundle_that_runs_again_asks_again(world: Worlds, retries: Counter[str]) -> None:
    """Rights that are missing for a moment fail a bundle, and not its next run beside others of the same process."""
    there = world(14)
    # Neither ends before both are known to be waited for: the process outlives the bundle that fails.
    there.server.faults.add(Fault.stall(times=None), Fault.fail("GetOperation", grpc.StatusCode.PERMISSION_DENIED, "No rights."))

    def asked() -> list[int]:
        return list(Counter(call.message.name for call in there.server.calls if call.method == "GetOperation").values())

    with ThreadPoolExecutor(1) as threads:
        outcome = threads.submit(there.annotate, None, *THREADS)
        try:
            until(lambda: outcome.done() or (len(asked()) == 2 and min(asked()) >= 3), "both operations asked for, again and again")
        finally:
            there.server.faults.clear()
        there.check(outcome.result(250))
    assert retries["CallError"] == 1


def test_refusals_without_end_fail_the_pipeline(world: Worlds) -> None:
    """A service that refuses everything for longer than the patience fails the pipeline."""
    there = world(7)
    there.server.faults.add(Fault.fail(SUBMIT, grpc.StatusCode.RESOURCE_EXHAUSTED, "Quota exceeded.", times=None))
    with pytest.raises(Exception, match="Quota exceeded"):
        there.annotate(patience=0.0)


def test_two_attempts_at_the_same_time(world: Worlds) -> None:
    """Two whole pipelines over the same images and the same output run side by side: both get all results, and each image is sent once."""
    there = world(21, operation_seconds=0.1)

    with ThreadPoolExecutor(2) as threads:
        attempts = [threads.submit(attempt, there) for _ in range(2)]
        assert [one.result(250) for one in attempts] == [21, 21]
    assert there.sent() == Counter(there.uris)


DRIVER = """
import sys
from functools import partial
from pathlib import Path
import apache_beam as beam
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from tests.beam.brittle import Brittle
from vision_grpc import AsyncClient
from vision_grpc.beam import AnnotateImages

root, target, images = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
buckets = {"photos": root / "photos", "out": root / "out"}
objects = Brittle(buckets, root / "memory", ("noted",), exit=True)
with beam.Pipeline(runner=FnApiRunner()) as pipeline:
    uris = pipeline | beam.Create([f"gs://photos/{index}.jpg" for index in range(images)])
    client = partial(AsyncClient, emulator=target)
    uris | AnnotateImages("text", "gs://out/run", client=client, objects=objects, request_size=7, batch_size=3)
"""


def test_a_pipeline_that_was_killed_is_run_again(world: Worlds) -> None:
    """The whole pipeline dies after its first request was accepted; run again with the same output, it sends the rest."""
    there = world(14)
    command = [sys.executable, "-W", "ignore", "-c", DRIVER, str(there.root), there.server.target, "14"]
    assert subprocess.run(command, timeout=250).returncode == 9
    assert there.sent().total() == 7
    outcome = there.annotate()
    there.check(outcome)
    assert outcome.metrics["requests_found"] == outcome.metrics["requests_accepted"] == 1
