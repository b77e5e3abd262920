"""The HTTP server: uvicorn on a socket of its own, in the event loop that already serves gRPC."""

import asyncio
import os
import socket
import ssl
import tempfile
from collections.abc import Sequence
from pathlib import Path

import uvicorn

from vision_grpc.emulator.address import written
from vision_grpc.emulator.door import Door
from vision_grpc.emulator.rest.app import application
from vision_grpc.emulator.rest.rules import bindings
from vision_grpc.emulator.rpc import Method
from vision_grpc.emulator.tls import Tls


class RestServer:
    """REST for the methods behind a door. Made, started and stopped in one event loop.

    Args:
        door: what answers calls.
        methods: the methods behind it.
        host: the address to listen on.
        port: 0 takes a free one.
        tls: None serves plain HTTP.

    Raises:
        OSError: the address cannot be bound.
    """

    def __init__(self, door: Door, methods: Sequence[Method], *, host: str, port: int, tls: Tls | None) -> None:
        self._closing = asyncio.Event()
        self._config = uvicorn.Config(
            application(door, bindings(methods), self._closing),
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            # Replies that nobody reads must not hold up a stop.
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(self._config)
        self._task: asyncio.Task[None] | None = None
        self._socket = _bound(host, port)
        self.url = f"{'https' if tls else 'http'}://{written(host, self._socket.getsockname()[1])}"
        try:
            _load(self._config, tls)
        except BaseException:
            self._socket.close()
            raise

    def start(self) -> None:
        """Starts serving. Who connects sooner waits: the socket listens already."""
        self._task = asyncio.create_task(self._server.serve([self._socket]), name="vision-emulator-rest")

    async def stop(self, grace: float | None) -> None:
        """Stops serving; requests in flight get that many seconds to end, then UNAVAILABLE."""
        if self._task is None:
            self._socket.close()
            return
        self._server.should_exit = True
        await asyncio.wait([self._task], timeout=grace or 0)
        self._closing.set()
        await self._task


def _bound(host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listener = socket.create_server(address[:2], family=family)
    except OSError as error:
        raise OSError(f"{written(host, port)} cannot be bound for REST: {os.strerror(error.errno or 0)}.") from error
    # Connections inherit it. asyncio sets it only on sockets that name TCP, and without it each reply takes 40 ms.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _load(config: uvicorn.Config, tls: Tls | None) -> None:
    """Loads the configuration; ssl reads keys from files only, which exist no longer than that takes."""
    if tls is None:
        config.load()
        return
    with tempfile.TemporaryDirectory(prefix="vision-emulator-") as directory:
        config.ssl_certfile = _written(directory, "certificate.pem", tls.certificate)
        config.ssl_keyfile = _written(directory, "key.pem", tls.key)
        if tls.client_root is not None:
            config.ssl_ca_certs = _written(directory, "client.pem", tls.client_root)
            config.ssl_cert_reqs = ssl.CERT_REQUIRED
        try:
            config.load()
        except ssl.SSLError as error:
            raise OSError("TLS cannot be served over REST: the key is not the certificate's, or one of them is damaged.") from error


def _written(directory: str, name: str, content: bytes) -> str:
    path = Path(directory, name)
    path.write_bytes(content)
    return str(path)
