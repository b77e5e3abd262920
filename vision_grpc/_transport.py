"""Channels, and the steps of a flow performed on them: the one room that knows sockets and asyncio."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Sequence
from queue import Empty, SimpleQueue
from typing import Any

import grpc
import grpc.aio

from vision_grpc._calls import Call, Connect, Gather, Identify, Metadata, Reauthenticate, Sleep, Step
from vision_grpc._channel import ChannelSettings, api_client_header, check_metadata
from vision_grpc.auth import Auth, Headers
from vision_grpc.config import Target
from vision_grpc.errors import AuthError, ConfigError


def _rest(timeout: float | None, since: float) -> float | None:
    """What is left of a call's time after its token was fetched."""
    return None if timeout is None else max(0.0, timeout - (time.monotonic() - since))


class _Base:
    """What both transports share: the metadata of a call."""

    def __init__(self, settings: ChannelSettings, auth: Auth, channel: Any, interceptors: Sequence[Any], user_agent: str | None) -> None:
        self.settings = settings
        self.auth = auth
        self.closed = False
        self._given = channel
        self._interceptors = list(interceptors)
        self._fixed = (api_client_header(user_agent),)
        self._refused: Headers | None = None
        self._standing: tuple[Headers | None, Metadata] = (None, ())

    def _metadata(self, call: Call, authentication: Headers) -> list[tuple[str, str | bytes]]:
        known, standing = self._standing
        if known is not authentication:
            standing = (*self._fixed, *authentication)
            check_metadata(standing)
            self._standing = (authentication, standing)
        metadata = list(standing)
        routing = call.method.routing
        if routing is not None and (value := getattr(call.request, routing, "")):
            from urllib.parse import quote  # 3 ms at import, for calls that a program may not make

            metadata.append(("x-goog-request-params", f"{routing}={quote(value, safe='/')}"))
        if call.metadata:
            check_metadata(call.metadata)
            metadata.extend(call.metadata)
        return metadata

    def _note(self, error: grpc.RpcError, authentication: Headers) -> None:
        """Remembers which token was refused: of many callers that meet the same refusal only one is to fetch another."""
        if error.code() is grpc.StatusCode.UNAUTHENTICATED:
            self._refused = authentication

    def _check_open(self) -> None:
        if self.closed:
            raise ConfigError("the client is closed: make another one")


_READY: int = grpc.ChannelConnectivity.READY.value[0]


def _stands(channel: Any) -> bool:
    """Whether the channel is connected at this moment; False also where that is not to be learned at once.

    grpc.Channel itself only has subscribe(), whose thread answers after 2 ms. Here its core is asked what that thread asks it,
    which takes a microsecond; it is no public name, and a channel that does not have it is subscribed to.
    """
    while not hasattr(channel, "check_connectivity_state"):
        channel = getattr(channel, "_channel", None)  # beneath the interceptors, and beneath the Python class
        if channel is None:
            return False
    try:
        return bool(channel.check_connectivity_state(False) == _READY)
    except ValueError:  # closed meanwhile
        return False


def _connection_words(target: Target, timeout: float) -> str:
    return f"no connection to {target.address} within {timeout:.3g} s"


def _await_watch(channel: Any) -> None:
    """Returns once grpc's connectivity thread has seen that nobody subscribes. It dies loudly of a channel closed before.

    It looks every 0.2 s, for which grpc.Channel.close() waits as well, but later on a busy machine. Where somebody else subscribes,
    it is theirs. That it is at work is no public fact; a channel that does not tell is not waited for.
    """
    while channel is not None and not hasattr(channel, "_connectivity_state"):
        channel = getattr(channel, "_channel", None)  # beneath the interceptors
    state = getattr(channel, "_connectivity_state", None)
    while getattr(state, "polling", False) and not getattr(state, "callbacks_and_connectivities", None):
        time.sleep(0.005)


