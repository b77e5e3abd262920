"""The call of one image with credentials attached (their token is cached), over TLS, beside the raw stub with a static header."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import grpc

from benchmarks import Table, take_turns
from benchmarks._calling import IN_FLIGHT, awaited, sequence
from benchmarks._official import StaticCredentials, async_client, sync_client
from benchmarks._servers import Server
from benchmarks.call import LIMIT, METADATA, TURNS, requests
from vision_grpc import AsyncClient, Client
from vision_grpc._gen.google.cloud.vision.v1.image_annotator_pb2_grpc import ImageAnnotatorStub

RAW, OURS, OFFICIAL = "raw stub, static header", "vision_grpc, credentials", "google-cloud-vision, credentials"


def run(rounds: int, calls: int = 64) -> list[Table]:
    """Calls a TLS server in a process of its own."""
    rounds *= TURNS
    credentials = StaticCredentials()
    metadata = [*METADATA, ("authorization", f"Bearer {credentials.token}")]
    ours, official, _ = requests(1)
    with Server(tls=True) as server:
        target = server.target.replace("127.0.0.1", "localhost")
        tls = grpc.ssl_channel_credentials(server.root)
        tables = []
        with (
            grpc.secure_channel(target, tls) as channel,
            Client(endpoint=target, root_certificates=server.root, credentials=credentials) as client,
        ):
            stub: Any = ImageAnnotatorStub(channel)  # type: ignore[no-untyped-call]
            theirs = sync_client(server.target, server.root, credentials)
            contenders: dict[str, Callable[[], Any]] = {
                RAW: lambda: stub.AsyncBatchAnnotateImages(ours, timeout=LIMIT, metadata=metadata),
                OURS: lambda: client.async_batch_annotate(ours),
                OFFICIAL: lambda: theirs.async_batch_annotate_images(request=official),
            }
            samples = {name: (lambda call=call: sequence(call, calls)) for name, call in contenders.items()}
            tables.append(_aimed(take_turns("sync over TLS, 1 in flight", samples, rounds)))
            theirs.transport.close()  # type: ignore[no-untyped-call]
        with asyncio.Runner() as runner:
            tables += _async_tables(runner, server, target, metadata, credentials, rounds, calls)
    return tables


def _async_tables(
    runner: asyncio.Runner, server: Server, target: str, metadata: Any, credentials: StaticCredentials, rounds: int, calls: int
) -> list[Table]:
    ours, official, _ = requests(1)
    tls = grpc.ssl_channel_credentials(server.root)

    async def opened() -> tuple[grpc.aio.Channel, Any]:
        return grpc.aio.secure_channel(target, tls), async_client(server.target, server.root, credentials)

    channel, theirs = runner.run(opened())
    stub: Any = ImageAnnotatorStub(channel)  # type: ignore[no-untyped-call]
    client = AsyncClient(endpoint=target, root_certificates=server.root, credentials=credentials)
    contenders: dict[str, Callable[[], Any]] = {
        RAW: lambda: stub.AsyncBatchAnnotateImages(ours, timeout=LIMIT, metadata=metadata),
        OURS: lambda: client.async_batch_annotate(ours),
        OFFICIAL: lambda: theirs.async_batch_annotate_images(request=official),
    }
    loop = runner.get_loop()
    tables = []
    for flying in (1, IN_FLIGHT):
        samples = {name: (lambda call=call, flying=flying: awaited(loop, call, calls, flying)) for name, call in contenders.items()}
        tables.append(_aimed(take_turns(f"async over TLS, {flying} in flight", samples, rounds)))

    async def close() -> None:
        await client.close()
        await theirs.transport.close()
        await channel.close()

    runner.run(close())
    return tables


def _aimed(table: Table) -> Table:
    table.aim(f"CPU ÷ raw stub with a static header: {table.title}", OURS, RAW, at_most=1.10)
    return table
