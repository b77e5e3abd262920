"""The server with REST, and ways to run programs of other people's clients that know it by the environment only."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vision_grpc.emulator import Emulator

NODE = Path(__file__).parents[1] / "node"
Run = Callable[..., str]


@pytest.fixture
def server(serve: Callable[..., Emulator]) -> Emulator:
    """A running server that speaks REST too."""
    return serve(rest_port=0)


@pytest.fixture
def run(server: Emulator, tmp_path: Path) -> Run:
    """Runs a program that is told where the server is, and nothing of whoever runs the tests; returns what it printed."""
    environment = {name: os.environ[name] for name in ("PATH", "LANG", "LD_LIBRARY_PATH") if name in os.environ}
    environment |= {
        "HOME": str(tmp_path),
        "NO_PROXY": "*",
        "VISION_EMULATOR_HOST": server.target,
        "VISION_EMULATOR_REST_URL": server.rest_url,
    }

    def execute(*command: str, **variables: str) -> str:
        # The time is for a machine whose disk sees node_modules for the first time.
        result = subprocess.run(command, env=environment | variables, capture_output=True, text=True, timeout=250, check=False)
        assert result.returncode == 0, result.stderr + result.stdout
        return result.stdout

    return execute


@pytest.fixture
def python(run: Run) -> Callable[..., dict[str, Any]]:
    """Runs a Python program of this directory and returns the JSON that it prints."""

    def execute(program: str, *arguments: str) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(run(sys.executable, "-W", "ignore", str(Path(__file__).with_name(program)), *arguments))
        return answer

    return execute


@pytest.fixture(scope="session")
def node_modules() -> Path:
    """The packages of package.json. Installed once for each of its versions, and kept in the temporary directory."""
    missing = [program for program in ("node", "npm") if shutil.which(program) is None]
    if missing:
        pytest.fail(f"These tests run Google's Node.js clients, and {' and '.join(missing)} cannot be found: install Node.js 18 or later.")
    wanted = (NODE / "package.json").read_bytes()
    place = Path(tempfile.gettempdir()) / f"vision-grpc-node-{os.getuid()}-{hashlib.sha256(wanted).hexdigest()[:12]}"
    if not place.exists():
        # Complete or not there at all, also where two runs do the same.
        with tempfile.TemporaryDirectory(prefix="vision-grpc-node-", dir=place.parent, ignore_cleanup_errors=True) as unfinished:
            (Path(unfinished) / "package.json").write_bytes(wanted)
            command = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error"]
            result = subprocess.run(command, cwd=unfinished, capture_output=True, text=True, timeout=250, check=False)
            if result.returncode:
                pytest.fail(f"npm could not install the packages of {NODE / 'package.json'}: {result.stderr.strip()[-1000:]}")
            try:
                Path(unfinished).rename(place)
            except OSError:
                assert place.exists()
    return place / "node_modules"


@pytest.fixture
def node(run: Run, node_modules: Path) -> Run:
    """Runs a program of tests/interop/node, or of another path, with those packages."""
    return lambda program, *arguments, **variables: run("node", str(NODE / program), *arguments, NODE_PATH=str(node_modules), **variables)
