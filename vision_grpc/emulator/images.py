"""One image at a time: its bytes, its annotations, its error. Runs in threads, off the event loop, on all cores.

Whatever is wrong with an image ends in that image's own error; nothing here stops a batch.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from vision_grpc import v1
from vision_grpc.emulator.faults import Faults, Kind
from vision_grpc.emulator.shards import shard_bytes
from vision_grpc.emulator.validation import image_uri

logger = logging.getLogger(__name__)

Annotator = Callable[[bytes, bytes], bytes]

# The limit is published as "20 MB"; whether of 1000 or of 1024 is not, nor is the text.
MAX_IMAGE_BYTES = 20 * 2**20
# Seconds that a thread keeps to one operation: passing single images to and fro costs more than a small image itself, and
# longer turns would make operations that run side by side wait for each other.
_SLICE = 0.02
_INVALID_ARGUMENT, _NOT_FOUND, _PERMISSION_DENIED, _INTERNAL = 3, 5, 7, 13


class ObjectReader(Protocol):
    """What the server needs of a place that holds objects; see vision_grpc.objects."""

    def read(self, uri: str) -> bytes: ...

    def size(self, uri: str) -> int: ...

    def write(self, uri: str, data: bytes, content_type: str = ...) -> None: ...


class ImageError(Exception):
    """The image has no annotations; code and message go into its response."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Pending:
    """The indices of the images that nobody has begun with, handed out once each to whichever thread asks."""

    def __init__(self, count: int) -> None:
        self._indices = iter(range(count))
        self._stopped = False

    def __iter__(self) -> Iterator[int]:
        return self

    def __next__(self) -> int:
        if self._stopped:
            raise StopIteration
        # A range's iterator is advanced in one step under the interpreter's lock: two threads never get the same index.
        return next(self._indices)

    def stop(self) -> None:
        """Hands out nothing more."""
        self._stopped = True


class Images:
    """The threads that read and annotate images and write output objects.

    Args:
        objects: where images lie and output goes.
        annotator: (content, serialised v1.AnnotateImageRequest) -> serialised v1.AnnotateImageResponse.
        faults: consulted for buckets that cannot be read or written.
        workers: how many images are annotated at the same time.
    """

    def __init__(self, objects: ObjectReader, annotator: Annotator, faults: Faults, workers: int) -> None:
        self.workers = workers
        self._objects = objects
        self._annotator = annotator
        self._faults = faults
        # Synchronous requests and finished shards must not queue behind thousands of asynchronous images.
        self._batch = ThreadPoolExecutor(workers, "vision-emulator-batch")
        self._online = ThreadPoolExecutor(workers, "vision-emulator-online")
        self._output = ThreadPoolExecutor(2, "vision-emulator-output")

    async def annotate(self, request: v1.AnnotateImageRequest) -> v1.AnnotateImageResponse:
        """Returns the annotations, or the error, of an image of a synchronous request."""
        return await asyncio.get_running_loop().run_in_executor(self._online, self._annotate, request)

    async def annotate_some(
        self, requests: Sequence[v1.AnnotateImageRequest], pending: Pending
    ) -> list[tuple[int, v1.AnnotateImageResponse]]:
        """Annotates the next pending images of an asynchronous request, and returns their responses with their indices.

        Several calls may share what is pending. An empty list means that nothing is left.
        """
        return await asyncio.get_running_loop().run_in_executor(self._batch, self._annotate_some, requests, pending)

    async def write(self, uri: str, responses: Sequence[v1.AnnotateImageResponse]) -> None:
        """Writes an output object, whole or not at all, over one that exists. Raises OSError."""
        await asyncio.get_running_loop().run_in_executor(self._output, self._write, uri, responses)

    def close(self) -> None:
        """Drops what is queued and waits for the images that are being annotated."""
        for pool in (self._batch, self._online, self._output):
            pool.shutdown(wait=False, cancel_futures=True)
        for pool in (self._batch, self._online, self._output):
            pool.shutdown(wait=True)

    def _annotate_some(self, requests: Sequence[v1.AnnotateImageRequest], pending: Pending) -> list[tuple[int, v1.AnnotateImageResponse]]:
        done = []
        end = time.monotonic() + _SLICE
        for index in pending:
            done.append((index, self._annotate(requests[index])))
            if time.monotonic() >= end:
                break
        return done

    def _annotate(self, request: v1.AnnotateImageRequest) -> v1.AnnotateImageResponse:
        try:
            content = self._read(request.image)
            # The content travels beside the request; a copy of it inside would only cost memory.
            options = v1.AnnotateImageRequest(features=request.features)
            if request.HasField("image_context"):
                options.image_context.CopyFrom(request.image_context)
            return v1.AnnotateImageResponse.FromString(self._annotator(content, options.SerializeToString()))
        except ImageError as error:
            return _failed(error.code, error.message)
        except ImportError as error:
            # The annotators name the missing package and how to install it.
            return _failed(_INTERNAL, str(error))
        except Exception:
            logger.exception("The annotator failed on %r.", image_uri(request.image)[:200])
            return _failed(_INTERNAL, "The annotator of the embedded server failed on this image; its log says why.")  # ours

    def _read(self, image: v1.Image) -> bytes:
        uri = image_uri(image)
        if not uri:
            return image.content
        if uri.startswith(("http://", "https://")):
            # Ours: the real service fetches web addresses for synchronous requests, this one never leaves its machine.
            raise ImageError(_PERMISSION_DENIED, "The embedded server fetches nothing from the web; send the content or a gs:// URI.")
        try:
            if self._faults.forbids(Kind.UNREADABLE, uri):
                raise PermissionError(uri)
            if self._objects.size(uri) > MAX_IMAGE_BYTES:
                raise ImageError(_INVALID_ARGUMENT, "Image too large. Please limit to 20 MB.")  # ours
            return self._objects.read(uri)
        except FileNotFoundError as error:
            raise ImageError(_NOT_FOUND, f"Error opening file: {uri}") from error
        except (OSError, ValueError) as error:
            raise ImageError(_PERMISSION_DENIED, f"Error opening file: {uri}") from error

    def _write(self, uri: str, responses: Sequence[v1.AnnotateImageResponse]) -> None:
        data = shard_bytes(responses)
        if self._faults.forbids(Kind.UNWRITABLE, uri):
            raise PermissionError(uri)
        self._objects.write(uri, data, content_type="application/json")


def _failed(code: int, message: str) -> v1.AnnotateImageResponse:
    response = v1.AnnotateImageResponse()
    response.error.code = code
    response.error.message = message
    return response
