"""One contender of the benchmark `wait`, as a program: waits for every operation of a project, prints when it saw each end."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any

import grpc

from vision_grpc import Client
from vision_grpc._gen.google.longrunning.operations_pb2 import GetOperationRequest
from vision_grpc._gen.google.longrunning.operations_pb2_grpc import OperationsStub

Seen = dict[str, float]
INTERVAL = 0.9
"""Seconds between a poller's polls: the mean of the interval between two lists while operations end."""
_OF_GRPC = ("(_run)", "(channel_spin)", "(_poll_wrapper)")
"""How the names end of the one thread that gRPC's Python has for a channel or for asyncio, whoever uses it."""


def ours(target: str, names: list[str]) -> Seen:
    seen = {}
    with Client(emulator=target) as client:
        for name, _ in client.wait_operations(names):
            seen[name] = time.monotonic()
    return seen


def pollers(target: str, names: list[str]) -> Seen:
    seen = {}

    async def poll(stub: Any, name: str) -> None:
        while not (await stub.GetOperation(GetOperationRequest(name=name), timeout=30)).done:  # noqa: ASYNC110
            await asyncio.sleep(INTERVAL)
        seen[name] = time.monotonic()

    async def all_of_them() -> None:
        async with grpc.aio.insecure_channel(target) as channel:
            stub = OperationsStub(channel)  # type: ignore[no-untyped-call]
            await asyncio.gather(*(poll(stub, name) for name in names))

    asyncio.run(all_of_them())
    return seen


def futures(target: str, names: list[str]) -> Seen:
    from google.api_core import operation, operations_v1
    from google.cloud import vision
    from google.longrunning import operations_pb2

    channel = grpc.insecure_channel(target)
    client: Any = operations_v1.OperationsClient(channel)  # type: ignore[no-untyped-call]

    def wait(name: str) -> tuple[str, float]:
        future: Any = operation.from_gapic(  # type: ignore[no-untyped-call]
            operations_pb2.Operation(name=name), client, vision.AsyncBatchAnnotateImagesResponse, metadata_type=vision.OperationMetadata
        )
        future.result(timeout=None)
        return name, time.monotonic()

    with ThreadPoolExecutor(len(names)) as pool:
        return dict(done.result() for done in as_completed([pool.submit(wait, name) for name in names]))


def tasks(target: str, names: list[str]) -> Seen:
    from google.api_core import operation_async, operations_v1
    from google.cloud import vision
    from google.longrunning import operations_pb2

    async def all_of_them() -> Seen:
        async with grpc.aio.insecure_channel(target) as channel:
            client: Any = operations_v1.OperationsAsyncClient(channel)  # type: ignore[no-untyped-call]

            async def wait(name: str) -> tuple[str, float]:
                future: Any = operation_async.from_gapic(  # type: ignore[no-untyped-call]
                    operations_pb2.Operation(name=name),
                    client,
                    vision.AsyncBatchAnnotateImagesResponse,
                    metadata_type=vision.OperationMetadata,
                )
                await future.result(timeout=None)
                return name, time.monotonic()

            return dict(await asyncio.gather(*(wait(name) for name in names)))

    return asyncio.run(all_of_them())


KINDS: dict[str, Callable[[str, list[str]], Seen]] = {
    "listed": ours,
    "unlisted": ours,
    "pollers": pollers,
    "futures": futures,
    "tasks": tasks,
}


def main() -> None:
    kind, target, project, count, begin = sys.argv[1:]
    names = [f"projects/{project}/operations/{index}" for index in range(int(count))]
    time.sleep(max(0.0, float(begin) - time.monotonic()))
    # Without the watcher itself.
    most = [0]
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.05):
            alive = [thread for thread in threading.enumerate() if not thread.name.endswith(_OF_GRPC)]
            most[0] = max(most[0], len(alive) - 1)

    watcher = threading.Thread(target=watch)
    watcher.start()
    cpu = time.process_time()
    seen = KINDS[kind](target, names)
    cpu = time.process_time() - cpu
    ended.set()
    watcher.join()
    print(json.dumps({"seen": seen, "cpu": cpu, "threads": most[0]}))


if __name__ == "__main__":
    main()
