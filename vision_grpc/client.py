"""Client: a thin blocking shell over the flows of `_base`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from vision_grpc import v1
from vision_grpc._base import TIMEOUT, BaseClient, Items, Labels, ended, list_request
from vision_grpc._calls import Flow, Metadata, run
from vision_grpc._transport.blocking import Transport
from vision_grpc.config import Polling
from vision_grpc.errors import VisionError

if TYPE_CHECKING:
    from vision_grpc._operations import ImagesResponse, Progress
    from vision_grpc.requests import AsyncRequest, ImageRequestLike

__all__ = ["Client"]


class Client(BaseClient):
    """Annotates images of Cloud Storage, blocking. Safe to use from many threads; use it as a context manager, or close it."""

    _transport_class = Transport

    def async_batch_annotate(
        self,
        requests: Iterable[ImageRequestLike] | AsyncRequest,
        output_config: str | v1.OutputConfig | Mapping[str, Any] | None = None,
        *,
        parent: str | None = None,
        labels: Labels | None = None,
        timeout: float | None = TIMEOUT,
        metadata: Metadata = (),
    ) -> v1.Operation:
        """Starts the annotation of 1 to 2,000 images and returns its operation, which is then billed whether waited for or not.

        Args:
            requests: AnnotateImageRequests (`image_requests` makes them), mappings of their fields, or one whole
                AsyncBatchAnnotateImagesRequest, of this package or google-cloud-vision's.
            output_config: Where the service writes its JSON: ``gs://bucket/prefix/``, an OutputConfig (for batch_size, 1 to 100
                responses an object, 20 by default) or a mapping.
            parent: ``projects/p`` or ``projects/p/locations/us|asia|eu``.
            labels: For billing reports; keys and values of at most 63 lower-case letters, digits, ``_`` and ``-``.
            timeout: Seconds for the call and its safe retries, None for no limit.
            metadata: Further gRPC metadata.

        Raises:
            ConfigError: The request is wrong; nothing was sent.
            AuthError: No usable credentials; nothing was sent.
            CallError: The call failed. Where ``ambiguous``, the service may have accepted it: it was not sent again, and should not
                be before that is known.

        https://cloud.google.com/vision/docs/reference/rpc/google.cloud.vision.v1#imageannotator
        """
        return run(self._submit(requests, output_config, parent, labels, timeout, metadata), self._transport.perform)

    def wait_operation(
        self,
        operation: v1.Operation | str,
        *,
        timeout: float | None = None,
        polling: Polling | None = None,
        on_progress: Progress | None = None,
        metadata: Metadata = (),
    ) -> ImagesResponse:
        """Waits until an operation, also one that another process started, is done, and returns its response.

        A poll that ends in UNAVAILABLE, INTERNAL, ABORTED, UNKNOWN, RESOURCE_EXHAUSTED or DEADLINE_EXCEEDED only delays the wait.

        Args:
            operation: The operation, or its name in any of the four shapes that the service uses.
            timeout: Seconds, 0 to ask once, None to wait as long as it takes.
            polling: In place of the client's.
            on_progress: Called, not awaited, with the OperationMetadata after every poll that brings one.
            metadata: Further gRPC metadata.

        Raises:
            OperationFailed: The operation ended with an error or was cancelled.
            WaitTimeout: `timeout` passed; the operation still runs, and waiting again resumes.
            CallError: A poll failed for good, for instance with NOT_FOUND, or the response is damaged or missing.
            AuthError: No usable credentials.
        """
        return run(self._wait(operation, timeout, polling, on_progress, metadata), self._transport.perform)

    def wait_operations(
        self,
        operations: Iterable[v1.Operation | str],
        *,
        timeout: float | None = None,
        polling: Polling | None = None,
        metadata: Metadata = (),
    ) -> Iterator[tuple[str, ImagesResponse | VisionError]]:
        """Waits for many operations at once, on this thread: yields name and response, or name and error, as each ends.

        Raises:
            WaitTimeout: `timeout` seconds passed; its `names` still run.
        """
        waits = self._waits(operations, timeout, polling, metadata)
        while len(waits):
            for name, operation in run(waits.round(), self._transport.perform):
                yield name, ended(operation)

    def get_operation(self, operation: v1.Operation | str, *, timeout: float | None = TIMEOUT, metadata: Metadata = ()) -> v1.Operation:
        """The operation as it is now. Raises CallError, with NOT_FOUND where the service does not know it."""
        return run(self._get(operation, timeout, metadata), self._transport.perform)

    def list_operations(
        self,
        parent: str = "operations",
        *,
        filter: str = "",  # noqa: A002 - the API's own name
        page_size: int = 100,
        timeout: float | None = TIMEOUT,
        metadata: Metadata = (),
    ) -> Iterator[v1.Operation]:
        """Operations below `parent` ("operations", "projects/p", "projects/p/locations/eu"), page by page as they are asked for.

        Google publishes this method for REST only. `timeout` is for each page. Raises CallError, with UNIMPLEMENTED where a server
        has no such method.
        """
        request = list_request(parent, filter, page_size)
        while True:
            page = run(self._page(request, timeout, metadata), self._transport.perform)
            yield from page.operations
            request.page_token = page.next_page_token
            if not request.page_token:
                return

    def cancel_operation(self, operation: v1.Operation | str, *, timeout: float | None = TIMEOUT, metadata: Metadata = ()) -> None:
        """Asks the service to stop an operation; waiting for it then ends in OperationFailed with CANCELLED, if it stops in time."""
        run(self._cancel(operation, timeout, metadata), self._transport.perform)

    def delete_operation(self, operation: v1.Operation | str, *, timeout: float | None = TIMEOUT, metadata: Metadata = ()) -> None:
        """Tells the service that the operation's result is no longer wanted; it does not cancel it."""
        run(self._delete(operation, timeout, metadata), self._transport.perform)

    def batch_annotate_images(
        self,
        requests: Items,
        *,
        parent: str | None = None,
        labels: Labels | None = None,
        timeout: float | None = TIMEOUT,
        metadata: Metadata = (),
    ) -> v1.BatchAnnotateImagesResponse:
        """Annotates up to 16 images in one call and returns their annotations; inline content is allowed."""
        flow: Flow[v1.BatchAnnotateImagesResponse] = self._annotate(
            "BatchAnnotateImages", "AnnotateImageRequest", requests, parent, labels, timeout, metadata
        )
        return run(flow, self._transport.perform)

    def batch_annotate_files(
        self,
        requests: Items,
        *,
        parent: str | None = None,
        labels: Labels | None = None,
        timeout: float | None = TIMEOUT,
        metadata: Metadata = (),
    ) -> v1.BatchAnnotateFilesResponse:
        """Annotates up to five pages of a PDF, TIFF or GIF file in one call."""
        flow: Flow[v1.BatchAnnotateFilesResponse] = self._annotate(
            "BatchAnnotateFiles", "AnnotateFileRequest", requests, parent, labels, timeout, metadata
        )
        return run(flow, self._transport.perform)

    def async_batch_annotate_files(
        self,
        requests: Items,
        *,
        parent: str | None = None,
        labels: Labels | None = None,
        timeout: float | None = TIMEOUT,
        metadata: Metadata = (),
    ) -> v1.Operation:
        """Starts the annotation of PDF or TIFF files and returns its operation."""
        flow: Flow[v1.Operation] = self._annotate(
            "AsyncBatchAnnotateFiles", "AsyncAnnotateFileRequest", requests, parent, labels, timeout, metadata
        )
        return run(flow, self._transport.perform)

    def close(self) -> None:
        """Closes the channel, unless it was given; calls that are under way end in an error. Closing again does nothing."""
        self._transport.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
