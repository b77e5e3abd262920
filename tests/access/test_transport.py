"""Channels: what goes out with a call, over what, and from which threads and loops."""

import asyncio
import json
import platform
import re
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import google.auth.credentials
import google.protobuf
import grpc
import pytest

from vision_grpc import AsyncClient, AuthError, CallError, Client, ConfigError, image_requests, v1
from vision_grpc._channel import ChannelSettings
from vision_grpc.config import Target
from vision_grpc.emulator import Emulator, Fault
from vision_grpc.emulator.tls import Authority

MakeClient = Callable[..., Client]

PHOTO = {"image": {"source": {"image_uri": "gs://photos/a.png"}}, "features": [{"type": v1.Feature.Type.TEXT_DETECTION}]}


def carried(server: Emulator, key: str) -> list[str | bytes]:
    return [value for call in server.calls for name, value in call.metadata if name == key]


def test_client_tells_what_it_is(emulator: Emulator, make_client: MakeClient) -> None:
    """x-goog-api-client names Python, gRPC, this package and protobuf, with the user's own words before them."""
    list(make_client(emulator=emulator.target).list_operations())
    list(make_client(emulator=emulator.target, user_agent="my-app/1.0").list_operations())
    plain, named = carried(emulator, "x-goog-api-client")
    versions = rf"gl-python/{platform.python_version()} grpc/{grpc.__version__} gccl/\S+ pb/{google.protobuf.__version__}"
    assert re.fullmatch(versions, str(plain))
    assert named == f"my-app/1.0 {plain!s}"


def test_routing_header(any_client: Client, emulator: Emulator) -> None:
    """x-goog-request-params carries the parent of a submit that has one, and the name of an operations call, percent-encoded."""
    any_client.async_batch_annotate([PHOTO], "gs://out/", parent="projects/a-project/locations/eu")
    any_client.async_batch_annotate([PHOTO], "gs://out/")
    with pytest.raises(CallError):
        any_client.get_operation("projects/p/operations/a%b&c=d+ü")
    assert carried(emulator, "x-goog-request-params") == [
        "parent=projects/a-project/locations/eu",
        "name=projects/p/operations/a%25b%26c%3Dd%2B%C3%BC",
    ]


def test_user_metadata(any_client: Client, emulator: Emulator) -> None:
    """A caller's own metadata goes out with the call, text and binary, a key more than once where it is given so."""
    list(any_client.list_operations(metadata=[("x-trace", "1"), ("x-trace", "2"), ("x-trace-bin", b"\x00\xff")]))
    assert carried(emulator, "x-trace") == ["1", "2"]
    assert carried(emulator, "x-trace-bin") == [b"\x00\xff"]


@pytest.mark.parametrize(
    ("pair", "words"),
    [
        (("Upper", "x"), "lower-case"),
        (("", "x"), "lower-case"),
        ((b"bytes", "x"), "lower-case"),
        (("a", "ü"), "printable ASCII"),
        (("a", "line\n"), "printable ASCII"),
        (("a", b"bytes"), "printable ASCII"),
        (("a-bin", "text"), "must be bytes"),
    ],
)
def test_metadata_that_cannot_be_sent(pair: Any, words: str, any_client: Client, emulator: Emulator) -> None:
    """Metadata that gRPC would refuse is refused with its key, before anything is sent."""
    with pytest.raises(ConfigError, match=words):
        list(any_client.list_operations(metadata=[pair]))
    assert emulator.calls == []


class Stamp(grpc.UnaryUnaryClientInterceptor):
    """Adds metadata to every call."""

    def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        details.metadata.append(("x-stamp", "sync"))
        return continuation(details, request)


class AsyncStamp(grpc.aio.UnaryUnaryClientInterceptor):
    """The same for asyncio."""

    async def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        details.metadata.add("x-stamp", "aio")
        return await continuation(details, request)


def test_interceptors_sync(emulator: Emulator) -> None:
    """A Client's interceptors see every call, those that a wait makes at once included."""
    with Client(emulator=emulator.target, interceptors=[Stamp()]) as client:
        operations = [client.async_batch_annotate([PHOTO], f"gs://out/{number}/") for number in range(6)]
        assert len(list(client.wait_operations(operations))) == 6
    assert carried(emulator, "x-stamp") == ["sync"] * len(emulator.calls)


async def test_interceptors_aio(emulator: Emulator) -> None:
    """An AsyncClient's interceptors see every call, those that a wait makes at once included."""
    async with AsyncClient(emulator=emulator.target, interceptors=[AsyncStamp()]) as client:
        operations = [await client.async_batch_annotate([PHOTO], f"gs://out/{number}/") for number in range(6)]
        assert len([ended async for ended in client.wait_operations(operations)]) == 6
    assert carried(emulator, "x-stamp") == ["aio"] * len(emulator.calls)


