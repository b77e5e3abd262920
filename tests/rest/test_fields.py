"""The fields parameter: its grammar, its names, what it leaves."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vision_grpc import v1  # noqa: F401  (fills the pool)
from vision_grpc._gen import POOL
from vision_grpc.emulator.refusal import Refused
from vision_grpc.emulator.rest.fields import select, selection

OPERATIONS = POOL.FindMessageTypeByName("google.longrunning.ListOperationsResponse")
LISTING = {
    "operations": [
        {"name": "a", "metadata": {"@type": "t", "state": "DONE"}, "done": True, "response": {"x": 1}},
        {"name": "b", "metadata": {"@type": "t", "state": "RUNNING"}},
    ],
    "nextPageToken": "p",
}


@pytest.mark.parametrize(
    ("fields", "left"),
    [
        ("", LISTING),
        ("*", LISTING),
        ("nextPageToken", {"nextPageToken": "p"}),
        ("next_page_token", {"nextPageToken": "p"}),
        ("operations/name", {"operations": [{"name": "a"}, {"name": "b"}]}),
        ("operations.name", {"operations": [{"name": "a"}, {"name": "b"}]}),
        ("operations(name,done)", {"operations": [{"name": "a", "done": True}, {"name": "b"}]}),
        ("operations/metadata(state)", {"operations": [{"metadata": {"state": "DONE"}}, {"metadata": {"state": "RUNNING"}}]}),
        ("operations/response", {"operations": [{"response": {"x": 1}}, {}]}),
        ("operations/name,operations/done", {"operations": [{"name": "a", "done": True}, {"name": "b"}]}),
        ("operations/name, operations", {"operations": LISTING["operations"]}),
        ("*/name", {"operations": [{"name": "a"}, {"name": "b"}], "nextPageToken": "p"}),
        ("unreachable", {}),
    ],
)
def test_selection(fields: str, left: Any) -> None:
    """Commas, slashes, dots, parentheses and asterisks mean what they mean at Google; JSON and proto names both count."""
    assert select(selection(fields, OPERATIONS), LISTING) == left


def test_maps_are_open() -> None:
    """The keys of a map are not known beforehand, and not refused."""
    tree = selection("labels/team", POOL.FindMessageTypeByName("google.cloud.vision.v1.AsyncBatchAnnotateImagesRequest"))
    assert select(tree, {"labels": {"team": "a", "other": "b"}}) == {"labels": {"team": "a"}}


@pytest.mark.parametrize("fields", ["nope", "operations/nope", "nextPageToken/x", "operations(name(x))"])
def test_unknown_names(fields: str) -> None:
    """A name that the reply has not is refused by name."""
    with pytest.raises(Refused, match=r"Invalid field selection '(nope|x)'"):
        selection(fields, OPERATIONS)


@pytest.mark.parametrize("fields", [",", "a,", "a(", "a)", "(a)", "a//b", "a b", "a;b", "(" * 5000, "a(" * 40 + ")" * 40, "a/" * 40 + "a"])
def test_malformed(fields: str) -> None:
    """What is no selection is refused as a whole, however deep it goes."""
    with pytest.raises(Refused, match="is malformed"):
        selection(fields, OPERATIONS)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(alphabet="ab*/.,()\u00e9 $@-", max_size=40))
def test_any_text_is_taken_or_refused(fields: str) -> None:
    """No text gets past the parser as anything but a tree or a refusal."""
    try:
        tree = selection(fields, POOL.FindMessageTypeByName("google.cloud.vision.v1.AnnotateImageResponse"))
    except Refused:
        return
    assert select(tree, {"error": {"code": 1}}) in ({"error": {"code": 1}}, {"error": {}}, {})
