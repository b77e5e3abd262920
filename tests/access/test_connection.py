"""Whether a connection stands, asked at once where gRPC's core tells it, and by subscription elsewhere."""

import threading
import time
from collections.abc import Callable
from typing import Any

import grpc
import pytest

from tests.until import until
from vision_grpc import Client, v1
from vision_grpc._transport.blocking import _stands
from vision_grpc.emulator import Emulator

from .test_transport import Stamp

PHOTO = {"image": {"source": {"image_uri": "gs://photos/a.png"}}, "features": [{"type": v1.Feature.Type.TEXT_DETECTION}]}


class Closed:
    """A channel of somebody's own that shows nothing of gRPC's core, and counts who subscribes."""

    def __init__(self, target: str) -> None:
        channel = grpc.insecure_channel(target)
        self.subscriptions = 0
        self.unary_unary = channel.unary_unary
        self.unsubscribe = channel.unsubscribe
        self.close = channel.close

        def subscribe(callback: Callable[[grpc.ChannelConnectivity], None], try_to_connect: bool = False) -> None:
            self.subscriptions += 1
            channel.subscribe(callback, try_to_connect)

        self.subscribe = subscribe


def test_a_standing_connection_is_seen_at_once(emulator: Emulator) -> None:
    """A channel stands from its first answer to its close, beneath interceptors too."""
    channel = grpc.insecure_channel(emulator.target)
    stamped = grpc.intercept_channel(channel, Stamp())
    assert not _stands(channel)
    with Client(channel=stamped) as client:
        client.async_batch_annotate([PHOTO], "gs://out/")
        assert _stands(channel)
        assert _stands(stamped)
        assert not client._transport._connecting
    channel.close()
    assert not _stands(channel)
    assert not _stands(stamped)


def test_a_connection_that_broke_does_not_stand(emulator: Emulator) -> None:
    """Soon after its server has gone a channel is not taken to stand."""
    with grpc.insecure_channel(emulator.target) as channel, Client(channel=channel) as client:
        client.async_batch_annotate([PHOTO], "gs://out/")
        emulator.stop()
        until(lambda: not _stands(channel), "the end of the connection")


class Tardy:
    """gRPC's core, to a connectivity thread that gets no turn for a while once the connection stands."""

    def __init__(self, core: Any) -> None:
        self._core = core
        self.check_connectivity_state = core.check_connectivity_state

    def watch_connectivity_state(self, last: int, deadline: float) -> Any:
        if last == grpc.ChannelConnectivity.READY.value[0]:
            time.sleep(0.5)
        return self._core.watch_connectivity_state(last, deadline)


def test_no_channel_is_closed_under_grpc_s_thread(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that is closed soon after it connected does not take the channel from a connectivity thread that is late."""
    died: list[threading.ExceptHookArgs] = []
    monkeypatch.setattr(threading, "excepthook", died.append)
    client: Any = Client(emulator=emulator.target)
    state = client._transport._open()._connectivity_state
    state.channel = Tardy(state.channel)
    client.async_batch_annotate([PHOTO], "gs://out/")
    client.close()
    until(lambda: died or not state.polling, "the end of gRPC's thread")
    assert not died


def test_a_channel_that_does_not_tell_is_subscribed_to(emulator: Emulator) -> None:
    """Where gRPC's core is not to be reached, each submit subscribes, and goes out all the same."""
    channel: Any = Closed(emulator.target)
    assert not _stands(channel)
    with Client(channel=channel) as client:
        for number in range(2):
            client.async_batch_annotate([PHOTO], f"gs://out/{number}/")
    assert channel.subscriptions >= 2
    channel.close()
