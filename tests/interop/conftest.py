"""google-cloud-vision in a process of its own, and the server over TLS that it talks to."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from vision_grpc.emulator import Authority, Emulator, Tls

Official = Callable[..., dict[str, Any]]


@pytest.fixture(scope="package")
def certificate() -> Tls:
    """The server's certificate, under a root of its own."""
    return Authority().server()


@pytest.fixture(scope="package")
def official_process(certificate: Tls, tmp_path_factory: pytest.TempPathFactory) -> Iterator["subprocess.Popen[str]"]:
    """google-cloud-vision's process, which trusts that root by the environment variable that gRPC reads."""
    root = tmp_path_factory.mktemp("tls") / "root.pem"
    root.write_bytes(certificate.root)
    environment = {**os.environ, "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(root), "GRPC_VERBOSITY": "NONE"}
    program = Path(__file__).with_name("official.py")
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True
    ) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(timeout=60) == 0


@pytest.fixture
def secure(serve: Callable[..., Emulator], certificate: Tls) -> Callable[..., Emulator]:
    """Starts a server over TLS with the given options."""
    return lambda **options: serve(tls=certificate, **options)


@pytest.fixture(params=["sync", "async"])
def flavour(request: pytest.FixtureRequest) -> str:
    """Which of google-cloud-vision's clients is meant."""
    return str(request.param)


@pytest.fixture
def official(official_process: "subprocess.Popen[str]", flavour: str) -> Official:
    """Has google-cloud-vision's client of that flavour perform an action on a server, and returns what its user sees."""

    def perform(server: Emulator, action: str, version: str = "v1", **command: Any) -> dict[str, Any]:
        command |= {"endpoint": server.target, "action": action, "version": version, "flavour": flavour}
        assert official_process.stdin is not None
        assert official_process.stdout is not None
        official_process.stdin.write(json.dumps(command) + "\n")
        official_process.stdin.flush()
        answer: dict[str, Any] = json.loads(official_process.stdout.readline())
        return answer

    return perform
