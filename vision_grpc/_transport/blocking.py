"""Steps performed on a grpc.Channel, by threads that wait."""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Sequence
from queue import Empty, SimpleQueue
from typing import Any

import grpc
import grpc.aio

from vision_grpc._calls import Call, Connect, Gather, Identify, Reauthenticate, Sleep, Step
from vision_grpc._channel import ChannelSettings
from vision_grpc._transport.base import FRESH, TransportBase, connection_words, rest
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


_LONGEST_WATCH, _LONGEST_SHARED_WATCH = 10.0, 2.0
"""Seconds to wait for a connectivity thread of grpc's: it sees every 0.2 s whether anybody subscribes, later on a busy machine. On a
channel that was given somebody else may. It never ends where a signal's exception met the main thread inside grpc with its lock taken."""


class Transport(TransportBase):
    """Performs steps on a grpc.Channel, opened at the first of them. Safe to use from many threads."""

    channel_kinds = (grpc.Channel, grpc.aio.Channel)
    interceptor_kinds = (
        grpc.UnaryUnaryClientInterceptor,
        grpc.UnaryStreamClientInterceptor,
        grpc.StreamUnaryClientInterceptor,
        grpc.StreamStreamClientInterceptor,
    )

    def __init__(self, settings: ChannelSettings, auth: Auth, channel: Any, interceptors: Sequence[Any], user_agent: str | None) -> None:
        super().__init__(settings, auth, channel, interceptors, user_agent)
        self._lock = threading.Lock()
        self._channel: grpc.Channel | None = None
        self._owner = os.getpid()
        self._stubs: dict[type[Any], Any] = {}
        self._connecting: list[SimpleQueue[grpc.ChannelConnectivity | None]] = []
        self._asked = False
        self._watchers: list[threading.Thread] = []
        self._seen = -FRESH
        self._subscribing = threading.Lock()

    def fresh(self) -> bool:
        return time.monotonic() - self._seen < FRESH

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
            self.auth.headers(step.timeout)
            return self.auth.project
        elif isinstance(step, Reauthenticate):
            self.auth.forget(self._refused)
        return None

    def close_with(self, owner: object) -> None:
        # At exit this runs while threads still do. Later the interpreter has stopped grpc's connectivity thread, which may be watching
        # since the last submit, and the channel waits for it for ever.
        weakref.finalize(owner, self.close)

    def close(self) -> None:
        self.closed = True
        if self._owner != os.getpid():
            return  # Nothing was opened here, and the lock and the threads are those of the process that forked.
        with self._lock:
            channel, self._channel = self._channel, None
            self._stubs.clear()
            for states in self._connecting:
                states.put(None)
        while self._connecting:
            time.sleep(0.01)
        self.settle()
        if channel is not None and self._given is None:
            channel.close()

    def settle(self) -> None:
        """Waits for grpc's connectivity threads to end: they die loudly of a channel that is closed before."""
        watchers, self._watchers = self._watchers, []
        for watcher in watchers:
            if watcher is not threading.current_thread():
                watcher.join(_LONGEST_WATCH if self._given is None else _LONGEST_SHARED_WATCH)

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
            self._seen = -FRESH
            self._note(error, authentication)
            raise
        except ValueError:
            # So gRPC names a channel that was closed since _open().
            self._check_open()
            raise

    def _gather(self, calls: Sequence[Call]) -> list[Any]:
        self._open()
        began = time.monotonic()
        authentication = self.auth.headers(calls[0].timeout if calls else None)
        try:
            futures = [
                self._callable(call).future(call.request, timeout=rest(call.timeout, began), metadata=self._metadata(call, authentication))
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
        # Asked anew: that a connection stood for an earlier call says nothing about now.
        # grpc.channel_ready_future would not notice that the channel was closed, and wait its whole time. It also asks to connect
        # where there is a connection, which grpc's connectivity thread does 0.2 s later, on a channel that may be closed by then.
        channel = self._open()
        deadline = time.monotonic() + timeout
        # Who cannot say who they are need not wait for a connection to hear so.
        self.auth.headers(timeout)
        if _stands(channel):
            self._seen = time.monotonic()
            return None
        # One thread at a time: grpc answers a second subscriber, and with it the first, from what it knew before, so that both may be
        # done, and the channel closed, before grpc's connectivity thread has begun; it then dies loudly.
        if not self._subscribing.acquire(timeout=max(0.0, deadline - time.monotonic())):
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
            self._subscribe(channel, see, asked)
        try:
            state: grpc.ChannelConnectivity | None = grpc.ChannelConnectivity.CONNECTING
            while state not in (grpc.ChannelConnectivity.READY, None):
                state = states.get(timeout=max(0.0, deadline - time.monotonic()))
                if state is grpc.ChannelConnectivity.IDLE and not asked:
                    asked = True
                    channel.unsubscribe(see)
                    self._subscribe(channel, see, True)
        except Empty:
            return connection_words(self.settings.target, timeout)
        finally:
            channel.unsubscribe(see)
            with self._lock:
                self._connecting.remove(states)
        self._check_open()
        return None

    def _subscribe(self, channel: grpc.Channel, see: Any, connect: bool) -> None:
        """Subscribes, and notes the daemon threads that grpc starts for it."""
        others = set(threading.enumerate())
        channel.subscribe(see, try_to_connect=connect)
        started = [thread for thread in threading.enumerate() if thread.daemon and thread not in others]
        self._watchers = [*filter(threading.Thread.is_alive, self._watchers), *started]
        _watching.add(self)


_watching: weakref.WeakSet[Transport] = weakref.WeakSet()


def _settle_all() -> None:
    for transport in list(_watching):
        transport.settle()


if hasattr(os, "register_at_fork"):
    # In a child that is forked while such a thread runs, the end of the interpreter would wait for that thread, which is not there.
    os.register_at_fork(before=_settle_all)
