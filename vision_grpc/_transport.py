"""Channels, and the steps of a flow performed on them: the one room that knows sockets and asyncio."""

from __future__ import annotations

import asyncio
import os
import platform
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import google.protobuf
import grpc
import grpc.aio

from vision_grpc._calls import Call, Connect, Gather, Identify, Reauthenticate, Sleep, Step
from vision_grpc._version import __version__
from vision_grpc.auth import Auth
from vision_grpc.config import Target
from vision_grpc.errors import AuthError, ConfigError

ClientCertificate = Callable[[], tuple[bytes, bytes]]


def api_client_header(user_agent: str | None) -> tuple[str, str]:
    """x-goog-api-client, by which Google tells clients apart."""
    words = f"gl-python/{platform.python_version()} grpc/{grpc.__version__} gccl/{__version__} pb/{google.protobuf.__version__}"
    return ("x-goog-api-client", f"{user_agent} {words}" if user_agent else words)


@dataclass(frozen=True, kw_only=True, slots=True)
class ChannelSettings:
    """All that a channel is made from.

    Attributes:
        keepalive: Seconds between pings on an idle connection, which NAT gateways and load balancers would drop; None for none.
            Servers of gRPC's own kind refuse more than one ping in five minutes.
        max_message: The largest message in bytes that is received or sent; None for no limit.
        options: Further gRPC channel arguments; they win.
    """

    target: Target
    root_certificates: bytes | None = None
    client_certificate: ClientCertificate | None = None
    keepalive: float | None = 300.0
    max_message: int | None = None
    compression: grpc.Compression | None = None
    options: Sequence[tuple[str, Any]] = ()

    def arguments(self) -> list[tuple[str, Any]]:
        limit = -1 if self.max_message is None else self.max_message
        arguments: list[tuple[str, Any]] = [
            ("grpc.max_receive_message_length", limit),
            ("grpc.max_send_message_length", limit),
            # A subchannel shared with another client of the process would outlive close() and mix their settings.
            ("grpc.use_local_subchannel_pool", 1),
            # Retries are this package's: core's own, configurable from DNS, would repeat a submit blindly.
            ("grpc.enable_retries", 0),
        ]
        if self.keepalive is not None:
            arguments += [
                ("grpc.keepalive_time_ms", int(self.keepalive * 1000)),
                ("grpc.keepalive_timeout_ms", 20_000),
                ("grpc.keepalive_permit_without_calls", 1),
            ]
        return [*arguments, *self.options]

    def credentials(self) -> grpc.ChannelCredentials:
        certificate, key = self.client_certificate() if self.client_certificate else (None, None)
        return grpc.ssl_channel_credentials(self.root_certificates, key, certificate)


class _Base:
    """What both transports share: the metadata of a call."""

    def __init__(self, settings: ChannelSettings, auth: Auth, channel: Any, interceptors: Sequence[Any], user_agent: str | None) -> None:
        self.settings = settings
        self.auth = auth
        self.closed = False
        self._given = channel
        self._interceptors = list(interceptors)
        self._fixed = (api_client_header(user_agent),)

    def _metadata(self, call: Call, authentication: Sequence[tuple[str, str]]) -> list[tuple[str, str | bytes]]:
        metadata: list[tuple[str, str | bytes]] = [*self._fixed, *authentication]
        routing = call.method.routing
        if routing is not None and (value := getattr(call.request, routing, "")):
            metadata.append(("x-goog-request-params", f"{routing}={quote(value, safe='/')}"))
        metadata.extend(call.metadata)
        return metadata

    def _check_open(self) -> None:
        if self.closed:
            raise ConfigError("the client is closed: make another one")


def _connection_words(target: Target, timeout: float) -> str:
    return f"no connection to {target.address} within {timeout:.3g} s"


