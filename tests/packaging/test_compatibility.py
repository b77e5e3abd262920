"""The same process as google-cloud-vision, in both import orders, at both ends of what pyproject.toml allows."""

import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOWEST = ["protobuf==6.31.1", "grpcio==1.80.0", "googleapis-common-protos==1.70.0", "google-auth[requests]==2.40.0"]
ENDS = {"lowest": LOWEST, "newest": ["protobuf>=7,<8", "grpcio", "googleapis-common-protos", "google-auth[requests]"]}
ORDERS = ("ours-first", "theirs-first")

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module", params=sorted(ENDS))
def python(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a fresh environment with this checkout and one end of the supported versions."""
    folder = tmp_path_factory.mktemp(str(request.param))
    venv.create(folder)
    # A pip of its own, and the bytecode of what is never imported, would take most of the time.
    at = str(folder / "bin/python")
    pip = [sys.executable, "-m", "pip", "--python", at, "install", "-q", "--no-compile", "--disable-pip-version-check"]
    subprocess.run([*pip, *ENDS[request.param], str(ROOT), "google-cloud-vision"], check=True)
    return folder / "bin/python"


def contract(python: Path | str, order: str) -> str:
    command = [str(python), "-W", "error::UserWarning", str(Path(__file__).with_name("contract.py")), order]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parent)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("order", ORDERS)
def test_ends(python: Path, order: str) -> None:
    """Messages, JSON and calls work beside google-cloud-vision at the lowest and at the newest supported versions."""
    assert contract(python, order).startswith("ok")


@pytest.mark.parametrize("order", ORDERS)
def test_here(order: str) -> None:
    """The same in the environment that the generated code is made in, protobuf 6.33."""
    assert "protobuf 6.33" in contract(sys.executable, order)
