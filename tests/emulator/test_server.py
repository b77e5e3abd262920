"""The server as an object: starting, stopping, TLS, health, reflection."""

import asyncio
import errno
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from tests.until import until
from vision_grpc.emulator import Authority, Emulator, Fault, Tls
from vision_grpc.emulator.extras import add_extras
from vision_grpc.objects import LocalObjects

from .conftest import Connect, Serve, spell
from .raw import Raw, batch


def test_two_servers_side_by_side(serve: Serve, connect: Connect) -> None:
    """Each server has its own port and its own operations."""
    one, other = serve(), serve()
    assert one.target != other.target
    connect(one).submit(batch(["gs://pics/a.png"]))
    assert not connect(other).list().operations


async def test_async_with(inputs: Path) -> None:
    """The server starts and stops inside a running event loop, without stopping it."""
    async with Emulator(buckets={"pics": inputs}, annotator=spell) as server:
        assert server.target.startswith("127.0.0.1:")
        async with grpc.aio.insecure_channel(server.target) as channel:
            await asyncio.wait_for(channel.channel_ready(), 60)


def test_stop_frees_port_and_threads(free_port: int) -> None:
    """After stop() nobody listens and no thread of the server is left; it can be started again."""
    server = Emulator(buckets={}, annotator=spell, port=free_port)
    with pytest.raises(RuntimeError, match=r"before start\(\)"):
        _ = server.target
    for _ in range(3):
        server.start()
        address = server.target.split(":")
        with pytest.raises(RuntimeError, match="already"):
            server.start()
        server.stop()
        server.stop()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((address[0], int(address[1])), timeout=60)
        assert not left_over()


def left_over() -> list[threading.Thread]:
    """The threads of servers that still run."""
    return [thread for thread in threading.enumerate() if thread.name.startswith("vision-emulator")]


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> list[Callable[[], object]]:
    """Functions that the thread of a server calls in the middle of its start."""
    functions: list[Callable[[], object]] = []

    async def hold(server: grpc.aio.Server, services: list[str]) -> list[str]:
        for function in functions:
            function()
        return await add_extras(server, services)

    monkeypatch.setattr("vision_grpc.emulator.server.add_extras", hold)
    return functions


