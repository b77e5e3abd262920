"""One async_batch_annotate, sync and async, of 1 and of 2,000 images, 1 and 64 in flight: CPU and latency beside the raw stub's.

Every contender sends the same bytes: each is given its own ready request, and the raw stub also gets metadata and a deadline,
as any real call has.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, cast

import grpc
from google.cloud import vision

from benchmarks import Table, take_turns
from benchmarks._calling import IN_FLIGHT, awaited, sequence, threads
from benchmarks._official import async_client, rest_service, sync_client
from benchmarks._servers import Server
from benchmarks.build import DESTINATION, uris
from vision_grpc import AsyncClient, Client, image_requests, v1
from vision_grpc._gen.google.cloud.vision.v1.image_annotator_pb2_grpc import ImageAnnotatorStub
from vision_grpc.requests import async_request, check_request

RAW, OURS, OFFICIAL, REST = "raw stub", "vision_grpc", "google-cloud-vision", "googleapiclient (REST)"
CHECK = "what vision_grpc checks, no call"
LIMIT = 60.0
METADATA = [("x-goog-api-client", "gl-python/3.11.7 grpc/1.85.1 gccl/0.1.0 pb/6.33.6")]

Call = Callable[[], Any]


def requests(images: int) -> tuple[v1.AsyncBatchAnnotateImagesRequest, vision.AsyncBatchAnnotateImagesRequest, dict[str, Any]]:
    """The same request for this package, google-cloud-vision and REST."""
    ours = cast(v1.AsyncBatchAnnotateImagesRequest, async_request(v1, image_requests(uris(images), "text"), DESTINATION, None, None))
    official = vision.AsyncBatchAnnotateImagesRequest.deserialize(ours.SerializeToString())
    items = [{"image": {"source": {"imageUri": uri}}, "features": [{"type": "TEXT_DETECTION"}]} for uri in uris(images)]
    return ours, official, {"requests": items, "outputConfig": {"gcsDestination": {"uri": DESTINATION}}}


TURNS = 3
"""Turns of each contender a round: short ones, between which the machine has no time to change."""


def run(rounds: int, many: int = 2000, calls: int = 64) -> list[Table]:
    """Calls a server in a process of its own."""
    tables = []
    with Server() as server, ThreadPoolExecutor(IN_FLIGHT) as pool:
        for images, turns in ((1, rounds * TURNS), (many, rounds)):
            with sync_calls(server, images) as contenders:
                tables.append(sync_table(f"sync, {images:,} images, 1 in flight", contenders, turns, calls, None))
                for name in (CHECK, REST):  # httplib2 is for one thread
                    del contenders[name]
                tables.append(sync_table(f"sync, {images:,} images, {IN_FLIGHT} in flight", contenders, turns, max(calls, IN_FLIGHT), pool))
            with async_calls(server, images) as (loop, acalls):
                for flying in (1, IN_FLIGHT):
                    tables.append(async_table(f"async, {images:,} images, {flying} in flight", loop, acalls, turns, calls, flying))
    return tables


def sync_table(title: str, contenders: dict[str, Call], rounds: int, count: int, pool: ThreadPoolExecutor | None) -> Table:
    def taking(call: Call) -> Callable[[], Any]:
        return (lambda: sequence(call, count)) if pool is None else (lambda: threads(call, count, pool))

    return aimed(take_turns(title, {name: taking(call) for name, call in contenders.items()}, rounds), title)


def async_table(title: str, loop: asyncio.AbstractEventLoop, contenders: dict[str, Call], rounds: int, count: int, flying: int) -> Table:
    def taking(call: Call) -> Callable[[], Any]:
        return lambda: awaited(loop, call, count, flying)

    return aimed(take_turns(title, {name: taking(call) for name, call in contenders.items()}, rounds), title)


def aimed(table: Table, title: str) -> Table:
    table.aim(f"CPU ÷ raw stub: {title}", OURS, RAW, at_most=1.10)
    return table


@contextmanager
def sync_calls(server: Server, images: int) -> Iterator[dict[str, Call]]:
    """The blocking contenders."""
    ours, official, body = requests(images)
    with grpc.insecure_channel(server.target) as channel, Client(emulator=server.target) as client:
        stub: Any = ImageAnnotatorStub(channel)  # type: ignore[no-untyped-call]
        theirs, rest = sync_client(server.target), rest_service(server.rest)
        images_of_rest = rest.images()
        yield {
            RAW: lambda: stub.AsyncBatchAnnotateImages(ours, timeout=LIMIT, metadata=METADATA),
            OURS: lambda: client.async_batch_annotate(ours),
            OFFICIAL: lambda: theirs.async_batch_annotate_images(request=official),
            CHECK: lambda: check_request(ours),
            REST: lambda: images_of_rest.asyncBatchAnnotate(body=body).execute(),
        }
        rest.close()
        theirs.transport.close()  # type: ignore[no-untyped-call]


@contextmanager
def async_calls(server: Server, images: int) -> Iterator[tuple[asyncio.AbstractEventLoop, dict[str, Call]]]:
    """The asyncio contenders, on a loop of their own."""
    ours, official, _ = requests(images)
    with asyncio.Runner() as runner:
        channel, theirs = runner.run(_open(server))
        stub: Any = ImageAnnotatorStub(channel)  # type: ignore[no-untyped-call]
        client = AsyncClient(emulator=server.target)
        yield (
            runner.get_loop(),
            {
                RAW: lambda: stub.AsyncBatchAnnotateImages(ours, timeout=LIMIT, metadata=METADATA),
                OURS: lambda: client.async_batch_annotate(ours),
                OFFICIAL: lambda: theirs.async_batch_annotate_images(request=official),
            },
        )
        runner.run(_close(client.close, theirs.transport.close, channel.close))


async def _open(server: Server) -> tuple[grpc.aio.Channel, vision.ImageAnnotatorAsyncClient]:
    return grpc.aio.insecure_channel(server.target), async_client(server.target)


async def _close(*closings: Any) -> None:
    for close in closings:
        await close()