class Wire:
    """A relay before a server that keeps what clients send, byte by byte."""

    def __init__(self, target: str) -> None:
        host, _, port = target.rpartition(":")
        self._upstream = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets = [self._listener]
        self._lock = threading.Lock()
        self.sent = bytearray()
        self.seen: tuple[bytes, threading.Event] | None = None
        self.target = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def await_frame(self, frame: bytes) -> threading.Event:
        """An event that is set once a client has sent these bytes, from now on."""
        with self._lock:
            self.sent.clear()
            self.seen = (frame, threading.Event())
            return self.seen[1]

    def close(self) -> None:
        for one in self._sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        while True:
            try:
                client = self._listener.accept()[0]
            except OSError:
                return
            server = socket.create_connection(self._upstream)
            self._sockets += [client, server]
            threading.Thread(target=self._copy, args=(client, server, True), daemon=True).start()
            threading.Thread(target=self._copy, args=(server, client, False), daemon=True).start()

    def _copy(self, source: socket.socket, sink: socket.socket, keep: bool) -> None:
        try:
            while piece := source.recv(65536):
                if keep:
                    with self._lock:
                        self.sent += piece
                        if self.seen and self.seen[0] in self.sent:
                            self.seen[1].set()
                sink.sendall(piece)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            return


@pytest.fixture
def wire(emulator: Emulator) -> Iterator[Wire]:
    """A relay before the server."""
    relay = Wire(emulator.target)
    yield relay
    relay.close()


def test_gzip_compression(wire: Wire, emulator: Emulator, make_client: MakeClient) -> None:
    """With compression=Gzip a large request takes a fraction of the bytes, and arrives as it was."""
    requests = image_requests([f"gs://photos/{number}.png" for number in range(1_000)], [v1.Feature.Type.TEXT_DETECTION])
    sizes = []
    for compression in (None, grpc.Compression.Gzip):
        wire.sent.clear()
        make_client(emulator=wire.target, compression=compression).async_batch_annotate(requests, "gs://out/")
        sizes.append(len(wire.sent))
    assert sizes[1] < sizes[0] / 3
    plain, compressed = (call.message for call in emulator.calls)
    assert plain == compressed


def test_keepalive_on_an_idle_connection(wire: Wire, make_client: MakeClient) -> None:
    """An idle connection is pinged at the interval that was asked for."""
    client = make_client(emulator=wire.target, keepalive=1.0)
    list(client.list_operations())
    # An HTTP/2 PING frame of 8 bytes that is not an acknowledgement, RFC 9113 section 6.7.
    assert wire.await_frame(b"\x00\x00\x08\x06\x00\x00\x00\x00\x00").wait(20)
    list(client.list_operations())


def test_channel_arguments() -> None:
    """Keepalive is in milliseconds and can be left out, limits are off unless given, and the user's own arguments come last."""
    settings = ChannelSettings(target=Target(address="localhost:1"), options=[("grpc.enable_retries", 1)])
    arguments = dict(settings.arguments())
    assert (arguments["grpc.keepalive_time_ms"], arguments["grpc.max_receive_message_length"]) == (300_000, -1)
    assert settings.arguments()[-1] == ("grpc.enable_retries", 1)
    assert "grpc.keepalive_time_ms" not in dict(ChannelSettings(target=Target(address="localhost:1"), keepalive=None).arguments())