def test_an_interrupt_while_it_starts_goes_through(held: list[Callable[[], object]], free_port: int, tmp_path: Path) -> None:
    """Ctrl-C in the middle of start() is a KeyboardInterrupt there, after which no thread, port or state file is held."""
    come = threading.Event()

    def interrupt() -> None:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        assert come.wait(60)

    def handler(number: int, frame: object) -> None:
        come.set()
        raise KeyboardInterrupt

    with socket.create_server(("127.0.0.1", 0)) as other:
        rest_port = other.getsockname()[1]
    server = Emulator(buckets={}, annotator=spell, port=free_port, rest_port=rest_port, state=tmp_path / "operations.db")
    held.append(interrupt)
    before = signal.signal(signal.SIGINT, handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            server.start()
    finally:
        signal.signal(signal.SIGINT, before)
    assert not left_over()
    held.clear()
    with server:
        assert server.target == f"127.0.0.1:{free_port}"
        assert server.rest_url == f"http://127.0.0.1:{rest_port}"
    assert not left_over()


def test_a_start_that_fails_leaves_nothing(held: list[Callable[[], object]], monkeypatch: pytest.MonkeyPatch, free_port: int) -> None:
    """What goes wrong while the server starts, be it its thread or in it, is raised by start(), which may be called again."""
    server = Emulator(buckets={}, annotator=spell, port=free_port)
    held.append(lambda: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        server.start()
    held.clear()
    with monkeypatch.context() as patched:
        patched.setattr(threading, "_start_new_thread", lambda *_: 1 // 0)
        patched.setattr(threading, "_start_joinable_thread", lambda *_, **__: 1 // 0, raising=False)
        with pytest.raises(ZeroDivisionError):
            server.start()
    assert not left_over()
    with server:
        assert server.target


async def test_an_async_with_that_is_cancelled_leaves_nothing(held: list[Callable[[], object]]) -> None:
    """Cancelled while the server starts, `async with` stops it before it lets go."""
    starting, cancelled = threading.Event(), threading.Event()
    held.extend([starting.set, lambda: cancelled.wait(60)])

    async def enter() -> None:
        async with Emulator(buckets={}, annotator=spell):
            pytest.fail("entered")

    task = asyncio.create_task(enter())
    await asyncio.to_thread(starting.wait, 60)
    task.cancel()
    await asyncio.sleep(0)
    cancelled.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not left_over()


def test_stop_ends_calls_in_flight(serve: Serve, connect: Connect) -> None:
    """A stop does not wait for waiting callers: they are told UNAVAILABLE, or that their call was cancelled."""
    server = serve(operation_seconds=3600)
    raw = connect(server)
    name = raw.submit(batch(["gs://pics/a.png"])).name
    codes = []

    def wait() -> None:
        try:
            raw.wait(name)
        except grpc.RpcError as error:
            codes.append(error.code())

    thread = threading.Thread(target=wait)
    thread.start()
    until(lambda: any(call.method == "WaitOperation" for call in server.calls), "the WaitOperation")
    server.stop()
    thread.join()
    assert codes[0] in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)


def test_a_taken_port_is_refused(server: Emulator) -> None:
    """Two servers never share a port: the second start fails in one sentence."""
    port = int(server.target.rpartition(":")[2])
    with pytest.raises(OSError, match=f"^127.0.0.1:{port} cannot be bound: Address already in use.$"):
        Emulator(buckets={}, annotator=spell, port=port).start()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "either buckets"), ({"buckets": {}, "objects": object()}, "either buckets"), ({"buckets": {}, "workers": 0}, "workers is 0"),
        ({"buckets": {}, "port": 70_000}, "port is 70000; give 0 to 65535"), ({"buckets": {}, "max_images_processing": 0}, "at least 1"),
        ({"buckets": {}, "operation_seconds": -1}, "operation_seconds"), ({"buckets": {"gs://pics": "."}}, "bare names"),
        ({"buckets": {}, "record": -1}, "record is -1; give 0 or more"), ({"buckets": "photos"}, "buckets is 'photos'; give a mapping"),
        ({"buckets": ["photos"]}, "a mapping"), ({"buckets": {"photos": 5}}, r"buckets\['photos'\] is 5; give a path"),
        ({"buckets": {5: "."}}, "buckets names 5"), ({"buckets": {"B": "."}}, "buckets names 'B'"),
        ({"buckets": {"Bad_Name": "."}}, "buckets names 'Bad_Name'"), ({"buckets": {"photos": "./none"}}, "not a directory; make it first"),
        ({"buckets": {"photos": __file__}}, "is not a directory"), ({"buckets": {"photos": ""}}, "give a path"),
        ({"objects": 5}, "objects is 5"), ({"objects": dict}, "objects is <class 'dict'>"),
        ({"buckets": {}, "port": "x"}, "port is 'x'"), ({"buckets": {}, "port": None}, "port is None"),
        ({"buckets": {}, "rest_port": "x"}, "rest_port is 'x'"), ({"buckets": {}, "workers": 1.5}, "workers is 1.5"),
        ({"buckets": {}, "operation_seconds": "5"}, "operation_seconds is '5'"),
        ({"buckets": {}, "operation_seconds": float("nan")}, "operation_seconds is nan"),
        ({"buckets": {}, "record": "all"}, "record is 'all'"), ({"buckets": {}, "clock": 5}, "clock is 5"),
        ({"buckets": {}, "annotator": 5}, "annotator is 5"), ({"buckets": {}, "tls": 5}, "tls is 5"),
        ({"buckets": {}, "state": 5}, "state is 5"), ({"buckets": {}, "host": 5}, "host is 5"),
        ({"buckets": {}, "faults": Fault.stall()}, "faults is Fault"), ({"buckets": {}, "faults": ["stall"]}, "one of faults is 'stall'"),
    ],
)  # fmt: skip
def test_wrong_arguments_are_value_errors(options: dict[str, object], words: str) -> None:
    """Arguments that make no sense are refused at construction, in one sentence that names them."""
    with pytest.raises(ValueError, match=words) as caught:
        Emulator(**{"annotator": spell, **options})  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize("host", ["nonsense..", "", "[::1]", "192.0.2.1"])
