"""An operation's output objects as typed results, in the order of the request, each beside the input it belongs to.

The service writes ``<destination>output-<first>-to-<last>.json``; what is read, in which order and how it is decoded lies in
`_results.shards`. Here the results are counted, joined to their inputs and checked.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import AsyncIterator, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeAlias

from google.protobuf.message import Message

from vision_grpc import v1, v1p4beta1
from vision_grpc._results.join import ImageResult, join
from vision_grpc._results.shards import check_travels, find_shards, folders_below, load_shards
from vision_grpc.errors import ConfigError, OperationFailed, ResultsError, status_code, status_details
from vision_grpc.objects import Objects, open_objects

if TYPE_CHECKING:
    from vision_grpc import v1p1beta1

    Output: TypeAlias = (
        str
        | os.PathLike[str]
        | v1.OutputConfig
        | v1p4beta1.OutputConfig
        | v1p1beta1.OutputConfig
        | v1.AsyncBatchAnnotateImagesResponse
        | v1p4beta1.AsyncBatchAnnotateImagesResponse
        | v1p1beta1.AsyncBatchAnnotateImagesResponse
        | v1.Operation
    )
    Input: TypeAlias = str | v1.AnnotateImageRequest | v1p1beta1.AnnotateImageRequest | v1p4beta1.AnnotateImageRequest
    Inputs: TypeAlias = Sequence[Input] | v1.AsyncBatchAnnotateImagesRequest | v1p4beta1.AsyncBatchAnnotateImagesRequest

_PER_TURN = 64
_FOLDERS = 3

__all__ = ["AsyncResults", "ImageResult", "Results", "aread_results", "failed_uris", "read_results"]


def failed_uris(results: Iterable[ImageResult]) -> list[str]:
    """Returns the URIs of the images that failed, in order, as the inputs of another try."""
    return [result.uri for result in results if not result.ok]


def read_results(
    output: Output,
    *,
    requests: Inputs | None = None,
    objects: Objects | None = None,
    strict: bool = True,
    workers: int | None = None,
    version: str | None = None,
) -> Results:
    """Reads an operation's results one by one, in the order of its request.

    Objects are read a little ahead and decoded one shard at a time, so memory stays that of one shard however many there are.

    Args:
        output: The destination as a gs:// URI or a local path (a prefix, not only a folder: give the final slash of a folder
            in Cloud Storage), or the message that names it: an OutputConfig, an AsyncBatchAnnotateImagesResponse, or the
            finished Operation.
        requests: What was asked for, as a whole request, its AnnotateImageRequests, or URIs. Results are then checked against
            them, one for each and each of the right image; without, a missing end cannot be noticed.
        objects: Where the output lies; by default Google Cloud Storage for gs:// URIs and the local disk for paths.
        strict: Whether the first thing wrong is raised. With False, what is whole is yielded, and what is wrong is collected
            in the `problems` of the returned object.
        workers: The number of processes that decode, worth it from some hundred megabytes of JSON; None for this one. A
            script needs the ``if __name__ == "__main__"`` guard then, as for multiprocessing in general.
        version: "v1" or "v1p4beta1": whose messages are returned. By default that of `output`, or else v1, which also reads
            what v1p1beta1 operations write.

    Returns:
        An iterator over ImageResult, with `problems` and `close()`.

    Raises:
        ConfigError: The arguments make no sense, the operation still runs, google-cloud-storage is missing, or `objects` cannot
            be sent to the worker processes.
        OperationFailed: The operation given as output ended with an error.
        ResultsError: While iterating: a shard is missing, doubled, overlaps another, is cut off, is not JSON or of another
            shape, or belongs to other images; it names the object. Also where nothing lies at the destination, and, strict or
            not, where a worker process dies.
    """
    return Results(output, requests, objects, strict, workers, version)


def aread_results(
    output: Output,
    *,
    requests: Inputs | None = None,
    objects: Objects | None = None,
    strict: bool = True,
    workers: int | None = None,
    version: str | None = None,
) -> AsyncResults:
    """Reads as `read_results` does, for ``async for``: objects are read and decoded in a thread beside the event loop."""
    return AsyncResults(Results(output, requests, objects, strict, workers, version))


class Results(Iterator[ImageResult]):
    """The results of one operation, as an iterator.

    Attributes:
        problems: What was found wrong so far, where the reading is not strict.
    """

    def __init__(
        self,
        output: Output,
        requests: Inputs | None,
        objects: Objects | None,
        strict: bool,
        workers: int | None,
        version: str | None,
    ) -> None:
        place, named_version = _destination(output)
        version = version or named_version
        if version not in ("v1", "v1p4beta1"):
            raise ConfigError(f"version must be 'v1' or 'v1p4beta1', not {version!r}")
        if workers is not None and not (isinstance(workers, int) and workers >= 1):
            raise ConfigError(f"workers must be a number of at least 1, or None for no other process, not {workers!r}")
        try:
            found, prefix = open_objects(place, objects)
        except (ImportError, ValueError) as error:
            raise ConfigError(str(error)) from error
        if workers is not None:
            check_travels(found)
        self.problems: list[ResultsError] = []
        self._strict = strict
        self._results = self._read(found, prefix, None if requests is None else _uris(requests), workers, version)

    def __next__(self) -> ImageResult:
        return next(self._results)

    def close(self) -> None:
        """Ends the reading ahead. Also done at the end of the iteration and when the object is no longer used."""
        self._results.close()

    def _read(
        self, objects: Objects, prefix: str, uris: list[str] | None, workers: int | None, version: str
    ) -> Generator[ImageResult, None, None]:
        response_class = (v1 if version == "v1" else v1p4beta1).AnnotateImageResponse
        try:
            shards = find_shards(objects, prefix)
            if not shards and uris is None and (below := folders_below(objects, prefix)):
                shown = ", ".join(below[:_FOLDERS]) + (f" and {len(below) - _FOLDERS} more" if len(below) > _FOLDERS else "")
                # A job's requests have each a folder of its own below the job's.
                raise ResultsError(f"There are no output objects under {prefix} itself, but in {shown}: read each of these.", uri=prefix)
        except ResultsError as error:
            self._report(error)
            return
        yield from join(load_shards(objects, shards, version, workers), response_class.FromString, uris, prefix, self._report)

    def _report(self, error: ResultsError) -> None:
        if self._strict:
            raise error
        self.problems.append(error)


class AsyncResults(AsyncIterator[ImageResult]):
    """The results of one operation, as an asynchronous iterator. Several tasks may share it: each result goes to one of them.

    Attributes:
        problems: What was found wrong so far, where the reading is not strict.
    """

    def __init__(self, results: Results) -> None:
        self._results = results
        self._thread = ThreadPoolExecutor(1, "vision-grpc-results")
        self._ready: deque[ImageResult] = deque()
        self._taking: asyncio.Future[tuple[list[ImageResult], BaseException | None]] | None = None
        self._end: BaseException | None = None
        self._closed = False
        self._turn = asyncio.Lock()

    @property
    def problems(self) -> list[ResultsError]:
        return self._results.problems

    async def __anext__(self) -> ImageResult:
        async with self._turn:
            while not self._ready:
                if self._end is not None:
                    raise self._end
                if self._taking is None:
                    self._taking = asyncio.get_running_loop().run_in_executor(self._thread, self._take)
                # Were it not shielded, a cancelled call would lose the results that its thread goes on to take.
                taken, self._end = await asyncio.shield(self._taking)
                self._taking = None
                self._ready.extend(taken)
            return self._ready.popleft()

    def _take(self) -> tuple[list[ImageResult], BaseException | None]:
        taken: list[ImageResult] = []
        try:
            taken.extend(islice(self._results, _PER_TURN))
        except BaseException as error:  # islice has handed over what came before
            return taken, error
        return taken, None if taken else StopAsyncIteration()

    async def aclose(self) -> None:
        """Ends the reading ahead, after what another task waits for. Also done when the object is no longer used."""
        async with self._turn:
            if self._closed:
                return
            await asyncio.get_running_loop().run_in_executor(self._thread, self._results.close)
            self._closed = True
            self._thread.shutdown(wait=False)
            self._ready.clear()
            self._taking, self._end = None, StopAsyncIteration()


def _destination(output: Any) -> tuple[str | os.PathLike[str], str]:
    """Returns the prefix of the shards, and the version of the messages to read them as."""
    if isinstance(output, str | os.PathLike):
        if not os.fspath(output):
            raise ConfigError("output is empty: name a gs:// prefix or a local one; the folder at hand is '.'")
        return output, "v1"
    message = type(output).pb(output) if hasattr(type(output), "pb") else output  # google-cloud-vision's messages wrap protobuf's
    name = message.DESCRIPTOR.full_name if isinstance(message, Message) else ""
    if name == "google.longrunning.Operation":
        return _destination(_response(message))
    if name.endswith(".AsyncBatchAnnotateImagesResponse"):
        message = message.output_config
    elif not name.endswith(".OutputConfig"):
        raise ConfigError(f"output must be a gs:// URI, a path, an OutputConfig, a response or an Operation, not {type(output).__name__}")
    if not message.gcs_destination.uri:
        raise ConfigError("output names no destination: gcs_destination.uri is empty")
    return message.gcs_destination.uri, "v1p4beta1" if ".v1p4beta1." in name else "v1"


def _response(operation: Any) -> Message:
    if operation.error.code:
        error = operation.error
        raise OperationFailed(name=operation.name, code=status_code(error.code), message=error.message, details=status_details(error))
    if not operation.done:
        raise ConfigError(f"operation {operation.name} still runs: wait for it before reading its results")
    response: Message
    for response in (v1.AsyncBatchAnnotateImagesResponse(), v1p4beta1.AsyncBatchAnnotateImagesResponse()):
        # The operation may be of another descriptor pool than ours, whose Any does not know our classes.
        if operation.response.type_url.endswith("/" + response.DESCRIPTOR.full_name):
            response.ParseFromString(operation.response.value)
            return response
    raise ConfigError(f"operation {operation.name} is not one of AsyncBatchAnnotateImages: its response is {operation.response.type_url!r}")


def _uris(requests: Any) -> list[str]:
    found = getattr(requests, "requests", requests)
    if isinstance(found, str) or not isinstance(found, Iterable):
        raise ConfigError(f"requests must be a request, or a sequence of its messages or of URIs, not one {type(found).__name__}")
    uris = []
    for index, request in enumerate(found):
        try:
            uri = request if isinstance(request, str) else request.image.source.image_uri or request.image.source.gcs_image_uri
        except AttributeError:
            raise ConfigError(f"requests[{index}] must be an AnnotateImageRequest or a URI, not {type(request).__name__}") from None
        if not uri:
            raise ConfigError(f"requests[{index}] names no image URI, so results cannot be checked against it")
        uris.append(uri)
    return uris
