"""Every program in examples/ runs, as a user would run it, against the embedded server."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from vision_grpc import Client, image_requests
from vision_grpc.emulator import Emulator

EXAMPLES = Path(__file__).parents[1] / "examples"
PICTURES = ["gs://pictures/receipt.png", "gs://pictures/sign.png"]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Emulator]:
    """The embedded server with the pictures of this repository and an empty bucket."""
    buckets = {"pictures": EXAMPLES / "images", "results": tmp_path}
    with Emulator(buckets=buckets, annotator=lambda content, request: b"") as emulator:
        yield emulator


def run(server: Emulator, program: str, *arguments: str) -> str:
    environment = {**os.environ, "VISION_EMULATOR_HOST": server.target}
    command = [sys.executable, str(EXAMPLES / program), *arguments]
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout


def test_sync(server: Emulator, tmp_path: Path) -> None:
    """sync.py starts an operation, waits for it and says where its results are."""
    assert run(server, "sync.py", *PICTURES, "gs://results/sync/").endswith("results below gs://results/sync/\n")
    assert (tmp_path / "sync/output-1-to-2.json").exists()


def test_aio(server: Emulator, tmp_path: Path) -> None:
    """aio.py waits for several operations at once."""
    uris = [PICTURES[0]] * 150
    assert len(run(server, "aio.py", "gs://results/aio/", *uris).splitlines()) == 2
    assert (tmp_path / "aio/1/output-41-to-50.json").exists()


def test_resume(server: Emulator) -> None:
    """resume.py finishes what another process began."""
    with Client(emulator=server.target) as client:
        operation = client.async_batch_annotate(image_requests(PICTURES, "text"), "gs://results/resumed/")
    assert run(server, "resume.py", operation.name) == "gs://results/resumed/\n"


@pytest.mark.parametrize("program", ["sync.py", "aio.py", "resume.py"])
def test_without_arguments(program: str) -> None:
    """Each program says in a sentence how it is used."""
    done = subprocess.run([sys.executable, str(EXAMPLES / program)], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"usage: python examples/{program} ")
    assert done.stderr.count("\n") == 1


def test_short() -> None:
    """No example is longer than 30 lines."""
    programs = {path.name: len(path.read_text().splitlines()) for path in EXAMPLES.glob("*.py") if path.name != "make_images.py"}
    assert programs
    assert max(programs.values()) <= 30, programs
