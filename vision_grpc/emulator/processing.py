"""The life of an accepted operation: it queues, runs, writes its output objects, and ends. Runs on the event loop.

At most a number of images are in processing at once (the service's quota is 8,000); an operation beyond it waits its turn in
state CREATED. It is admitted whole, and gives its share back when it ends.
"""

import asyncio
import concurrent.futures
import contextlib
import functools
import logging
from collections import deque
from collections.abc import Sequence

from vision_grpc import v1
from vision_grpc.emulator.clock import Clock
from vision_grpc.emulator.faults import Faults, OperationFate
from vision_grpc.emulator.images import Images, Pending
from vision_grpc.emulator.operations import Operation, Store
from vision_grpc.emulator.shards import shard_uri
from vision_grpc.emulator.validation import DEFAULT_BATCH_SIZE, image_uri

logger = logging.getLogger(__name__)

_PERMISSION_DENIED, _INTERNAL = 7, 13


class OperationError(Exception):
    """The operation ends in an error of that code."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Processing:
    """Runs accepted operations.

    Args:
        limit: images in processing at once, over all operations.
        seconds: how long every operation is RUNNING, by the server's clock, before its images are annotated.
    """

    def __init__(self, images: Images, store: Store, clock: Clock, faults: Faults, *, limit: int, seconds: float) -> None:
        self._images = images
        self._store = store
        self._clock = clock
        self._faults = faults
        self._limit = limit
        self._seconds = seconds
        self._in_processing = 0
        self._queue: deque[tuple[Operation, OperationFate, int]] = deque()
        self._tasks: dict[Operation, asyncio.Task[None]] = {}

    def accept(self, operation: Operation) -> None:
        """Takes in an operation that the store holds; it runs as soon as the quota has room."""
        assert operation.request is not None
        images = len(operation.request.requests)
        self._queue.append((operation, self._faults.for_operation(images), images))
        self._admit()

    def cancel(self, operation: Operation) -> None:
        """Ends the operation as cancelled and stops its work; a finished one stays as it is."""
        if operation.done:
            return
        operation.cancel(self._clock.time())
        self._store.save(operation)
        if task := self._tasks.get(operation):
            task.cancel()
        else:
            self._queue = deque(entry for entry in self._queue if entry[0] is not operation)
            # What waited only behind it may fit.
            self._admit()

    async def close(self) -> None:
        """Stops all work. What is not done stays so in the store, and a restart on the same state takes it up again."""
        self._queue.clear()
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _admit(self) -> None:
        while self._queue:
            operation, fate, images = self._queue[0]
            # One operation is always admitted, or a limit below its size would hold it for ever.
            if self._in_processing and self._in_processing + images > self._limit:
                return
            self._queue.popleft()
            self._in_processing += images
            task = asyncio.create_task(self._run(operation, fate, self._clock.time()))
            self._tasks[operation] = task
            task.add_done_callback(functools.partial(self._release, operation, images))

    def _release(self, operation: Operation, images: int, _: object) -> None:
        del self._tasks[operation]
        self._in_processing -= images
        self._admit()

    async def _run(self, operation: Operation, fate: OperationFate, admitted: float) -> None:
        operation.run(self._clock.time())
        failure: OperationError | None = None
        try:
            await self._hold(fate, admitted)
            if fate.error:
                raise OperationError(fate.error.code.value[0], fate.error.message)
            await self._annotate(operation)
        except OperationError as error:
            failure = error
        except Exception:
            logger.exception("Operation %s failed.", operation.name)
            failure = OperationError(_INTERNAL, "The embedded server failed on this operation; its log says why.")
        if operation.done:
            # Cancelled in the very moment that it ended by itself.
            return
        if failure:
            operation.fail(failure.code, failure.message, self._clock.time())
        else:
            operation.succeed(self._clock.time())
        self._store.save(operation)

    async def _hold(self, fate: OperationFate, admitted: float) -> None:
        for stall in fate.stalls:
            await _released(stall)
        # From its admission on, which comes before the reply to its submit: whoever has that reply knows when it ends.
        if seconds := self._seconds + fate.seconds:
            await self._clock.sleep(admitted + seconds - self._clock.time())

    async def _annotate(self, operation: Operation) -> None:
        request = operation.request
        assert request is not None
        size = request.output_config.batch_size or DEFAULT_BATCH_SIZE
        destination = request.output_config.gcs_destination.uri
        requests = list(request.requests)
        shards = [_Shard(destination, requests[first : first + size], first) for first in range(0, len(requests), size)]
        pending = Pending(len(requests))

        # As many lanes as workers keep every core busy, and let operations that run side by side take turns.
        async def lane() -> None:
            while done := await self._images.annotate_some(requests, pending):
                for index, response in done:
                    shard = shards[index // size]
                    shard.put(index % size, response)
                    if not (shard.missing or operation.done):
                        await self._write(operation, shard)

        try:
            async with asyncio.TaskGroup() as lanes:
                for _ in range(min(self._images.workers, len(requests))):
                    lanes.create_task(lane())
        except ExceptionGroup as failures:
            # The first failure has stopped the other lanes; what they ran into on their way says nothing new.
            raise failures.exceptions[0] from None
        finally:
            # A thread may be in the middle of its turn when the operation is cancelled or fails.
            pending.stop()

    async def _write(self, operation: Operation, shard: "_Shard") -> None:
        try:
            await self._images.write(shard.uri, shard.responses)
        except (OSError, ValueError) as error:
            # The operation's error has the service's words, which give no reason: this line is the only place that does.
            logger.warning("Operation %s: %s cannot be written: %s", operation.name, shard.uri, getattr(error, "strerror", None) or error)
            raise OperationError(_PERMISSION_DENIED, f"Error writing final output to: {shard.uri}") from error
        shard.responses = []
        if not operation.done:
            operation.run(self._clock.time())


class _Shard:
    """The responses of one output object, filled in any order. Every one carries the URI of its image."""

    def __init__(self, destination: str, requests: Sequence[v1.AnnotateImageRequest], first: int) -> None:
        self.uri = shard_uri(destination, first + 1, first + len(requests))
        self.missing = len(requests)
        self.responses = [v1.AnnotateImageResponse()] * len(requests)
        self._uris = [image_uri(request.image) for request in requests]

    def put(self, index: int, response: v1.AnnotateImageResponse) -> None:
        response.context.uri = self._uris[index]
        self.responses[index] = response
        self.missing -= 1


async def _released(stall: "concurrent.futures.Future[None]") -> None:
    # asyncio.wrap_future would cancel a stall that several operations share when one of them is cancelled.
    loop = asyncio.get_running_loop()
    released = asyncio.Event()

    def wake(_: object) -> None:
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(released.set)

    stall.add_done_callback(wake)
    await released.wait()
