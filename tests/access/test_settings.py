"""Settings that no client can work with: each is refused in a sentence that names it, when the client is made."""

import asyncio
from collections.abc import Callable
from typing import Any

import grpc
import grpc.aio
import pytest

from vision_grpc import AsyncClient, AuthError, Client, ConfigError, Polling
from vision_grpc.emulator import Emulator

MakeClient = Callable[..., Client]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("keepalive", value) for value in ("x", -1, 0, 1e9, float("nan"), True)),
        *(("max_message", value) for value in ("x", 2**40, 0, -5, 1.5)),
        *(("options", value) for value in ({"a": 1}, [("a", object())], [("a",)], [(1, 1)], "ab", 5)),
        *(("interceptors", value) for value in ([object()], 5, "ab", [grpc.UnaryUnaryClientInterceptor])),
        *(("compression", value) for value in ("gzip", 5, 1)),
        *(("root_certificates", value) for value in ("PEM", "/etc/ca.pem", 5)),
        ("client_certificate", ("a", "b")),
        ("retry", {"attempts": 2}),
        ("polling", 5),
        *(("user_agent", value) for value in ("a\nb", "ü", 5)),
        ("universe_domain", 5),
        ("endpoint", 5),
        ("location", []),
    ],
)
@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_settings_of_the_wrong_kind(kind: Any, name: str, value: Any) -> None:
    """What gRPC would refuse in a traceback, at the first call or never, is refused in words that name the setting."""
    with pytest.raises(ConfigError, match=name):
        kind(**{"endpoint": "localhost:1", "api_key": "k", name: value})


def test_interceptors_of_the_other_api(emulator: Emulator) -> None:
    """A Client takes no interceptors of grpc.aio and an AsyncClient no others; grpc.aio adds none to a channel that there is."""

    class Blocking(grpc.UnaryUnaryClientInterceptor):
        def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
            return continuation(details, request)

    class Awaited(grpc.aio.UnaryUnaryClientInterceptor):
        async def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
            return await continuation(details, request)

    with pytest.raises(ConfigError, match="interceptors must be a list of grpc's"):
        Client(emulator=emulator.target, interceptors=[Awaited()])
    with pytest.raises(ConfigError, match=r"interceptors must be a list of grpc\.aio's"):
        AsyncClient(emulator=emulator.target, interceptors=[Blocking()])

    async def on_a_channel() -> None:
        async with grpc.aio.insecure_channel(emulator.target) as channel:
            AsyncClient(channel=channel, interceptors=[Awaited()])

    with pytest.raises(ConfigError, match="give them to the channel"):
        asyncio.run(on_a_channel())


async def test_channels_of_the_other_api(emulator: Emulator) -> None:
    """A Client takes no channel of grpc.aio and an AsyncClient no other, whose calls would block its loop; neither takes an address."""
    with grpc.insecure_channel(emulator.target) as blocking:
        async with grpc.aio.insecure_channel(emulator.target) as awaited:
            unsound: Any = emulator.target
            for kind, channel in ((Client, awaited), (Client, unsound)):
                with pytest.raises(ConfigError, match=r"channel must be a grpc\.Channel, not "):
                    kind(channel=channel)
            for channel in (blocking, grpc.intercept_channel(blocking), unsound):
                with pytest.raises(ConfigError, match=r"channel must be a grpc\.aio\.Channel, not "):
                    AsyncClient(channel=channel)


@pytest.mark.parametrize("beside", ["channel", "emulator"])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("endpoint", "localhost:1"),
        ("emulator", "localhost:1"),
        ("credentials", object()),
        ("api_key", "k"),
        ("quota_project", "p"),
        ("universe_domain", "example.com"),
        ("root_certificates", b"PEM"),
        ("client_certificate", lambda: (b"", b"")),
        ("compression", grpc.Compression.Gzip),
        ("max_message", 1000),
        ("options", [("grpc.max_metadata_size", 1)]),
    ],
)
def test_settings_that_contradict_each_other(beside: str, name: str, value: Any, emulator: Emulator) -> None:
    """A setting that a channel or an emulator has no use for is refused, rather than left out in silence."""
    with grpc.insecure_channel(emulator.target) as channel:
        settings: dict[str, Any] = {"channel": channel} if beside == "channel" else {"emulator": emulator.target}
        if beside == "emulator" and name in ("emulator", "compression", "max_message", "options"):
            Client(**{**settings, name: value}).close()
            return
        with pytest.raises(ConfigError, match=rf"\b{name}\b"):
            Client(**{**settings, name: value})


@pytest.mark.parametrize(
    "metadata",
    [{"a": "b"}, {"ab": "c"}, "ab", ["ab"], [("a",)], [("a", "b", "c")], 5, iter([("a", "b")])],
    ids=lambda value: repr(value)[:20],
)
def test_metadata_that_is_no_list_of_pairs(metadata: Any, emulator: Emulator, make_client: MakeClient) -> None:
    """Metadata is pairs, that can be read as often as a call is sent."""
    client = make_client(emulator=emulator.target)
    for call in (lambda: client.get_operation("operations/1", metadata=metadata), lambda: list(client.list_operations(metadata=metadata))):
        with pytest.raises(ConfigError, match="metadata must be a list of pairs"):
            call()
    assert emulator.calls == []


@pytest.mark.parametrize("key", ["grpc-timeout", "grpc-encoding", "grpc-trace-bin", "te", "content-type", "user-agent", "host"])
def test_metadata_that_is_grpc_s_own(key: str, emulator: Emulator, make_client: MakeClient) -> None:
    """Keys that gRPC sets itself would be dropped, sent twice, or cut the call's deadline."""
    value = b"1" if key.endswith("-bin") else "1S"
    with pytest.raises(ConfigError, match=f"'{key}' is gRPC's own"):
        make_client(emulator=emulator.target).get_operation("operations/1", metadata=[("x-trace", "1"), (key, value)])
    assert emulator.calls == []


def test_polling_of_a_wait(emulator: Emulator, make_client: MakeClient) -> None:
    """Both waits take a Polling, and nothing else for one."""
    client = make_client(emulator=emulator.target)
    wrong: Any = {"initial": 1}
    with pytest.raises(ConfigError, match="polling must be a Polling, not dict"):
        client.wait_operation("operations/1", polling=wrong)
    with pytest.raises(ConfigError, match="polling must be a Polling, not dict"):
        list(client.wait_operations(["operations/1"], polling=wrong))
    assert list(client.wait_operations([], polling=Polling())) == []


def test_a_client_certificate_that_is_no_pem_in_bytes() -> None:
    """What the function returns is only seen at the first call."""
    pair: Any = ("a", "b")
    client = Client(endpoint="localhost:1", api_key="k", client_certificate=lambda: pair)
    with pytest.raises(AuthError, match="client_certificate must return"):
        client.get_operation("operations/1")
