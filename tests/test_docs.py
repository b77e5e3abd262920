"""The programs on the pages of docs/ run as they are printed, against an embedded server."""

import ast
import asyncio
import builtins
import inspect
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from vision_grpc import Client, image_requests, read_results
from vision_grpc._cli.output import row
from vision_grpc._json.encode import dumps
from vision_grpc.emulator import Emulator

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[1]
URIS = ["gs://bucket/a.jpg", "gs://bucket/b.jpg"]

# Suites for pytest, and programs for an environment with Apache Beam.
NOT_HERE = {"testing", "scale-out"}

# What a page's reader has already, and what an excerpt, a block without an import, leaves to its reader.
GIVEN = {"uris": URIS}
LEFT = {"Fault", "JobIncomplete", "grpc", "resume_later", "store"}


def blocks(page: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", (ROOT / "docs" / f"{page}.md").read_text(), re.DOTALL | re.MULTILINE)


PAGES = sorted(path.stem for path in (ROOT / "docs").glob("*.md") if blocks(path.stem))


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working folder with the buckets that the pages name, an emulator that serves them, and the results of an earlier run."""
    monkeypatch.chdir(tmp_path)
    buckets = {name: tmp_path / name for name in ("bucket", "photos", "out")}
    for folder in buckets.values():
        folder.mkdir()
    for name in ("a.jpg", "b.jpg"):
        shutil.copy(ROOT / "examples/images/sign.png", buckets["bucket"] / name)
    with Emulator(buckets=buckets) as server:
        monkeypatch.setenv("VISION_EMULATOR_HOST", server.target)
        monkeypatch.setenv("VISION_EMULATOR_BUCKETS", dumps({name: str(folder) for name, folder in buckets.items()}).decode())
        with Client() as client:
            response = client.wait_operation(client.async_batch_annotate(image_requests(URIS, ["text"]), "gs://bucket/run/"))
        lines = [dumps(row(result, keep_context=True)) + b"\n" for result in read_results(response)]
        Path("out/results.jsonl").write_bytes(b"".join(lines))
        yield tmp_path


@pytest.mark.parametrize("page", [page for page in PAGES if page not in NOT_HERE])
def test_the_programs_of_a_page_run(page: str, place: Path) -> None:
    """One after another, as at the prompt of `python -m asyncio`; excerpts are not run."""
    names: dict[str, Any] = dict(GIVEN)
    for block in blocks(page):
        if "import " in block:
            done = eval(compile(block, f"{page}.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), names)
            if inspect.iscoroutine(done):
                asyncio.run(done)


@pytest.mark.parametrize("page", PAGES)
def test_every_name_is_known(page: str) -> None:
    """Programs and excerpts parse, and name nothing that the page has not imported or made by then."""
    known = {*dir(builtins), *GIVEN}
    for block in blocks(page):
        nodes = list(ast.walk(ast.parse(block)))
        known |= {alias.asname or alias.name for node in nodes if isinstance(node, ast.Import | ast.ImportFrom) for alias in node.names}
        known |= {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
        known |= {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.ExceptHandler) and node.name}
        known |= {node.arg for node in nodes if isinstance(node, ast.arg)}
        unknown = {node.id for node in nodes if isinstance(node, ast.Name)} - known
        assert unknown <= (set() if "import " in block else LEFT), block


def test_testing(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page's blocks are a suite that passes, each added to those before it."""
    monkeypatch.delenv("VISION_EMULATOR_HOST", raising=False)
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    suite = ""
    for number, block in enumerate(blocks("testing")):
        suite += block + "\n"
        pytester.makepyfile(**{f"test_block_{number}": suite})
    pytester.runpytest_inprocess("-p", "no:randomly", "-q").assert_outcomes(passed=len(blocks("testing")))
