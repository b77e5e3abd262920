"""docs/failures.md: every test that it names exists, and it leaves out no code and no failure's test."""

import ast
import re
from pathlib import Path

import grpc

HERE = Path(__file__).parent
PAGE = (HERE.parents[1] / "docs" / "failures.md").read_text()
FILES = {"c": HERE.parent / "test_client.py", "o": HERE / "test_official_client.py"}


def names_in(path: Path) -> set[str]:
    """The names of the tests in a file."""
    return {node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


def test_every_test_that_the_page_names_exists() -> None:
    """No row rests on a test that is gone."""
    named = set(re.findall(r"`([co])::(test_\w+)`", PAGE))
    assert named
    assert not {f"{letter}::{name}" for letter, name in named if name not in names_in(FILES[letter])}


def test_every_row_names_a_test() -> None:
    """Each failure's row ends in at least one test."""
    rows = [line for line in PAGE.partition("## By code")[0].splitlines() if line.startswith("| ")][1:]
    assert len(rows) > 15
    assert all("::test_" in row.split("|")[-2] for row in rows)


def test_every_code_has_a_row() -> None:
    """All 16 codes are there, in the order of their numbers."""
    rows = re.findall(r"^\| ([A-Z_]+) \|", PAGE, re.MULTILINE)
    assert rows == [code.name for code in sorted(grpc.StatusCode, key=lambda code: code.value[0]) if code is not grpc.StatusCode.OK]


def test_every_test_of_their_errors_is_on_the_page() -> None:
    """What was found out about google-cloud-vision's failures is told."""
    told = set(re.findall(r"`o::(test_\w+)`", PAGE))
    assert names_in(FILES["o"]) - told == {"test_submit_and_wait"}
