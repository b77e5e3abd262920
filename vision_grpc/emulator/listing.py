"""What ListOperations lists: the parent, the filter, the page. No I/O here. The grammar and its messages are ours.

A filter is empty or conditions joined by AND. A condition compares with = or !=::

    done = true                 the operation has ended
    metadata.state = RUNNING    CREATED, RUNNING, DONE or CANCELLED
"""

import base64
import re
import zlib
from collections.abc import Callable

from vision_grpc.emulator.operations import Operation
from vision_grpc.emulator.refusal import invalid, shown

DEFAULT_PAGE, MAX_PAGE = 100, 1_000

_PARENT = re.compile(r"(?:projects/(?P<project>[^/]+))?/?(?:locations/(?P<location>[^/]+))?/?(?:operations)?/?")
_CONDITION = re.compile(r'\s*(done|metadata\.state)\s*(!?=)\s*"?([A-Za-z]+)"?\s*')
_VALUES = {"done": {"true", "false"}, "metadata.state": {"CREATED", "RUNNING", "DONE", "CANCELLED"}}

Predicate = Callable[[Operation], bool]


def parent_predicate(name: str) -> Predicate:
    """Returns what belongs to the parent: "operations" or nothing for all, projects/P, projects/P/locations/L."""
    match = _PARENT.fullmatch(name)
    if not match:
        raise invalid(f"name {shown(name)} is malformed: give operations, projects/PROJECT or projects/PROJECT/locations/LOCATION.")
    project, location = match["project"], match["location"]
    return lambda operation: project in (None, operation.project) and location in (None, "-", operation.location)


def filter_predicate(text: str) -> Predicate:
    """Returns what a filter selects; raises Refused for one outside the grammar above."""
    if not text.strip():
        return lambda operation: True
    conditions = [_condition(part, text) for part in re.split(r"\bAND\b", text)]
    return lambda operation: all(condition(operation) for condition in conditions)


def _condition(part: str, text: str) -> Predicate:
    match = _CONDITION.fullmatch(part)
    if not match or match[3] not in _VALUES[match[1]]:
        raise invalid(f'filter {shown(text)} is not understood: give "done = true|false", "metadata.state = STATE", != too, joined by AND.')
    field, equal, value = match[1], match[2] == "=", match[3]
    if field == "done":
        return lambda operation: (operation.done == (value == "true")) is equal
    return lambda operation: (operation.state == value) is equal


def page_size(asked: int) -> int:
    """Returns how many operations a page holds: 100 unless asked, at most 1,000."""
    if asked < 0:
        raise invalid(f"page_size is {asked}; give 0 or more.")
    return min(asked or DEFAULT_PAGE, MAX_PAGE)


def page_token(name: str, text: str, last: int) -> str:
    """Returns the token of the page after operation number ``last``. It is good for the same name and filter only."""
    return base64.urlsafe_b64encode(f"{_question(name, text)}.{last}".encode()).decode()


def page_start(name: str, text: str, token: str) -> int | None:
    """Returns the number that the operations of the page lie below, None for the first page."""
    if not token:
        return None
    try:
        question, last = base64.urlsafe_b64decode(token.encode("ascii")).decode("ascii").split(".")
        if int(question) == _question(name, text):
            return int(last)
    except (UnicodeError, ValueError):
        pass
    raise invalid("page_token is not one that this server gave for this name and filter.")


def _question(name: str, text: str) -> int:
    return zlib.crc32(f"{name}\0{text}".encode())
