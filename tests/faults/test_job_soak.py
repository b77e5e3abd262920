"""Random scripted faults over many operations, from a fixed seed: nothing lost, nothing doubled.

VISION_GRPC_SOAK=2500 asks for as many operations as issue 5 does.
"""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.faults.job_memory import Stage, check
from vision_grpc import AuthError, CallError
from vision_grpc.emulator import Fault

OPERATIONS = int(os.environ.get("VISION_GRPC_SOAK", "250"))
CODES = [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK]
# By these a server says that it did nothing; a fault that had accepted first would break the contract, not the job.
REFUSALS = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.ALREADY_EXISTS,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.OUT_OF_RANGE,
    grpc.StatusCode.UNIMPLEMENTED,
}
# These would be a lasting answer about the request or the operation, and end in errors of images, as they should.
LASTING = (
    REFUSALS
    - {grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED}
    - {grpc.StatusCode.UNIMPLEMENTED}
)
PASSING = [
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
]


def random_fault(draw: random.Random) -> Fault:
    """One fault within the next few calls or operations."""
    nth = draw.randint(1, 8)
    kind = draw.random()
    if kind < 0.35:
        code = draw.choice([code for code in CODES if code not in LASTING])
        return Fault.fail("AsyncBatchAnnotateImages", code, nth=nth, accepted=code not in REFUSALS and draw.random() < 0.5)
    if kind < 0.45:
        return Fault.drop("AsyncBatchAnnotateImages", nth=nth, accepted=draw.random() < 0.5)
    if kind < 0.5:
        return Fault.hang("AsyncBatchAnnotateImages", nth=nth, accepted=draw.random() < 0.5)
    if kind < 0.65:
        return Fault.fail("GetOperation", draw.choice(PASSING), nth=nth)
    if kind < 0.75:
        return Fault.fail("ListOperations", draw.choice(PASSING), nth=nth)
    if kind < 0.8:
        return Fault.drop("GetOperation", nth=nth)
    if kind < 0.9:
        return Fault.fail_operation(draw.choice(PASSING), nth=nth)
    return Fault.delay(
        draw.choice(["AsyncBatchAnnotateImages", "GetOperation", "ListOperations"]), draw.uniform(0.01, 0.2), nth=nth, times=1
    )


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("order", ["completion", "input"])
async def test_random_faults(tmp_path: Path, order: str) -> None:
    """Whatever the server does, each image is annotated once for each of its tries, and has one result."""
    draw = random.Random(20261123)
    images = OPERATIONS * 2
    passing = {image: [draw.choice([13, 14])] for image in range(images) if draw.random() < 0.02}
    tries = {image: len(codes) for image, codes in passing.items()}
    stage = Stage(tmp_path, errors=passing, record=50_000)
    results: dict[int, Any] = {}
    runs = 0
    async with stage.client() as client:
        while True:
            runs += 1
            assert runs < images, "the job does not come to an end"
            settings: dict[str, Any] = {"request_size": 2, "images_in_flight": 24, "attempts": 50, "submit_timeout": 1.0}
            job = stage.job(images, client, order=order, resubmit_unknown=True, **settings)
            try:
                async with job:
                    async for part in job.slices():
                        results.update((result.index, result) for result in part)
                        if draw.random() < 0.4:
                            stage.server.faults.add(random_fault(draw))
            except (CallError, AuthError):
                # The server refused for good, as far as one could tell: whoever runs the job resumes it.
                continue
            if job.summary.end == "complete":
                break
    submits = stage.submits()
    stage.close()
    check(list(results.values()), images)
    assert len({message.output_config.gcs_destination.uri for message in submits}) >= OPERATIONS
    doubled = {image: count for image, count in stage.annotators.seen.items() if count != 1 + tries.get(image, 0)}
    assert not doubled, f"annotated more often than tried: {doubled}"
    print(f"{len(submits)} submits, {runs} runs, {job.summary}")
