"""Steps performed on a grpc.Channel, by threads that wait."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from queue import Empty, SimpleQueue
from typing import Any

import grpc

from vision_grpc._calls import Call, Connect, Gather, Identify, Reauthenticate, Sleep, Step
from vision_grpc._channel import ChannelSettings
from vision_grpc._transport.base import TransportBase, connection_words, rest
from vision_grpc.auth import Auth
from vision_grpc.errors import ConfigError

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


_FRESH = 0.005
"""Seconds for which a connection that was seen to stand is taken to stand, unless a call fails. To ask gRPC costs some percent of a
call's CPU time, and a connection may break between the look and the call anyway."""


class Transport(TransportBase):
    """Performs steps on a grpc.Channel, opened at the first of them. Safe to use from many threads."""

    def __init__(self, settings: ChannelSettings, auth: Auth, channel: Any, interceptors: Sequence[Any], user_agent: str | None) -> None:
        super().__init__(settings, auth, channel, interceptors, user_agent)
        self._lock = threading.Lock()
        self._channel: grpc.Channel | None = None
        self._owner = os.getpid()
        self._stubs: dict[type[Any], Any] = {}
        self._connecting: list[SimpleQueue[grpc.ChannelConnectivity | None]] = []
        self._asked = False
        self._seen = -_FRESH
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
            return send(call.request, timeout=rest(call.timeout, began), metadata=metadata, wait_for_ready=call.wait_for_ready)
        except grpc.RpcError as error:
            self._seen = -_FRESH
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
        if time.monotonic() - self._seen < _FRESH:
            return None
        # Asked anew: that a connection stood for an earlier call says nothing about now.
        # grpc.channel_ready_future would not notice that the channel was closed, and wait its whole time. It also asks to connect
        # where there is a connection, which grpc's connectivity thread does 0.2 s later, on a channel that may be closed by then.
        channel = self._open()
        # Who cannot say who they are need not wait for a connection to hear so.
        self.auth.headers(timeout)
        if _stands(channel):
            self._seen = time.monotonic()
            return None
        deadline = time.monotonic() + timeout
        # One thread at a time: grpc answers a second subscriber, and with it the first, from what it knew before, so that both may be
        # done, and the channel closed, before grpc's connectivity thread has begun; it then dies loudly.
        if not self._subscribing.acquire(timeout=max(0.0, timeout)):
            return connection_words(self.settings.target, timeout)
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
            return connection_words(self.settings.target, timeout)
        finally:
            channel.unsubscribe(see)
            with self._lock:
                self._connecting.remove(states)
        self._check_open()
        return None
