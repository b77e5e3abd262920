"""What a ledger holds, as values: states, requests, failures, and the tables they lie in. No I/O here."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any


class State(enum.IntEnum):
    """Where a request stands."""

    PLANNED = 0
    SUBMITTING = 1
    RUNNING = 2
    DONE = 3
    FAILED = 4
    UNKNOWN = 5
    COLLECTED = 6


@dataclass(frozen=True, slots=True)
class Row:
    """One request. Times are Unix seconds; `code` is the gRPC code's number that ended it, None where it ended well or not yet.

    Attributes:
        parent: The request that failed these images before, None for their first.
        attempt: The how-manieth sending of these images this is, from 1.
        first: The job's index of the first image.
        operation: The operation's name, None where none was learned.
    """

    number: int
    parent: int | None
    attempt: int
    state: State
    first: int
    images: int
    operation: str | None
    sent: float | None
    ended: float | None
    code: int | None
    error: str | None
    cost: float


@dataclass(frozen=True, slots=True)
class Failure:
    """One image that one request did not annotate, or not without an error.

    Attributes:
        index: The image's index in the job.
        code: The gRPC code's number.
        again: The image was sent again for it; otherwise the failure was handed out as the image's result.
    """

    index: int
    request: int
    attempt: int
    code: int
    message: str
    again: bool


@dataclass(frozen=True, slots=True)
class Tally:
    """What the requests of one state and attempt sum up to."""

    state: State
    attempt: int
    requests: int
    images: int
    ok: int
    failed: int
    sent: int
    cost: float


COLUMNS = "number, parent, attempt, state, first, images, operation, sent, ended, code, error, cost"
SCHEMA = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID",
    "CREATE TABLE requests (number INTEGER PRIMARY KEY, parent INTEGER, attempt INTEGER NOT NULL, state INTEGER NOT NULL,"
    " first INTEGER NOT NULL, images INTEGER NOT NULL, operation TEXT, sent REAL, ended REAL, code INTEGER, error TEXT,"
    " ok INTEGER NOT NULL DEFAULT 0, failed INTEGER NOT NULL DEFAULT 0, cost REAL NOT NULL DEFAULT 0, failures BLOB) STRICT",
    "CREATE INDEX by_state ON requests (state, first)",
    "CREATE INDEX by_first ON requests (first)",
    "CREATE UNIQUE INDEX by_parent ON requests (parent) WHERE parent IS NOT NULL",
    "CREATE INDEX by_operation ON requests (operation) WHERE operation IS NOT NULL",
    # Apart from their rows, which are rewritten whole at every change of state.
    "CREATE TABLE parts (number INTEGER PRIMARY KEY, kind INTEGER NOT NULL, digest BLOB NOT NULL,"
    " packed BLOB NOT NULL, places BLOB NOT NULL) STRICT",
)


def row_of(found: tuple[Any, ...]) -> Row:
    """The Row of a tuple of COLUMNS."""
    number, parent, attempt, state, *others = found
    return Row(number, parent, attempt, State(state), *others)
