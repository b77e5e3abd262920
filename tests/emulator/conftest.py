"""A server with two buckets, ``pics`` and ``out``, and an annotator that reads no pixels."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc
import pytest

from vision_grpc import v1
from vision_grpc.emulator import Emulator

from .raw import Raw

Serve = Callable[..., Emulator]
Connect = Callable[[Emulator], Raw]


def spell(content: bytes, request: bytes) -> bytes:
    """Annotates an image with its own bytes as text, so that a test sees which image a response is of."""
    return v1.AnnotateImageResponse(text_annotations=[v1.EntityAnnotation(description=content.decode())]).SerializeToString()


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    """The directory of bucket ``pics``, with a.png."""
    directory = tmp_path / "in"
    directory.mkdir()
    (directory / "a.png").write_bytes(b"a")
    return directory


@pytest.fixture
def outputs(tmp_path: Path) -> Path:
    """The directory of bucket ``out``, empty."""
    directory = tmp_path / "out"
    directory.mkdir()
    return directory


@pytest.fixture
def serve(inputs: Path, outputs: Path) -> Iterator[Serve]:
    """Starts a server with the given options; it is stopped after the test."""
    with ExitStack() as stack:

        def start(**options: Any) -> Emulator:
            options.setdefault("annotator", spell)
            if "objects" not in options:
                options.setdefault("buckets", {"pics": inputs, "out": outputs})
            return stack.enter_context(Emulator(**options))

        yield start


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Opens a channel to a server; it is closed after the test."""
    with ExitStack() as stack:

        def open_channel(server: Emulator) -> Raw:
            # Without a pool of its own, a channel may share the connection that another test has just had cut.
            options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_send_message_length", -1)]
            return Raw(stack.enter_context(grpc.insecure_channel(server.target, options=options)))

        yield open_channel


@pytest.fixture
def server(serve: Serve) -> Emulator:
    """A running server without faults."""
    return serve()


@pytest.fixture
def raw(server: Emulator, connect: Connect) -> Raw:
    """A channel to ``server``."""
    return connect(server)