def test_no_proxy_stands_before_an_emulator(emulator: Emulator, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """An emulator is called directly where the environment names a proxy; a TLS endpoint is called as the environment says."""
    for name in ("no_proxy", "no_grpc_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert make_client(emulator=emulator.target).async_batch_annotate([PHOTO], "gs://out/").name
    assert "grpc.enable_http_proxy" not in dict(ChannelSettings(target=Target(address="localhost:1")).arguments())


def test_request_over_the_size_limit(emulator: Emulator, make_client: MakeClient) -> None:
    """A request larger than max_message is not sent, once, and surely not accepted."""
    requests = image_requests([f"gs://photos/{number}.png" for number in range(100)], [v1.Feature.Type.TEXT_DETECTION])
    with pytest.raises(CallError, match="Sent message larger than max") as caught:
        make_client(emulator=emulator.target, max_message=1_000).async_batch_annotate(requests, "gs://out/")
    assert (caught.value.code, caught.value.attempts) == (grpc.StatusCode.RESOURCE_EXHAUSTED, 1)
    assert not caught.value.ambiguous
    assert emulator.calls == []


def test_reply_over_the_size_limit(buckets: dict[str, Path], emulator: Emulator, make_client: MakeClient) -> None:
    """A reply larger than max_message has been paid for: the call is not repeated, and says that it may have been accepted."""
    (buckets["photos"] / "large.png").write_bytes(b"x" * 5_000)
    large = {**PHOTO, "image": {"source": {"image_uri": "gs://photos/large.png"}}}
    with pytest.raises(CallError, match="Received message larger than max") as caught:
        make_client(emulator=emulator.target, max_message=2_000).batch_annotate_images([large])
    assert caught.value.ambiguous
    assert not caught.value.transient
    assert [call.method for call in emulator.calls] == ["BatchAnnotateImages"]


def test_messages_beyond_grpc_s_own_limit(buckets: dict[str, Path], emulator: Emulator, make_client: MakeClient) -> None:
    """Unless told otherwise a client takes replies of any size; gRPC's own limit is 4 MiB."""
    (buckets["photos"] / "large.png").write_bytes(b"x" * 5_000_000)
    large = {**PHOTO, "image": {"source": {"image_uri": "gs://photos/large.png"}}}
    reply = make_client(emulator=emulator.target).batch_annotate_images([large])
    assert len(reply.responses[0].text_annotations[0].description) == 5_000_000


@pytest.fixture
def mutual(serve: Callable[..., Emulator], authority: Authority) -> Emulator:
    """A TLS server that serves only clients with a certificate of `authority`."""
    return serve(tls=authority.server(mutual=True))


def test_mutual_tls(mutual: Emulator, authority: Authority, make_client: MakeClient) -> None:
    """A client with a certificate is served by a server that asks for one; one without is not."""
    secure: dict[str, Any] = {"endpoint": mutual.target, "root_certificates": mutual.root_certificate, "api_key": "k"}
    with pytest.raises(CallError, match="UNAVAILABLE"):
        make_client(**secure).get_operation("operations/none")
    list(make_client(**secure, client_certificate=authority.client).list_operations())
    assert [call.method for call in mutual.calls] == ["ListOperations"]


@pytest.mark.parametrize("asked", ["true", "TRUE", "false"])
def test_client_certificate_of_the_environment(
    asked: str, mutual: Emulator, authority: Authority, make_client: MakeClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """GOOGLE_API_USE_CLIENT_CERTIFICATE=true takes google-auth's client certificate; false does not."""
    certificate, key = authority.client()
    (tmp_path / "cert.pem").write_bytes(certificate)
    (tmp_path / "key.pem").write_bytes(key)
    workload = {"cert_path": str(tmp_path / "cert.pem"), "key_path": str(tmp_path / "key.pem")}
    (tmp_path / "config.json").write_text(json.dumps({"cert_configs": {"workload": workload}}))
    monkeypatch.setenv("GOOGLE_API_CERTIFICATE_CONFIG", str(tmp_path / "config.json"))
    monkeypatch.setenv("GOOGLE_API_USE_CLIENT_CERTIFICATE", asked)
    client = make_client(endpoint=mutual.target, root_certificates=mutual.root_certificate, api_key="k")
    assert client.target.mtls is (asked != "false")
    if asked == "false":
        with pytest.raises(CallError, match="UNAVAILABLE"):
            client.get_operation("operations/none")
    else:
        list(client.list_operations())
        assert make_client(api_key="k").target.address == "vision.mtls.googleapis.com:443"


def test_client_certificate_of_the_environment_is_yes_or_no(monkeypatch: pytest.MonkeyPatch, make_client: MakeClient) -> None:
    """Any other word is refused, and not taken for no."""
    monkeypatch.setenv("GOOGLE_API_USE_CLIENT_CERTIFICATE", "yes")
    with pytest.raises(ConfigError, match="must be true or false, not 'yes'"):
        make_client(endpoint="localhost:1")


def test_client_certificate_that_is_not_to_be_had(vision: Emulator, make_client: MakeClient) -> None:
    """A certificate that cannot be read, or is none, is an AuthError in words, before a connection is tried."""

    def lost() -> tuple[bytes, bytes]:
        raise FileNotFoundError("no /etc/client.pem")

    sources: list[tuple[Any, str]] = [(lost, "FileNotFoundError: no /etc/client.pem"), (lambda: None, "both as bytes of PEM")]
    for source, words in [*sources, (lambda: (b"junk", b"junk"), "both as bytes"), (lambda: ("a", "b"), "both as bytes")]:
        client = make_client(endpoint=vision.target, api_key="k", client_certificate=source)
        with pytest.raises(AuthError, match=words):
            client.async_batch_annotate([PHOTO], "gs://out/")


def test_a_private_key_stays_out_of_errors(vision: Emulator, make_client: MakeClient) -> None:
    """What a source of certificates raises may quote the key: neither words, cause nor context of the error do."""
    key = "-----BEGIN PRIVATE KEY-----\nMIIsecret\n-----END PRIVATE KEY-----"

    def quoting() -> tuple[bytes, bytes]:
        raise ValueError(f"cannot read {key}")

    with pytest.raises(AuthError, match="ValueError: cannot read") as caught:
        make_client(endpoint=vision.target, api_key="k", client_certificate=quoting).get_operation("operations/1")
    assert "MIIsecret" not in str(caught.value)
    assert caught.value.__cause__ is caught.value.__context__ is None


async def test_a_closed_async_client_asks_for_no_token() -> None:
    """As Client, it says that it is closed before anybody is asked for a token."""

    class Refusing(google.auth.credentials.Credentials):
        def refresh(self, request: object) -> None:
            raise AssertionError("asked for a token")

    client = AsyncClient(credentials=Refusing())  # type: ignore[no-untyped-call]
    await client.close()
    with pytest.raises(ConfigError, match="the client is closed"):
        await client.async_batch_annotate([PHOTO], "gs://out/")


def test_untrusted_server(vision: Emulator, make_client: MakeClient) -> None:
    """A server whose certificate is not trusted gets nothing, and the submit says that nothing was sent."""
    with pytest.raises(CallError, match="nothing was sent") as caught:
        make_client(endpoint=vision.target, api_key="k").async_batch_annotate([PHOTO], "gs://out/", timeout=1.5)
    assert not caught.value.ambiguous
    assert vision.calls == []


def test_one_client_from_32_threads(vision: Emulator) -> None:
    """One Client serves 32 threads that submit, wait and poll at once."""
    with Client(endpoint=vision.target, root_certificates=vision.root_certificate, api_key="k") as client:
        start = threading.Barrier(32)

        def work(number: int) -> str:
            start.wait()
            operation = client.async_batch_annotate([PHOTO], f"gs://out/{number}/")
            return client.wait_operation(operation).output_config.gcs_destination.uri

        with ThreadPoolExecutor(32) as pool:
            assert sorted(pool.map(work, range(32))) == sorted(f"gs://out/{number}/" for number in range(32))


def test_one_async_client_on_several_loops(vision: Emulator) -> None:
    """One AsyncClient serves event loops of several threads at once, and after them another."""
    client = AsyncClient(endpoint=vision.target, root_certificates=vision.root_certificate, api_key="k")

    async def work(number: int) -> str:
        operation = await client.async_batch_annotate([PHOTO], f"gs://out/{number}/")
        return (await client.wait_operation(operation)).output_config.gcs_destination.uri

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda number: asyncio.run(work(number)), range(8))) == [f"gs://out/{number}/" for number in range(8)]
    assert asyncio.run(work(9)) == "gs://out/9/"
    assert len(client._transport._channels) == 1
    asyncio.run(client.close())


def test_given_channel_serves_one_loop_only(emulator: Emulator) -> None:
    """A channel belongs to its loop: an AsyncClient that was given one says so on another loop."""

    async def use(client: AsyncClient | None = None) -> AsyncClient:
        client = client or AsyncClient(channel=grpc.aio.insecure_channel(emulator.target))
        async for _ in client.list_operations():
            pass
        return client

    first = asyncio.new_event_loop()
    client = first.run_until_complete(use())
    with pytest.raises(ConfigError, match="one event loop only"):
        asyncio.run(use(client))
    first.run_until_complete(client._transport._given.close())
    first.close()


def test_given_channel_is_left_open(emulator: Emulator) -> None:
    """A client never closes a channel that it was given."""
    with grpc.insecure_channel(emulator.target) as channel:
        for _ in range(2):
            with Client(channel=channel) as client:
                list(client.list_operations())
    assert len(emulator.calls) == 2


def test_dropped_connection_is_opened_again(emulator: Emulator, make_client: MakeClient) -> None:
    """A client whose connection is cut goes on with another."""
    emulator.faults.add(Fault.drop("GetOperation"))
    client = make_client(emulator=emulator.target)
    with pytest.raises(CallError, match="NOT_FOUND"):
        client.get_operation("operations/none")
    assert [call.method for call in emulator.calls] == ["GetOperation", "GetOperation"]
