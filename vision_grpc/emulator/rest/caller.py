"""An HTTP request as the front door sees it: with the same four questions that it asks a gRPC call. No I/O here."""

from collections.abc import Iterable
from typing import NoReturn

import grpc
from starlette.requests import Request

from vision_grpc.emulator.rest.failure import Failure


class HttpCaller:
    """Who asks, and how the call may be ended.

    Args:
        request: the HTTP request.
        metadata: what its query says that other requests say in headers.
    """

    def __init__(self, request: Request, metadata: Iterable[tuple[str, str]]) -> None:
        self._request = request
        self._metadata = metadata

    def invocation_metadata(self) -> list[tuple[str, str | bytes]]:
        """Returns the headers, after HTTP/2's fashion with ``:method`` and ``:path``, which no gRPC call shows."""
        query = self._request.scope["query_string"].decode("latin-1")
        path = self._request.scope["raw_path"].decode("latin-1")
        line = [(":method", self._request.method), (":path", f"{path}?{query}" if query else path)]
        return [*line, *self._request.headers.items(), *self._metadata]

    def time_remaining(self) -> None:
        """HTTP tells no deadline."""

    def peer(self) -> str:
        """Returns the far end of the connection in gRPC's notation."""
        client = self._request.client
        return f"{'ipv6' if client and ':' in client.host else 'ipv4'}:{client.host}:{client.port}" if client else ""

    async def abort(self, code: grpc.StatusCode, details: str = "", trailing_metadata: Iterable[tuple[str, str | bytes]] = ()) -> NoReturn:
        """Ends the call as a failure. Raises Failure."""
        status = dict(trailing_metadata).get("grpc-status-details-bin", b"")
        assert isinstance(status, bytes)
        raise Failure(code, details, status)