def test_a_host_that_is_not_here_is_refused(host: str, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    """An address of nobody, or of another machine, is one sentence with the right reason, and neither gRPC's log nor a warning."""
    with pytest.raises(OSError, match=r"is no address|Cannot assign requested address|can't assign") as caught:
        Emulator(buckets={}, annotator=spell, host=host)
    assert "in use" not in str(caught.value)
    assert not caplog.records
    assert capfd.readouterr() == ("", "")


def test_a_host_beyond_loopback_is_warned_about(caplog: pytest.LogCaptureFixture) -> None:
    """Without TLS, an address that others can reach gets one warning; loopback gets none."""
    with caplog.at_level(logging.WARNING):
        for host in ("127.0.0.1", "localhost", "::1"):
            Emulator(buckets={}, annotator=spell, host=host)
        assert not caplog.records
        Emulator(buckets={}, annotator=spell, host="0.0.0.0")
    assert ["not a loopback address" in record.message for record in caplog.records] == [True]


def test_other_objects_than_directories(serve: Serve, connect: Connect) -> None:
    """Anything that reads and writes objects by gs:// URI can be served."""

    class Memory(dict[str, bytes]):
        def read(self, uri: str) -> bytes:
            return self[uri]

        def size(self, uri: str) -> int:
            return len(self[uri])

        def write(self, uri: str, data: bytes, content_type: str = "") -> None:
            self[uri] = data
            types.append(content_type)

    types: list[str] = []
    memory = Memory({"gs://mem/a.png": b"a"})
    raw = connect(serve(objects=memory))
    raw.wait(raw.submit(batch(["gs://mem/a.png"], "gs://mem/")).name)
    assert b'"uri": "gs://mem/a.png"' in memory["gs://mem/output-1-to-1.json"]
    assert types == ["application/json"]


def test_why_output_cannot_be_written_is_logged(serve: Serve, connect: Connect, caplog: pytest.LogCaptureFixture) -> None:
    """The operation's error has the service's words; why the disk refused is a warning of the server's, with the object."""

    class Full(LocalObjects):
        def write(self, uri: str, data: bytes, content_type: str = "") -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    raw = connect(serve(objects=Full({})))
    operation = raw.wait(raw.submit(batch(["gs://pics/a.png"], "gs://out/run/")).name)
    assert (operation.error.code, operation.error.message) == (7, "Error writing final output to: gs://out/run/output-1-to-1.json")
    (record,) = [record for record in caplog.records if record.name.startswith("vision_grpc.emulator")]
    said = f"Operation {operation.name}: gs://out/run/output-1-to-1.json cannot be written: No space left on device"
    assert (record.levelno, record.getMessage()) == (logging.WARNING, said)


def test_self_signed_tls(serve: Serve) -> None:
    """tls=True serves a certificate for localhost and the loopback addresses, whose root is a property and a file."""
    server = serve(tls=True)
    file = server.root_certificate_file
    assert file.read_bytes() == server.root_certificate
    for host in ("localhost", "127.0.0.1"):
        port = server.target.rpartition(":")[2]
        with grpc.secure_channel(f"{host}:{port}", grpc.ssl_channel_credentials(file.read_bytes())) as channel:
            assert Raw(channel).submit(batch(["gs://pics/a.png"])).name
    with grpc.secure_channel(server.target, grpc.ssl_channel_credentials(Authority().root)) as channel, pytest.raises(grpc.RpcError):
        Raw(channel).list()
    server.stop()
    assert not file.exists()


def test_tls_from_files_and_clients_with_certificates(serve: Serve, tmp_path: Path) -> None:
    """Given certificates are served; with a client root only clients with a certificate under it get in."""
    authority = Authority()
    made = authority.server(["vision.test"])
    for name, pem in (("chain.pem", made.certificate), ("key.pem", made.key), ("root.pem", authority.root)):
        (tmp_path / name).write_bytes(pem)
    server = serve(tls=Tls.from_files(tmp_path / "chain.pem", tmp_path / "key.pem", client_root=tmp_path / "root.pem"))
    certificate, key = authority.client()
    options = [("grpc.ssl_target_name_override", "vision.test")]
    with grpc.secure_channel(server.target, grpc.ssl_channel_credentials(authority.root, key, certificate), options) as channel:
        assert Raw(channel).submit(batch(["gs://pics/a.png"])).name
    with grpc.secure_channel(server.target, grpc.ssl_channel_credentials(authority.root), options) as channel, pytest.raises(grpc.RpcError):
        Raw(channel).list()


def test_no_certificate_without_tls(server: Emulator) -> None:
    """Asking a plain server for its certificate says how to get one."""
    with pytest.raises(RuntimeError, match="tls=True"):
        _ = server.root_certificate


def test_health(raw: Raw) -> None:
    """The standard health check answers SERVING for the server and each of its services."""
    health: Any = health_pb2_grpc.HealthStub(raw.channel)
    for service in ("", "google.cloud.vision.v1.ImageAnnotator", "google.longrunning.Operations"):
        assert health.Check(health_pb2.HealthCheckRequest(service=service), timeout=10).status == health_pb2.HealthCheckResponse.SERVING


def test_health_and_reflection_are_optional(serve: Serve, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without their packages the server serves all else, and answers UNIMPLEMENTED there."""
    monkeypatch.setitem(sys.modules, "grpc_health.v1", None)
    monkeypatch.setitem(sys.modules, "grpc_reflection.v1alpha", None)
    raw = connect(serve())
    assert raw.submit(batch(["gs://pics/a.png"])).name
    for path in ("/grpc.health.v1.Health/Check", "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"):
        with pytest.raises(grpc.RpcError) as caught:
            raw.bytes(path, b"")
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_certificates_need_cryptography(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the package, tls=True says which extra to install."""
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.asymmetric", None)
    with pytest.raises(ImportError, match=r"pip install 'vision-grpc\[local\]'"):
        Emulator(buckets={}, annotator=spell, tls=True)


def test_annotators_need_the_extra(serve: Serve, connect: Connect, outputs: Path) -> None:
    """A package that an annotator misses is named in the image's error, with the way to install it."""

    def annotate(content: bytes, request: bytes) -> bytes:
        raise ImportError("TEXT_DETECTION needs rapidocr, not installed here: pip install 'vision-grpc[local]'")

    raw = connect(serve(annotator=annotate))
    raw.wait(raw.submit(batch(["gs://pics/a.png"])).name)
    assert "pip install 'vision-grpc[local]'" in (outputs / "output-1-to-1.json").read_text()


def test_reflection(raw: Raw) -> None:
    """A client without our protos can learn them from the server."""
    database = ProtoReflectionDescriptorDatabase(raw.channel)
    assert "google.cloud.vision.v1p1beta1.ImageAnnotator" in database.get_services()
    pool = DescriptorPool(database)
    service = pool.FindServiceByName("google.cloud.vision.v1.ImageAnnotator")
    assert service.FindMethodByName("AsyncBatchAnnotateImages").input_type.fields_by_name["requests"].number == 1
