"""The service as a job sees it: submit, be told what ended, list, read. Decides nothing about the job."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol

from vision_grpc._calls import Call, Metadata, Step, arun
from vision_grpc._job.settle import Listing
from vision_grpc._operations import metadata_of, unpack
from vision_grpc._results.shards import find_shards
from vision_grpc.errors import CallError, ConfigError
from vision_grpc.results import ImageResult, read_results

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from vision_grpc import v1
    from vision_grpc.aio import AsyncClient
    from vision_grpc.objects import Objects
    from vision_grpc.requests import AsyncRequest

_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Listed:
    """An operation of a listing.

    Attributes:
        destination: Its output prefix, which those that succeeded name alone.
        failed: It failed or was cancelled.
        created: When it was created, in Unix seconds by the service's clock, of those that failed; None where it does not say.
    """

    name: str
    done: bool
    destination: str | None
    failed: bool = False
    created: float | None = None


class Service(Protocol):
    """What a job needs of the service."""

    @property
    def version(self) -> str: ...

    @property
    def door(self) -> ModuleType:
        """The module with the messages of that version."""
        ...

    async def submit(self, request: AsyncRequest, metadata: Metadata) -> str:
        """Sends the request once, and returns its operation's name; raises CallError, AuthError, and Unsent where it is cancelled
        in time.
        """
        ...

    def watch(self, name: str) -> None:
        """From now on `ended` tells of this operation."""
        ...

    async def ended(self) -> Sequence[tuple[str, v1.Operation | CallError]]:
        """Waits for the next look at the watched operations, of which there is one at least, and returns those that ended."""
        ...

    def operations(self, known: str | None) -> AsyncIterator[Listed]:
        """All operations beside which `known` lies; raises CallError, UNIMPLEMENTED where the server lists none."""
        ...

    async def shards(self, prefix: str) -> list[tuple[int, int]]:
        """The first and last results, from 1, of each output object under the prefix; raises ResultsError."""
        ...

    def results(self, prefix: str, uris: Sequence[str]) -> AsyncIterator[Sequence[ImageResult]]:
        """The results of a request in some slices, in order; raises ResultsError at the end where some are missing."""
        ...


class Unsent(asyncio.CancelledError):
    """A submit was cancelled before anything of it was sent, while it waited for its connection say."""


class ClientService:
    """An AsyncClient, and the objects that its operations write, as a Service. Bound to one event loop."""

    def __init__(self, client: AsyncClient, objects: Objects, readers: Executor, submit_timeout: float) -> None:
        self._client = client
        self._objects = objects
        self._readers = readers
        self._submit_timeout = submit_timeout
        self._waits = client._waits((), None, None, ())

    @property
    def version(self) -> str:
        return self._client.version

    @property
    def door(self) -> ModuleType:
        return self._client._door

    async def submit(self, request: AsyncRequest, metadata: Metadata, timeout: float | None = None) -> str:
        client = self._client
        timeout = self._submit_timeout if timeout is None else timeout
        sent = False

        async def perform(step: Step) -> Any:
            nonlocal sent
            sent = sent or (isinstance(step, Call) and not step.method.idempotent)
            return await client._transport.perform(step)

        try:
            operation = await arun(client._submit_once(request, timeout, metadata), perform)
        except asyncio.CancelledError as error:
            if sent:
                raise
            raise Unsent from error
        return operation.name

    def watch(self, name: str) -> None:
        self._waits.add([name])

    async def ended(self) -> Sequence[tuple[str, v1.Operation | CallError]]:
        return await arun(self._waits.round(), self._client._transport.perform)

    async def operations(self, known: str | None) -> AsyncIterator[Listed]:
        parent = (known or "").rpartition("/operations/")[0] or "operations"
        async for operation in self._client.list_operations(parent, page_size=1000):
            failed = operation.HasField("error")
            yield Listed(operation.name, operation.done, _destination(operation), failed, _created(operation) if failed else None)

    async def shards(self, prefix: str) -> list[tuple[int, int]]:
        found = await self._in_thread(find_shards, self._objects, prefix)
        return [(shard.first, shard.last) for shard in found]

    async def results(self, prefix: str, uris: Sequence[str]) -> AsyncIterator[Sequence[ImageResult]]:
        version = "v1p4beta1" if self._client.version == "v1p4beta1" else "v1"
        reading = read_results(prefix, requests=uris, objects=self._objects, strict=False, version=version)
        missing = len(uris)
        try:
            while part := await self._in_thread(lambda: list(islice(reading, _AT_ONCE))):
                missing -= len(part)
                yield part
            # An object that is stale beside whole ones takes nothing away.
            if missing and reading.problems:
                raise reading.problems[0]
        finally:
            # A reading that was cancelled goes on in its thread to the end of the slice, and ends itself after that.
            with contextlib.suppress(ValueError):
                reading.close()

    async def _in_thread(self, function: Any, *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._readers, function, *arguments)


async def list_operations(service: Service, known: str | None, wanted: Callable[[str], bool]) -> Listing:
    """The operations beside which `known` lies, of the finished ones those whose prefix is wanted.

    Raises:
        CallError: The listing failed; where that is not transient, the server lists none, or not for this caller.
        AuthError: There are no usable credentials to ask with.
    """
    finished: dict[str, str] = {}
    running: set[str] = set()
    failed: dict[str, float | None] = {}
    async for operation in service.operations(known):
        if not operation.done:
            running.add(operation.name)
        elif operation.failed:
            failed[operation.name] = operation.created
        elif operation.destination and wanted(operation.destination):
            finished[operation.destination] = operation.name
    return Listing(finished, frozenset(running), failed)


def _created(operation: v1.Operation) -> float | None:
    created: Any = getattr(metadata_of(operation), "create_time", None)
    return created.seconds + created.nanos / 1e9 if created else None


def _destination(operation: v1.Operation) -> str | None:
    if not operation.HasField("response"):
        return None
    try:
        response: Any = unpack(operation.response)
    except ConfigError:
        return None  # another method's operation
    config = getattr(response, "output_config", None)
    return config.gcs_destination.uri if config is not None else None
