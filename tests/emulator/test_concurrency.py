"""Many operations and many callers at once."""

import asyncio
import time
from pathlib import Path

import grpc

from vision_grpc import v1
from vision_grpc._gen.google.cloud.vision.v1.image_annotator_pb2_grpc import ImageAnnotatorStub
from vision_grpc._gen.google.longrunning import operations_pb2 as pb
from vision_grpc._gen.google.longrunning.operations_pb2_grpc import OperationsStub
from vision_grpc.emulator import Fault

from .conftest import Serve
from .raw import State, batch, metadata_of


async def test_500_operations_at_once(serve: Serve, outputs: Path) -> None:
    """500 operations submitted together, each waited for by a call of its own, all end with their own output."""
    server = serve(annotator=lambda content, request: b"")
    async with grpc.aio.insecure_channel(server.target) as channel:
        images, operations = ImageAnnotatorStub(channel), OperationsStub(channel)  # type: ignore[no-untyped-call]

        async def run(number: int) -> v1.Operation:
            submitted = await images.AsyncBatchAnnotateImages(batch(["gs://pics/a.png"] * 4, f"gs://out/{number}/", 3), timeout=60)
            operation: v1.Operation = await operations.WaitOperation(pb.WaitOperationRequest(name=submitted.name), timeout=60)
            return operation

        ended = await asyncio.gather(*(run(number) for number in range(500)))
    assert all(operation.WhichOneof("result") == "response" for operation in ended)
    assert len({operation.name for operation in ended}) == 500
    assert all(len(list((outputs / str(number)).iterdir())) == 2 for number in range(500))


async def test_64_clients_poll_as_fast_as_they_can(serve: Serve) -> None:
    """64 channels polling without a pause, while operations run, get no error."""
    server = serve(annotator=lambda content, request: b"", record=False)
    end = time.monotonic() + 3
    counts: list[int] = []

    async def client(number: int) -> None:
        async with grpc.aio.insecure_channel(server.target, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
            images, operations = ImageAnnotatorStub(channel), OperationsStub(channel)  # type: ignore[no-untyped-call]
            count, done = 0, True
            while time.monotonic() < end or not count:
                if done:
                    submitted = await images.AsyncBatchAnnotateImages(batch(["gs://pics/a.png"] * 2, f"gs://out/{number}/"), timeout=60)
                done = (await operations.GetOperation(pb.GetOperationRequest(name=submitted.name), timeout=60)).done
                count += 1
            counts.append(count)

    await asyncio.gather(*(client(number) for number in range(64)))
    assert len(counts) == 64
    assert all(counts)


async def test_cancelling_at_any_moment_leaves_no_half_state(serve: Serve) -> None:
    """An operation that is cancelled while it runs, writes or ends is either cancelled or complete, and stays so."""
    # One, at least, can only end by being cancelled.
    server = serve(faults=[Fault.stall()])
    async with grpc.aio.insecure_channel(server.target) as channel:
        images, operations = ImageAnnotatorStub(channel), OperationsStub(channel)  # type: ignore[no-untyped-call]

        async def run(number: int) -> v1.Operation:
            submitted = await images.AsyncBatchAnnotateImages(batch(["gs://pics/a.png"] * 6, f"gs://out/{number}/", 1), timeout=60)
            await asyncio.sleep(number % 20 / 400)
            await operations.CancelOperation(pb.CancelOperationRequest(name=submitted.name), timeout=60)
            operation: v1.Operation = await operations.GetOperation(pb.GetOperationRequest(name=submitted.name), timeout=60)
            return operation

        ended = await asyncio.gather(*(run(number) for number in range(100)))
        later = await asyncio.gather(
            *(operations.GetOperation(pb.GetOperationRequest(name=operation.name), timeout=60) for operation in ended)
        )
    assert later == ended
    assert all(operation.done for operation in ended)
    ends = {(operation.error.code, metadata_of(operation).state) for operation in ended}
    assert (1, State.CANCELLED) in ends
    assert ends <= {(1, State.CANCELLED), (0, State.DONE)}
