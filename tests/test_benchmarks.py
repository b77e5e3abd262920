"""Every benchmark runs, in a tiny size, and says something sane. Nothing here asserts a time."""

import dataclasses
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks import Row, Sample, Table, auth, build, call, compare, end_to_end, imports, local, scale, tabulate, wait
from benchmarks.__main__ import BENCHMARKS
from benchmarks._report import machine, markdown, update_readme

ROOT = Path(__file__).resolve().parent.parent

TINY: dict[str, Callable[[], list[Table]]] = {
    "auth": lambda: auth.run(1, calls=2),
    "build": lambda: build.run(1, images=10, repeat=1),
    "call": lambda: call.run(1, many=10, calls=2),
    "end_to_end": lambda: end_to_end.run(1, requests=1, images=40),
    "local": lambda: local.run(1, ("swatches.png",)),
    "scale": lambda: scale.run(1, (1000, 2000)),
    "wait": lambda: wait.run(1, count=8, seconds=1.0, starting=3.0),
}


@pytest.mark.parametrize("name", sorted(TINY))
def test_benchmark_in_a_tiny_size(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each benchmark measures all of its contenders, decides its targets, and its figures are JSON."""
    monkeypatch.delenv("VISION_EMULATOR_HOST", raising=False)
    tables = TINY[name]()
    assert tables
    for table in tables:
        assert len(table.rows) >= 2
        assert len({row.name for row in table.rows}) == len(table.rows)
        assert all(target.value >= 0 for target in table.targets)
        for row in table.rows:
            assert row.median is None or 0 < (row.lowest or 0) <= row.median <= (row.highest or 0)
            assert row.cpu is None or row.cpu > 0
            assert row.median or row.cpu or row.figures
        json.dumps(dataclasses.asdict(table))
    assert any(table.targets for table in tables)


def test_imports_are_measured_in_processes_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two programs, the one that loads more says so."""
    monkeypatch.setattr(imports, "PROGRAMS", {name: imports.PROGRAMS[name] for name in (imports._GRPC, imports._DOOR, imports._READY)})
    monkeypatch.setattr(imports, "_OFFICIAL", imports._READY)
    (table,) = imports.run(1)
    modules = [row.figures["modules"] for row in table.rows]
    assert modules[1] < modules[0] < modules[2]


def test_every_name_has_a_module() -> None:
    """The names of the command line are those of modules that run."""
    for module in BENCHMARKS.values():
        assert (ROOT / "benchmarks" / f"{module}.py").is_file()


def test_the_command(tmp_path: Path) -> None:
    """`python -m benchmarks` prints its table, the README's on request, and writes JSON; an unknown name is said to be one."""
    file = tmp_path / "figures.json"
    command = [sys.executable, "-m", "benchmarks", "build", "--rounds", "1", "--json", str(file), "--markdown"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert "raw protobuf loop" in done.stdout
    assert "| build |" in done.stdout
    figures = json.loads(file.read_text())
    assert figures["machine"] == machine()
    assert figures["tables"][0]["benchmark"] == "build"
    wrong = subprocess.run([*command[:3], "biuld"], capture_output=True, text=True, check=False, cwd=ROOT)
    assert wrong.returncode == 2
    assert "there is no benchmark biuld" in wrong.stderr


def test_medians_ratios_and_targets() -> None:
    """A row has the median of its samples, its ratio to the first row, and a target knows whether it is met."""
    table = tabulate("t", {"slow": [Sample(4, 2), Sample(6, 4), Sample(5, 3)], "fast": [Sample(1, 1, {"calls": 2.0})]})
    assert table.rows[0] == Row("slow", 5, 4, 6, 1.0, 3, 1.0, {}, [4, 6, 5], [2, 4, 3])
    assert table.rows[1] == Row("fast", 1, 1, 1, 0.2, 1, 1 / 3, {"calls": 2.0}, [1], [1])
    table.aim("fast ÷ slow", "fast", "slow", at_most=0.3)
    table.aim("slow ÷ fast", "fast", "slow", at_least=3)
    table.aim("wall", "fast", "slow", at_most=0.2, wall=True)
    assert [(target.met, target.bound) for target in table.targets] == [(False, "≤ 0.3"), (True, "≥ 3"), (True, "≤ 0.2")]


def test_ratios_are_those_within_a_round() -> None:
    """A round in which the machine was slow for both changes no ratio."""
    table = tabulate("t", {"a": [Sample(1, 1), Sample(9, 9), Sample(2, 2)], "b": [Sample(2, 2), Sample(18, 18), Sample(1, 1)]})
    assert (table.rows[1].ratio, table.rows[1].cpu_ratio) == (2, 2)
    table.aim("b ÷ a", "b", "a", at_most=2)
    table.aim("a ÷ b", "a", "b", at_least=2)
    assert [target.value for target in table.targets] == [2, 2]


def test_contenders_take_turns() -> None:
    """Each round has every contender once; the first round does not count."""
    order: list[str] = []
    table = compare("t", {"a": lambda: order.append("a"), "b": lambda: order.append("b")}, 2, repeat=2)
    assert order == ["a", "a", "b", "b"] * 3
    assert [row.name for row in table.rows] == ["a", "b"]


def test_readme_between_its_marks(tmp_path: Path) -> None:
    """The table replaces what stands between two marks, and nothing else; without them the file is left alone."""
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- benchmarks -->\nold\n<!-- benchmarks -->\nafter\n")
    table = tabulate("t", {"a": [Sample(1, 1)], "b": [Sample(1, 2)]})
    table.aim("a ÷ b", "a", "b", at_most=1)
    update_readme(readme, markdown([("build", table)]))
    text = readme.read_text()
    assert text.startswith("before\n<!-- benchmarks -->\n")
    assert text.endswith("<!-- benchmarks -->\nafter\n")
    assert "| build | a ÷ b | 0.50 | ≤ 1 | reached |" in text
    assert "old" not in text
    (tmp_path / "other.md").write_text("nothing")
    with pytest.raises(SystemExit, match="must hold"):
        update_readme(tmp_path / "other.md", "")
