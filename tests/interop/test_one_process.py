"""Both libraries side by side in one process, in both import orders."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from vision_grpc.emulator import Emulator


@pytest.mark.parametrize("first", ["ours", "theirs"])
def test_both_import_orders(first: str, secure: Callable[..., Emulator], tmp_path: Path) -> None:
    """Whichever is imported first, both work: blocking and asyncio, with each other's messages and operations."""
    server = secure()
    root = tmp_path / "root.pem"
    root.write_bytes(server.root_certificate)
    program = Path(__file__).with_name("both.py")
    finished = subprocess.run(
        [sys.executable, "-W", "ignore", str(program), first, server.target, str(root)],
        env={**os.environ, "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(root)},
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert (finished.stdout.strip(), finished.returncode) == ("ok", 0), finished.stderr
