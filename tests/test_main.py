"""`python -m vision_grpc`, which only says what else to run."""

import subprocess
import sys

import pytest

from vision_grpc._version import __version__


@pytest.mark.parametrize(("arguments", "code"), [([], 2), (["photos/"], 2), (["--help"], 0), (["-h"], 0), (["--version"], 0)])
def test_it_names_the_commands(arguments: list[str], code: int) -> None:
    """One sentence with the version and both commands, on standard output where it was asked for."""
    done = subprocess.run([sys.executable, "-m", "vision_grpc", *arguments], capture_output=True, text=True)
    said, silent = (done.stderr, done.stdout) if code else (done.stdout, done.stderr)
    assert (done.returncode, silent) == (code, "")
    assert said.startswith(f"vision-grpc {__version__} has two commands")
    assert "python -m vision_grpc.submit " in said
    assert "python -m vision_grpc.emulator " in said
    assert said.count("\n") == 1
