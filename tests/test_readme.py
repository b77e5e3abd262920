"""README's programs run as they are written, against a running emulator whose lines were exported."""

import ast
import asyncio
import inspect
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from vision_grpc import ImageError, v1
from vision_grpc._cli.lists import read_list
from vision_grpc._cli.output import row
from vision_grpc._json.encode import dumps
from vision_grpc.results import ImageResult

ROOT = Path(__file__).parents[1]


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)


def test_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """One after another, as at the prompt of `python -m asyncio`, each block prints what it promises, after those for the shell."""
    for name in [name for name in os.environ if name.startswith(("GOOGLE_", "STORAGE_", "VISION_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
    monkeypatch.chdir(tmp_path)
    Path("examples").symlink_to(ROOT / "examples")
    _, _, buckets, emulator = blocks("sh")
    shell = f"{buckets}{emulator}echo $VISION_EMULATOR_HOST\necho $VISION_EMULATOR_BUCKETS\nwait"
    arguments = ["sh", "-ec", shell]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        try:
            assert process.stdout is not None
            for name in ("VISION_EMULATOR_HOST", "VISION_EMULATOR_BUCKETS"):
                monkeypatch.setenv(name, process.stdout.readline().strip())
            names: dict[str, object] = {}
            printed = [run(block, names, capsys) for block in blocks("python")]
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            complaints = process.communicate()[1]
    assert complaints == ""
    assert len(printed) == 4
    assert printed[0].startswith("gs://bucket/a.jpg HARBOUR STREET")
    assert "\ngs://bucket/b.jpg Morning at the Harbour" in printed[0]
    assert (tmp_path / "bucket/results/output-1-to-2.json").exists()
    assert "gs://bucket/a.jpg True\ngs://bucket/b.jpg True\n" in printed[2]
    assert "end='complete'" in printed[2]
    assert printed[3].startswith("gs://bucket/a.jpg HARBOUR STREET")


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
    readme = (ROOT / "README.md").read_text()
    (command,) = re.findall(r"`(grep [^`]*failed\.jsonl)`", readme)
    # With the same one, the results that are good would be lost.
    assert "another `--output`" in readme[readme.index(command) :][:200]
    subprocess.run(command, shell=True, cwd=tmp_path, check=True)
    assert list(read_list(str(tmp_path / "failed.jsonl"), None)) == uris[1:]
