"""Steps performed on grpc.aio.Channels, by tasks of event loops."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Sequence
from typing import Any

import grpc
import grpc.aio

from vision_grpc._calls import Call, Connect, Gather, Identify, Reauthenticate, Sleep, Step
from vision_grpc._channel import ChannelSettings
from vision_grpc._transport.base import FRESH, TransportBase, connection_words, rest
from vision_grpc.auth import Auth
from vision_grpc.errors import AuthError, ConfigError


class AsyncTransport(TransportBase):
    """Performs steps on a grpc.aio.Channel, one for each event loop that uses the client, opened at its first step."""

    channel_kinds = (grpc.aio.Channel, grpc.Channel)
    interceptor_kinds = (grpc.aio.ClientInterceptor,)

    def __init__(self, settings: ChannelSettings, auth: Auth, channel: Any, interceptors: Sequence[Any], user_agent: str | None) -> None:
        super().__init__(settings, auth, channel, interceptors, user_agent)
        if channel is not None and self._interceptors:
            raise ConfigError("grpc.aio takes interceptors only where a channel is made: give them to the channel")
        self._lock = threading.Lock()
        self._channels: dict[asyncio.AbstractEventLoop, _LoopChannel] = {}
        self._owner: int | None = None

    def fresh(self) -> bool:
        opened = self._channels.get(asyncio.get_running_loop())
        return opened is not None and time.monotonic() - opened.seen < FRESH

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
            self._open()
            await self.auth.aheaders(step.timeout)
            return self.auth.project
        elif isinstance(step, Reauthenticate):
            self.auth.forget(self._refused)
        return None

    async def close(self) -> None:
        self.closed = True
        with self._lock:
            # A channel can only be closed on its own loop; those of other loops end with them.
            opened = self._channels.pop(asyncio.get_running_loop(), None)
        if opened is not None and opened.channel is not self._given and self._owner == os.getpid():
            await opened.channel.close()

    def _open(self) -> _LoopChannel:
        loop = asyncio.get_running_loop()
        known = self._channels.get(loop)
        if known is not None and self._owner == os.getpid() and not self.closed:
            return known
        with self._lock:
            self._check_open()
            if self._owner not in (None, os.getpid()):
                raise ConfigError(
                    "this client was used before the process forked, and gRPC connections do not survive that: make the client in the child"
                )
            opened = self._channels.get(loop)
            if opened is None:
                for other in [other for other in self._channels if other.is_closed()]:
                    del self._channels[other]
                if self._channels and self._given is not None:
                    raise ConfigError("a client with a channel of its own works on one event loop only: make another client for this loop")
                opened = self._channels[loop] = _LoopChannel(self._given or self._new_channel())
                self._owner = os.getpid()
            return opened

    def _new_channel(self) -> grpc.aio.Channel:
        settings, interceptors = self.settings, self._interceptors or None
        if settings.target.secure:
            return grpc.aio.secure_channel(
                settings.target.address, settings.credentials(), settings.arguments(), settings.compression, interceptors
            )
        return grpc.aio.insecure_channel(settings.target.address, settings.arguments(), settings.compression, interceptors)

    async def _call(self, call: Call) -> Any:
        opened = self._open()
        send = opened.method(call)
        began = time.monotonic()
        authentication = await self.auth.aheaders(call.timeout)
        metadata = self._metadata(call, authentication)
        try:
            return await send(call.request, timeout=rest(call.timeout, began), metadata=metadata, wait_for_ready=call.wait_for_ready)
        except grpc.RpcError as error:
            opened.seen = -FRESH
            self._note(error, authentication)
            raise
        except grpc.aio.UsageError:
            # So gRPC names a channel that was closed since _open().
            self._check_open()
            raise
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not self.closed or (task is not None and task.cancelling()):
                raise
        # gRPC cancels what is under way on a channel that is closed, which would look as if the caller's task had been.
        nothing = grpc.aio.Metadata()
        raise grpc.aio.AioRpcError(grpc.StatusCode.CANCELLED, nothing, nothing, details="the client was closed during the call")

    async def _outcome(self, call: Call) -> Any:
        try:
            return await self._call(call)
        except (grpc.RpcError, AuthError) as error:
            return error

    async def _connect(self, timeout: float) -> str | None:
        opened = self._open()
        deadline = asyncio.get_running_loop().time() + timeout
        await self.auth.aheaders(timeout)
        try:
            if opened.channel.get_state() is not grpc.ChannelConnectivity.READY:
                async with asyncio.timeout_at(deadline):
                    await opened.channel.channel_ready()
            opened.seen = time.monotonic()
        except TimeoutError:
            return connection_words(self.settings.target, timeout)
        except grpc.aio.UsageError:
            self._check_open()
            raise
        return None


class _LoopChannel:
    """The channel of one event loop, with its stubs."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.channel = channel
        self.seen = -FRESH
        self._stubs: dict[type[Any], Any] = {}

    def method(self, call: Call) -> Any:
        stub = self._stubs.get(call.method.stub)
        if stub is None:
            stub = self._stubs[call.method.stub] = call.method.stub(self.channel)
        return getattr(stub, call.method.name)
