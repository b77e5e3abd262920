"""README's programs run as they are written, against a running emulator whose lines were exported."""

import ast
import asyncio
import inspect
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def blocks() -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)


def test_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """One after another, as at the prompt of `python -m asyncio`, each block prints what it promises."""
    for name in [name for name in os.environ if name.startswith(("GOOGLE_", "STORAGE_"))]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    for folder in ("bucket", "photos", "out"):
        Path(folder).mkdir()
    for place in ("bucket/a.jpg", "bucket/b.jpg", "photos/a.jpg"):
        shutil.copy(ROOT / "examples/images/sign.png", place)
    arguments = [sys.executable, "-m", "vision_grpc.emulator", "--bucket", "bucket=bucket"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            for _ in range(2):
                name, _, value = process.stdout.readline().strip().partition("=")
                monkeypatch.setenv(name, value)
            names: dict[str, object] = {}
            printed = [run(block, names, capsys) for block in blocks()]
        finally:
            process.terminate()
    assert len(printed) == 4
    assert ["LABEL_DETECTION" in line for line in printed[0].splitlines() if line.startswith("gs://bucket/")] == [True, True]
    assert (tmp_path / "bucket/results/output-1-to-2.json").exists()
    assert "gs://bucket/a.jpg True\ngs://bucket/b.jpg True\n" in printed[2]
    assert "end='complete'" in printed[2]
    assert printed[3].startswith("gs://photos/a.jpg HARBOUR STREET")


def run(block: str, names: dict[str, object], capsys: pytest.CaptureFixture[str]) -> str:
    done = eval(compile(block, "README.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), names)
    if inspect.iscoroutine(done):
        asyncio.run(done)
    return capsys.readouterr().out
