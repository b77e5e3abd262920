"""AsyncClient: a thin asyncio shell over the flows of `_base`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from vision_grpc import v1
from vision_grpc._base import TIMEOUT, BaseClient, Items, Labels, ended, list_request
from vision_grpc._calls import Flow, Metadata, arun
from vision_grpc._transport.aio import AsyncTransport
from vision_grpc.config import Polling
from vision_grpc.errors import VisionError

if TYPE_CHECKING:
    from vision_grpc._operations import ImagesResponse, Progress
    from vision_grpc.requests import AsyncRequest, ImageRequestLike

__all__ = ["AsyncClient"]


class AsyncClient(BaseClient):
    """Annotates images of Cloud Storage, as coroutines; use it as an async context manager, or await close().

    One client serves several event loops, with a channel for each.
    """

    _transport_class = AsyncTransport

    async def async_batch_annotate(
        self,
        requests: Iterable[ImageRequestLike] | AsyncRequest,
        output_config: str | v1.OutputConfig | Mapping[str, Any] | None = None,
        *,
        parent: str | None = None,
        labels: Labels | None = None,
        timeout: float | None = TIMEOUT,
        metadata: Metadata = (),
    ) -> v1.Operation:
        """As `Client.async_batch_annotate`."""
        return await arun(self._submit(requests, output_config, parent, labels, timeout, metadata), self._transport.perform)

    async def wait_operation(
        self,
        operation: v1.Operation | str,
        *,
        timeout: float | None = None,
        polling: Polling | None = None,
        on_progress: Progress | None = None,
        metadata: Metadata = (),
    ) -> ImagesResponse:
        """As `Client.wait_operation`."""
        return await arun(self._wait(operation, timeout, polling, on_progress, metadata), self._transport.perform)

    async def wait_operations(
        self,
        operations: Iterable[v1.Operation | str],
        *,
        timeout: float | None = None,
        polling: Polling | None = None,
        metadata: Metadata = (),
    ) -> AsyncIterator[tuple[str, ImagesResponse | VisionError]]:
        """As `Client.wait_operations`."""
        waits = self._waits(operations, timeout, polling, metadata)
        while len(waits):
            for name, operation in await arun(waits.round(), self._transport.perform):
                yield name, ended(operation)

    async def get_operation(
        self, operation: v1.Operation | str, *, timeout: float | None = TIMEOUT, metadata: Metadata = ()
    ) -> v1.Operation:
        """As `Client.get_operation`."""
        return await arun(self._get(operation, timeout, metadata), self._transport.perform)

    async def list_operations(
        self,
        parent: str = "operations",
        *,
        filter: str = "",  # noqa: A002 - the API's own name
        page_size: int = 100,
        timeout: float | None = TIMEOUT,
        metadata: Metadata = (),
    ) -> AsyncIterator[v1.Operation]:
        """As `Client.list_operations`."""
        request = list_request(parent, filter, page_size)
        while True:
            page = await arun(self._page(request, timeout, metadata), self._transport.perform)
            for operation in page.operations:
                yield operation
            request.page_token = page.next_page_token
            if not request.page_token:
                return

    async def cancel_operation(self, operation: v1.Operation | str, *, timeout: float | None = TIMEOUT, metadata: Metadata = ()) -> None:
        """As `Client.cancel_operation`."""
        await arun(self._cancel(operation, timeout, metadata), self._transport.perform)

    async def delete_operation(self, operation: v1.Operation | str, *, timeout: float | None = TIMEOUT, metadata: Metadata = ()) -> None:
        """As `Client.delete_operation`."""
        await arun(self._delete(operation, timeout, metadata), self._transport.perform)

    async def batch_annotate_images(
        self,
        requests: Items,
        *,
        parent: str | None = None,
        labels: Labels | None = None,
        timeout: float | None = TIMEOUT,
        metadata: Metadata = (),
    ) -> v1.BatchAnnotateImagesResponse:
        """As `Client.batch_annotate_images`."""
        flow: Flow[v1.BatchAnnotateImagesResponse] = self._annotate(
            "BatchAnnotateImages", "AnnotateImageRequest", requests, parent, labels, timeout, metadata
        )
        return await arun(flow, self._transport.perform)

    async def batch_annotate_files(
        self,
        requests: Items,
        *,
        parent: str | None = None,
        labels: Labels | None = None,
        timeout: float | None = TIMEOUT,
        metadata: Metadata = (),
    ) -> v1.BatchAnnotateFilesResponse:
        """As `Client.batch_annotate_files`."""
        flow: Flow[v1.BatchAnnotateFilesResponse] = self._annotate(
            "BatchAnnotateFiles", "AnnotateFileRequest", requests, parent, labels, timeout, metadata
        )
        return await arun(flow, self._transport.perform)

    async def async_batch_annotate_files(
        self,
        requests: Items,
        *,
        parent: str | None = None,
        labels: Labels | None = None,
        timeout: float | None = TIMEOUT,
        metadata: Metadata = (),
    ) -> v1.Operation:
        """As `Client.async_batch_annotate_files`."""
        flow: Flow[v1.Operation] = self._annotate(
            "AsyncBatchAnnotateFiles", "AsyncAnnotateFileRequest", requests, parent, labels, timeout, metadata
        )
        return await arun(flow, self._transport.perform)

    async def close(self) -> None:
        """As `Client.close`, for the channel of the running loop; those of other loops go with their loops."""
        await self._transport.close()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
