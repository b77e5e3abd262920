"""Opening, closing, forking: what a client leaves behind, and what it says to those who use it at the wrong time."""

import asyncio
import gc
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import grpc
import pytest

from tests.until import until
from vision_grpc import AsyncClient, CallError, Client, ConfigError, v1
from vision_grpc.emulator import Emulator, Fault

MakeClient = Callable[..., Client]

PHOTO = {"image": {"source": {"image_uri": "gs://photos/a.png"}}, "features": [{"type": v1.Feature.Type.TEXT_DETECTION}]}


def python(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs a program in a Python of its own, where every resource that is not closed is told on stderr."""
    command = [sys.executable, "-W", "always::ResourceWarning", "-c", program, *arguments]
    environ = {key: value for key, value in os.environ.items() if key not in ("VISION_EMULATOR_HOST", "PYTHONWARNINGS")}
    return subprocess.run(command, capture_output=True, text=True, timeout=250, check=False, env=environ)


ROUNDS = """
import asyncio, gc, json, os, sys
from pathlib import Path
from tests.until import until
from vision_grpc import AsyncClient, Client

kind, target = sys.argv[1:]
request = [{"image": {"source": {"image_uri": "gs://photos/a.png"}}, "features": [{"type": 5}]}]

def measure():
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {"threads": len(os.listdir("/proc/self/task")), "descriptors": len(os.listdir("/proc/self/fd")),
            "kilobytes": pages * os.sysconf("SC_PAGE_SIZE") // 1024, "objects": len(gc.get_objects())}

def blocking(rounds):
    for number in range(rounds):
        with Client(emulator=target) as client:
            if number % 100 == 0:
                client.async_batch_annotate(request, "gs://out/")
            next(client.list_operations(page_size=1))

async def awaited(rounds):
    for number in range(rounds):
        async with AsyncClient(emulator=target) as client:
            if number % 100 == 0:
                await client.async_batch_annotate(request, "gs://out/")
            await anext(client.list_operations(page_size=1))

def use(rounds):
    blocking(rounds) if kind == "Client" else asyncio.run(awaited(rounds))

use(200)
before = measure()
use(1000)
print(json.dumps([before, measure()]))
"""


@pytest.mark.parametrize("kind", ["Client", "AsyncClient"])
def test_a_thousand_rounds_leave_nothing(kind: str, emulator: Emulator, record_property: Callable[[str, object], None]) -> None:
    """1,000 rounds of open, call and close grow neither threads nor descriptors nor, beyond noise, memory; nothing is left unclosed."""
    done = python(ROUNDS, kind, emulator.target)
    assert (done.returncode, done.stderr) == (0, "")
    before, after = json.loads(done.stdout)
    print(kind, "before", before, "after 1,000 rounds", after)
    record_property("growth", [before, after])
    # Some threads and descriptors may be on their way out, or gRPC's pool may have grown on a busy machine; ten submits are among
    # the 1,000 rounds, so that even what only they left would be more.
    assert after["threads"] <= before["threads"] + 8
    assert after["descriptors"] <= before["descriptors"] + 8
    assert after["objects"] <= before["objects"] + 500
    # 4 kB a round would be one page a client; allocators of C keep some of what they were given.
    assert after["kilobytes"] <= before["kilobytes"] + 4_000


FORK = """
import os, sys, asyncio
from tests.until import until
from vision_grpc import AsyncClient, Client, ConfigError

kind, used, target = sys.argv[1:]
client = Client(emulator=target) if kind == "Client" else AsyncClient(emulator=target)

def call():
    if kind == "Client":
        return list(client.list_operations())
    async def one():
        return [operation async for operation in client.list_operations()]
    return asyncio.run(one())

if used == "used":
    call()
child = os.fork()
if child == 0:
    try:
        print("child", call(), flush=True)
        close = client.close()
        if close is not None:
            asyncio.run(close)
    except ConfigError as error:
        print("child refuses:", error, flush=True)
        close = client.close()
        if close is not None:
            asyncio.run(close)
    os._exit(0)
print("status", os.waitpid(child, 0)[1], flush=True)
print("parent", call(), flush=True)
"""


@pytest.mark.parametrize("kind", ["Client", "AsyncClient"])
def test_fork_before_use(kind: str, emulator: Emulator) -> None:
    """A client made before a fork and first used after it works in the child and in the parent."""
    done = python(FORK, kind, "unused", emulator.target)
    assert done.stdout.splitlines() == ["child []", "status 0", "parent []"], done.stderr
    assert done.returncode == 0


@pytest.mark.parametrize("kind", ["Client", "AsyncClient"])
def test_fork_after_use(kind: str, emulator: Emulator) -> None:
    """A client used before a fork refuses in the child, says what to do, can be closed there, and goes on in the parent."""
    done = python(FORK, kind, "used", emulator.target)
    refusal, status, parent = done.stdout.splitlines()
    assert refusal.startswith("child refuses: this client was used before the process forked"), done.stderr
    assert "make the client in the child" in refusal
    assert (status, parent, done.returncode) == ("status 0", "parent []", 0)


END = """
import os, sys
import grpc
from vision_grpc import Client

how, target = sys.argv[1:]
client = Client(channel=grpc.insecure_channel(target)) if how == "given" else Client(emulator=target)
request = [{"image": {"source": {"image_uri": "gs://photos/a.png"}}, "features": [{"type": 5}]}]
operation = client.async_batch_annotate(request, "gs://out/")
if how == "wait":
    client.wait_operation(operation)
if how == "fork":
    child = os.fork()
    if not child:
        sys.exit(4)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
print("main ends", flush=True)
sys.exit(3)
"""


@pytest.mark.parametrize("how", ["at once", "wait", "fork", "given"])
def test_a_program_that_does_not_close_its_client_ends(how: str, emulator: Emulator) -> None:
    """After a submit, a wait, with a child that ends too, or with a channel of its own: the end comes, quietly, with its own code."""
    done = python(END, how, emulator.target)
    assert (done.returncode, done.stderr) == (3, "")
    assert done.stdout == ("4\n" if how == "fork" else "") + "main ends\n"


def test_a_client_that_is_garbage_is_closed(emulator: Emulator) -> None:
    """Its channel does not wait for the end of the program."""
    client = Client(emulator=emulator.target)
    client.async_batch_annotate([PHOTO], "gs://out/")
    transport = client._transport
    del client
    gc.collect()
    assert transport.closed
    assert transport._channel is None
    assert not any(watcher.is_alive() for watcher in transport._watchers)


def test_a_given_channel_with_interceptors_is_left_open(emulator: Emulator) -> None:
    """A channel that the caller gave is not closed through the interceptors around it either."""

    class Nothing(grpc.UnaryUnaryClientInterceptor):
        def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
            return continuation(details, request)

    with grpc.insecure_channel(emulator.target) as channel:
        for _ in range(2):
            with Client(channel=channel, interceptors=[Nothing()]) as client:
                assert list(client.list_operations()) == []


def test_closed_client_says_so(emulator: Emulator, make_client: MakeClient) -> None:
    """A client can be closed twice; any call on it then says that it is closed."""
    client = make_client(emulator=emulator.target)
    list(client.list_operations())
    client.close()
    client.close()
    for use in (
        lambda: list(client.list_operations()),
        lambda: client.async_batch_annotate([PHOTO], "gs://out/"),
        lambda: client.wait_operation("operations/1"),
        lambda: list(client.wait_operations(["operations/1"])),
    ):
        with pytest.raises(ConfigError, match="the client is closed"):
            use()


def test_closed_client_looks_closed() -> None:
    """A client's repr tells version, server and whether it is closed."""
    client = Client(emulator="localhost:1")
    assert repr(client) == "<Client v1 of localhost:1>"
    client.close()
    assert repr(client) == "<Client v1 of localhost:1 closed>"


def test_closing_an_unused_client(make_client: MakeClient) -> None:
    """A client that was never used opens nothing, and closes."""
    before = threading.active_count()
    client = Client(emulator="localhost:1")
    assert threading.active_count() == before
    client.close()
    make_client(emulator="localhost:1").close()


def hung(emulator: Emulator, method: str) -> None:
    emulator.faults.add(Fault.hang(method))


def awaiting(emulator: Emulator, calls: int) -> None:
    """Returns once so many calls have arrived."""
    until(lambda: len(emulator.calls) >= calls, f"{calls} calls")


@pytest.mark.parametrize("method", ["GetOperation", "AsyncBatchAnnotateImages"])
def test_closing_a_client_during_a_call(method: str, emulator: Emulator, make_client: MakeClient) -> None:
    """A call that is under way when its client is closed ends in a CallError; a submit may have been accepted, and says so."""
    hung(emulator, method)
    client = make_client(emulator=emulator.target)
    errors: list[BaseException] = []

    def use() -> None:
        try:
            client.get_operation("operations/1") if method == "GetOperation" else client.async_batch_annotate([PHOTO], "gs://out/")
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=use)
    thread.start()
    awaiting(emulator, 1)
    client.close()
    thread.join()
    (error,) = errors
    assert isinstance(error, CallError), repr(error)
    assert error.code is grpc.StatusCode.CANCELLED
    assert error.ambiguous is (method != "GetOperation")
    assert "closed" in str(error).lower()


async def test_closing_an_async_client_does_not_cancel_the_caller(emulator: Emulator) -> None:
    """Closing an AsyncClient ends its calls in errors; the tasks that made them are not cancelled by it. One that is, is."""
    emulator.faults.add(Fault.hang("GetOperation", times=2))
    client = AsyncClient(emulator=emulator.target)
    staying, leaving = (asyncio.create_task(client.get_operation(f"operations/{number}")) for number in range(2))
    await asyncio.to_thread(awaiting, emulator, 2)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    await client.close()
    with pytest.raises(CallError, match="the client was closed during the call"):
        await staying
    assert not staying.cancelled()


def test_closing_a_client_while_it_connects(make_client: MakeClient) -> None:
    """A submit that waits for its connection ends when the client is closed, long before its own time."""
    client = Client(emulator="127.0.0.1:1")
    errors: list[BaseException] = []

    def use() -> None:
        try:
            client.async_batch_annotate([PHOTO], "gs://out/")
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=use)
    thread.start()
    until(lambda: client._transport._connecting, "the wait for a connection")
    client.close()
    thread.join()
    assert isinstance(errors[0], ConfigError)
    assert "the client is closed" in str(errors[0])


async def test_closing_an_async_client_while_it_connects() -> None:
    """The same for AsyncClient."""
    client = AsyncClient(emulator="127.0.0.1:1")
    submit = asyncio.create_task(client.async_batch_annotate([PHOTO], "gs://out/"))
    await asyncio.sleep(0)
    assert client._transport._channels
    await client.close()
    with pytest.raises(ConfigError, match="the client is closed"):
        await submit


def test_many_clients_at_once(emulator: Emulator) -> None:
    """50 clients of one process are told apart: closing one leaves the others connected."""
    clients: list[Any] = [Client(emulator=emulator.target) for _ in range(50)]
    for client in clients:
        list(client.list_operations())
    for client in clients[::2]:
        client.close()
    for client in clients[1::2]:
        list(client.list_operations())
        client.close()
    assert len(emulator.calls) == 75