class Transport(_Base):
    """Performs steps on a grpc.Channel, opened at the first of them. Safe to use from many threads."""

    def __init__(self, settings: ChannelSettings, auth: Auth, channel: Any, interceptors: Sequence[Any], user_agent: str | None) -> None:
        super().__init__(settings, auth, channel, interceptors, user_agent)
        self._lock = threading.Lock()
        self._channel: grpc.Channel | None = None
        self._owner = os.getpid()
        self._stubs: dict[type[Any], Any] = {}
        self._connecting: list[SimpleQueue[grpc.ChannelConnectivity | None]] = []
        self._asked = False
        self._subscribing = threading.Lock()

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
            self._open()
            self.auth.headers()
            return self.auth.project
        elif isinstance(step, Reauthenticate):
            self.auth.forget(self._refused)
        return None

    def close(self) -> None:
        with self._lock:
            self.closed = True
            channel, self._channel = self._channel, None
            self._stubs.clear()
            for states in self._connecting:
                states.put(None)
        while self._connecting:
            time.sleep(0.005)
        if channel is not None and self._owner == os.getpid():
            _await_watch(channel)
            if channel is not self._given:
                channel.close()

    def _open(self) -> grpc.Channel:
        channel = self._channel
        if channel is not None and self._owner == os.getpid():
            return channel  # close() takes it away
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
        began = time.monotonic()
        authentication = self.auth.headers(call.timeout)
        metadata = self._metadata(call, authentication)
        try:
            return send(call.request, timeout=_rest(call.timeout, began), metadata=metadata, wait_for_ready=call.wait_for_ready)
        except grpc.RpcError as error:
            self._note(error, authentication)
            raise
        except ValueError:
            # So gRPC names a channel that was closed since _open().
            self._check_open()
            raise

    def _gather(self, calls: Sequence[Call]) -> list[Any]:
        self._open()
        authentication = self.auth.headers()
        try:
            futures = [
                self._callable(call).future(call.request, timeout=call.timeout, metadata=self._metadata(call, authentication))
                for call in calls
            ]
        except ValueError:
            self._check_open()
            raise
        outcomes = [future.exception() or future.result() for future in futures]
        for outcome in outcomes:
            if isinstance(outcome, grpc.RpcError):
                self._note(outcome, authentication)
        return outcomes

    def _connect(self, timeout: float) -> str | None:
        # Asked anew each time: that a connection stood for an earlier call says nothing about now.
        # grpc.channel_ready_future would not notice that the channel was closed, and wait its whole time. It also asks to connect
        # where there is a connection, which grpc's connectivity thread does 0.2 s later, on a channel that may be closed by then.
        channel = self._open()
        # Who cannot say who they are need not wait for a connection to hear so.
        self.auth.headers(timeout)
        if _stands(channel):
            return None
        deadline = time.monotonic() + timeout
        # One thread at a time: grpc answers a second subscriber, and with it the first, from what it knew before, so that both may be
        # done, and the channel closed, before grpc's connectivity thread has begun; it then dies loudly.
        if not self._subscribing.acquire(timeout=max(0.0, timeout)):
            return _connection_words(self.settings.target, timeout)
        try:
            return None if _stands(channel) else self._watch(channel, timeout, deadline)
        finally:
            self._subscribing.release()

    def _watch(self, channel: grpc.Channel, timeout: float, deadline: float) -> str | None:
        states: SimpleQueue[grpc.ChannelConnectivity | None] = SimpleQueue()
        see = states.put
        with self._lock:
            self._check_open()
            self._connecting.append(states)
            asked = not self._asked
            self._asked = True
            channel.subscribe(see, try_to_connect=asked)
        try:
            state: grpc.ChannelConnectivity | None = grpc.ChannelConnectivity.CONNECTING
            while state not in (grpc.ChannelConnectivity.READY, None):
                state = states.get(timeout=max(0.0, deadline - time.monotonic()))
                if state is grpc.ChannelConnectivity.IDLE and not asked:
                    asked = True
                    channel.unsubscribe(see)
                    channel.subscribe(see, try_to_connect=True)
        except Empty:
            return _connection_words(self.settings.target, timeout)
        finally:
            channel.unsubscribe(see)
            with self._lock:
                self._connecting.remove(states)
        self._check_open()
        return None


class AsyncTransport(_Base):
    """Performs steps on a grpc.aio.Channel, one for each event loop that uses the client, opened at its first step."""

    def __init__(self, settings: ChannelSettings, auth: Auth, channel: Any, interceptors: Sequence[Any], user_agent: str | None) -> None:
        super().__init__(settings, auth, channel, interceptors, user_agent)
        self._lock = threading.Lock()
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
            self._open()
            await self.auth.aheaders()
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
        send = self._open().method(call)
        began = time.monotonic()
        authentication = await self.auth.aheaders(call.timeout)
        metadata = self._metadata(call, authentication)
        try:
            return await send(call.request, timeout=_rest(call.timeout, began), metadata=metadata, wait_for_ready=call.wait_for_ready)
        except grpc.RpcError as error:
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
        await self.auth.aheaders(timeout)
        try:
            channel = self._open().channel
            if channel.get_state() is grpc.ChannelConnectivity.READY:
                return None
            async with asyncio.timeout(timeout):
                await channel.channel_ready()
        except TimeoutError:
            return _connection_words(self.settings.target, timeout)
        except grpc.aio.UsageError:
            self._check_open()
            raise
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
