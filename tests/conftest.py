"""A server with the buckets ``photos`` and ``out``, and one suite for both clients. Folders below may shadow these fixtures."""

import asyncio
import importlib
import inspect
import threading
import warnings
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, TypeVar, cast

import pytest

import vision_grpc
from tests.faults.job_memory import Stage
from tests.ports import held_port
from vision_grpc import AsyncClient, Client, Polling, Retry, v1
from vision_grpc.emulator import Emulator

_T = TypeVar("_T")


def _import_all() -> None:
    """Imports what would be imported when it is first used, by a client's or a server's thread.

    pytest parses the modules of packages that have a plugin, as this one and anyio do, to rewrite their assertions, and CPython before
    3.13 fails with a SystemError where two threads do that at the same moment. What needs Beam is for its own tests to import.
    """
    root = Path(vision_grpc.__file__).parent
    modules = [path.relative_to(root).with_suffix("").parts for path in sorted(root.rglob("*.py")) if path.stem != "__init__"]
    names = [".".join(("vision_grpc", *parts)) for parts in modules if "beam" not in parts]
    with warnings.catch_warnings():
        # google-api-core's, of a package that it could use and that this environment has not.
        warnings.simplefilter("ignore", ImportWarning)
        for name in [*names, "anyio._backends._asyncio"]:
            with suppress(ImportError):  # an extra that this environment has not
                importlib.import_module(name)


_import_all()

PICTURES = {"a.png": b"an apple", "b.png": b"a bear", "c.png": b"a cat"}


class BlockingClient:
    """An AsyncClient with the face of a Client: what it returns to await is awaited on one event loop, in a thread of its own."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="async-client", daemon=True)
        self._thread.start()

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._client, name)
        if inspect.iscoroutinefunction(value):
            return lambda *args, **kwargs: self._wait(value(*args, **kwargs))
        if inspect.isasyncgenfunction(value):
            return lambda *args, **kwargs: self._each(value(*args, **kwargs))
        return value

    def __enter__(self) -> "BlockingClient":
        return self

    def __exit__(self, *_: object) -> None:
        if self._loop.is_closed():
            return
        self._wait(self._client.close())
        self._wait(self._loop.shutdown_asyncgens())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _wait(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def _each(self, values: AsyncIterator[_T]) -> Iterator[_T]:
        async def following() -> _T:
            return await anext(values)

        while True:
            try:
                yield self._wait(following())
            except StopAsyncIteration:
                return


def spell(content: bytes, _: bytes) -> bytes:
    """Annotates a picture with its own bytes as text, so that a test sees which picture a response is of."""
    return v1.AnnotateImageResponse(text_annotations=[v1.EntityAnnotation(description=content.decode())]).SerializeToString()


@pytest.fixture
def buckets(tmp_path: Path) -> dict[str, Path]:
    """The directories of the buckets: ``photos`` with a.png, b.png and c.png, and ``out``, empty."""
    directories = {name: tmp_path / name for name in ("photos", "out")}
    for directory in directories.values():
        directory.mkdir()
    for name, content in PICTURES.items():
        (directories["photos"] / name).write_bytes(content)
    return directories


@pytest.fixture
def serve(buckets: dict[str, Path]) -> Iterator[Callable[..., Emulator]]:
    """Starts a server on those buckets with the given options; it is stopped after the test."""
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(Emulator(**{"buckets": buckets, "annotator": spell, **options}))


@pytest.fixture
def emulator(serve: Callable[..., Emulator]) -> Emulator:
    """A server on those buckets that annotates each picture with its own bytes."""
    return serve()


@pytest.fixture
def free_port() -> Iterator[int]:
    """A port where nobody listens, and which nobody else is given; a server may begin to listen there, again and again."""
    with held_port() as port:
        yield port


@pytest.fixture(params=["Client", "AsyncClient"])
def make_client(request: pytest.FixtureRequest) -> Iterator[Callable[..., Client]]:
    """Makes a client of either kind, with the face of a Client, that retries and polls in milliseconds unless told otherwise."""
    with ExitStack() as stack:

        def make(**settings: Any) -> Client:
            settings.setdefault("retry", Retry(attempts=4, initial=0.01, maximum=0.05, connect=60.0))
            settings.setdefault("polling", Polling(initial=0.01, maximum=0.05, call_timeout=60.0, server_wait=60.0))
            if request.param == "Client":
                return stack.enter_context(Client(**settings))
            return cast(Client, stack.enter_context(BlockingClient(AsyncClient(**settings))))

        yield make


@pytest.fixture
def any_client(emulator: Emulator, make_client: Callable[..., Client]) -> Client:
    """A client of either kind, of the server ``emulator``."""
    return make_client(emulator=emulator.target)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """For jobs: a server in this process, and its objects in memory."""
    made = Stage(tmp_path)
    yield made
    made.close()


@pytest.fixture
async def client(stage: Stage) -> AsyncIterator[AsyncClient]:
    """A client of the server `stage`."""
    async with stage.client() as made:
        yield made


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever drives Chromium is marked so, before pytest selects by marks: a machine without one runs everything else."""
    for item in items:
        if "browser" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.browser)