class Transport(_Base):
    """Performs steps on a grpc.Channel, opened at the first of them. Safe to use from many threads."""

    def __init__(self, settings: ChannelSettings, auth: Auth, channel: Any, interceptors: Sequence[Any], user_agent: str | None) -> None:
        super().__init__(settings, auth, channel, interceptors, user_agent)
        self._lock = threading.Lock()
        self._channel: grpc.Channel | None = None
        self._owner = os.getpid()
        self._stubs: dict[type[Any], Any] = {}

    def perform(self, step: Step) -> Any:
        if isinstance(step, Call):
            return self._call(step)
        if isinstance(step, Sleep):
            time.sleep(step.seconds)
        elif isinstance(step, Gather):
            return self._gather(step.calls)
        elif isinstance(step, Connect):
            return self._connect(step.timeout)
        elif isinstance(step, Identify):
            self.auth.headers()
            return self.auth.project
        elif isinstance(step, Reauthenticate):
            self.auth.forget()
        return None

    def close(self) -> None:
        with self._lock:
            self.closed = True
            channel, self._channel = self._channel, None
            self._stubs.clear()
        if channel is not None and channel is not self._given and self._owner == os.getpid():
            channel.close()

    def _open(self) -> grpc.Channel:
        with self._lock:
            self._check_open()
            if self._channel is None:
                channel = self._given or self._new_channel()
                self._channel = grpc.intercept_channel(channel, *self._interceptors) if self._interceptors else channel
                self._owner = os.getpid()
            elif self._owner != os.getpid():
                raise ConfigError(
                    "this client was used before the process forked, and gRPC connections do not survive that: "
                    "make the client in the child (gunicorn: in post_fork; multiprocessing: in the worker, or start method 'spawn')"
                )
            return self._channel

    def _new_channel(self) -> grpc.Channel:
        settings = self.settings
        if settings.target.secure:
            return grpc.secure_channel(settings.target.address, settings.credentials(), settings.arguments(), settings.compression)
        return grpc.insecure_channel(settings.target.address, settings.arguments(), settings.compression)

    def _callable(self, call: Call) -> Any:
        channel = self._open()
        stub = self._stubs.get(call.method.stub)
        if stub is None:
            stub = self._stubs[call.method.stub] = call.method.stub(channel)
        return getattr(stub, call.method.name)

    def _call(self, call: Call) -> Any:
        send = self._callable(call)
        metadata = self._metadata(call, self.auth.headers())
        return send(call.request, timeout=call.timeout, metadata=metadata, wait_for_ready=call.wait_for_ready)

    def _gather(self, calls: Sequence[Call]) -> list[Any]:
        authentication = self.auth.headers()
        futures = [
            self._callable(call).future(call.request, timeout=call.timeout, metadata=self._metadata(call, authentication)) for call in calls
        ]
        return [future.exception() or future.result() for future in futures]

    def _connect(self, timeout: float) -> str | None:
        # Who cannot say who they are need not wait for a connection to hear so.
        self.auth.headers()
        # Asked anew each time, which costs 2 ms: that a connection stood for an earlier call says nothing about now.
        ready = grpc.channel_ready_future(self._open())
        try:
            ready.result(timeout=timeout)
        except grpc.FutureTimeoutError:
            return _connection_words(self.settings.target, timeout)
        finally:
            ready.cancel()
        return None


class AsyncTransport(_Base):
    """Performs steps on a grpc.aio.Channel, one for each event loop that uses the client, opened at its first step."""

    def __init__(self, settings: ChannelSettings, auth: Auth, channel: Any, interceptors: Sequence[Any], user_agent: str | None) -> None:
        super().__init__(settings, auth, channel, interceptors, user_agent)
        self._channels: dict[asyncio.AbstractEventLoop, _LoopChannel] = {}
        self._owner: int | None = None

    async def perform(self, step: Step) -> Any:
        if isinstance(step, Call):
            return await self._call(step)
        if isinstance(step, Sleep):
            await asyncio.sleep(step.seconds)
        elif isinstance(step, Gather):
            return await asyncio.gather(*(self._outcome(call) for call in step.calls))
        elif isinstance(step, Connect):
            return await self._connect(step.timeout)
        elif isinstance(step, Identify):
            await self.auth.aheaders()
            return self.auth.project
        elif isinstance(step, Reauthenticate):
            self.auth.forget()
        return None

    async def close(self) -> None:
        self.closed = True
        here = asyncio.get_running_loop()
        channels, self._channels = self._channels, {}
        for loop, opened in channels.items():
            # A channel can only be closed on its own loop; those of loops that are gone went with them.
            if loop is here and opened.channel is not self._given and self._owner == os.getpid():
                await opened.channel.close()

    def _open(self) -> _LoopChannel:
        self._check_open()
        loop = asyncio.get_running_loop()
        opened = self._channels.get(loop)
        if opened is None:
            for other in [other for other in self._channels if other.is_closed()]:
                del self._channels[other]
            if self._channels and self._given is not None:
                raise ConfigError("a client with a channel of its own works on one event loop only: make another client for this loop")
            opened = self._channels[loop] = _LoopChannel(self._given or self._new_channel())
            self._owner = self._owner or os.getpid()
        if self._owner != os.getpid():
            raise ConfigError(
                "this client was used before the process forked, and gRPC connections do not survive that: make the client in the child"
            )
        return opened

    def _new_channel(self) -> grpc.aio.Channel:
        settings, interceptors = self.settings, self._interceptors or None
        if settings.target.secure:
            return grpc.aio.secure_channel(
                settings.target.address, settings.credentials(), settings.arguments(), settings.compression, interceptors
            )
        return grpc.aio.insecure_channel(settings.target.address, settings.arguments(), settings.compression, interceptors)

    async def _call(self, call: Call) -> Any:
        send = self._open().method(call)
        metadata = self._metadata(call, await self.auth.aheaders())
        return await send(call.request, timeout=call.timeout, metadata=metadata, wait_for_ready=call.wait_for_ready)

    async def _outcome(self, call: Call) -> Any:
        try:
            return await self._call(call)
        except (grpc.RpcError, AuthError) as error:
            return error

    async def _connect(self, timeout: float) -> str | None:
        await self.auth.aheaders()
        try:
            async with asyncio.timeout(timeout):
                await self._open().channel.channel_ready()
        except TimeoutError:
            return _connection_words(self.settings.target, timeout)
        return None


class _LoopChannel:
    """The channel of one event loop, with its stubs."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.channel = channel
        self._stubs: dict[type[Any], Any] = {}

    def method(self, call: Call) -> Any:
        stub = self._stubs.get(call.method.stub)
        if stub is None:
            stub = self._stubs[call.method.stub] = call.method.stub(self.channel)
        return getattr(stub, call.method.name)
