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

from vision_grpc import ImageError, v1
from vision_grpc._cli.inputs import read_list
from vision_grpc._cli.output import row
from vision_grpc._json.encode import dumps
from vision_grpc.results import ImageResult

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


def test_the_failed_images_are_listed(tmp_path: Path) -> None:
    """The line for the shell finds the images that failed, and not those in which something of the name "error" was found."""
    labelled = v1.AnnotateImageResponse(
        label_annotations=[v1.EntityAnnotation(description="error"), v1.EntityAnnotation(description='"error":{')]
    )
    uris = ["gs://bucket/a.jpg", "gs://bucket/b.jpg"]
    results = [ImageResult(0, uris[0], labelled), ImageResult(1, uris[1], labelled, ImageError(3, "Bad.", index=1, uri=uris[1]))]
    (tmp_path / "out").mkdir()
    (tmp_path / "out/results.jsonl").write_bytes(b"".join(dumps(row(result, keep_context=True)) + b"\n" for result in results))
    (command,) = re.findall(r"`(grep [^`]*failed\.jsonl)`", (ROOT / "README.md").read_text())
    subprocess.run(command, shell=True, cwd=tmp_path, check=True)
    assert list(read_list(str(tmp_path / "failed.jsonl"), None)) == uris[1:]
