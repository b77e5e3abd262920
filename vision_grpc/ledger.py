"""The crash-safe journal of a job: one SQLite file, written by one process at a time. It decides nothing and calls nobody.

One row is one request, which is sent at most once::

    planned ──> submitting ──> running ──> done | failed ──> collected
       ^            │    └───> unknown ───────^
       └────────────┘ the service refused it, or it never left this machine: provably not accepted

Two writes are on the disk before the job goes on (SQLite's synchronous=FULL): the intent, before the RPC, and the operation's
name, after it. What else a power cut takes can be found out or done again without cost. Images that are sent again make a new
row, whose `parent` is the row that failed them.
"""

from __future__ import annotations

import json
import logging
import secrets
import time
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from vision_grpc._ledger.file import Statement, create, in_words, open_writer
from vision_grpc._ledger.lock import WriterLock
from vision_grpc._ledger.part import Part
from vision_grpc._ledger.reader import LedgerReader
from vision_grpc._ledger.rows import SCHEMA, Failure, Row, State, Tally
from vision_grpc.errors import LedgerError

_log = logging.getLogger("vision_grpc.ledger")

__all__ = ["Failure", "Ledger", "LedgerReader", "Row", "State", "Tally"]


class Ledger(LedgerReader):
    """Writes a job's ledger. Nothing is opened before `begin`. Not safe for use by several threads at the same time.

    Args:
        path: The file. Beside it lie its lock and, while a job runs, SQLite's -wal and -shm; they belong together.
        clock: The time of day in Unix seconds; it is written down, and nothing is decided by it but the pace of a resume's first minute.

    Attributes:
        resumed: Whether `begin` found the file there.
    """

    def __init__(self, path: str | Path, *, clock: Callable[[], float] = time.time) -> None:
        self.path = Path(path)
        self.resumed = False
        self._clock = clock
        self._database = None
        self._lock: WriterLock | None = None
        self._writes = 0
        self._next = 1

    def begin(self, settings: Mapping[str, object]) -> None:
        """Opens the ledger, or makes it where there is none.

        Requests that were being sent when the last writer ended become `unknown`.

        Args:
            settings: All that decides what the requests mean; a ledger that was begun with other values is refused, unless it
                holds no request yet.

        Raises:
            LedgerError: Another process writes it; it is of other settings, damaged, foreign, or has lost writes.
        """
        if self._database is not None:
            raise LedgerError(f"{self.path} is already open for writing in this process: close that job first")
        wanted = {name: json.dumps(value, sort_keys=True, ensure_ascii=False) for name, value in settings.items()}
        self._lock = WriterLock(self.path)
        try:
            self.resumed = self.path.exists()
            if not self.resumed:
                meta = {"job": secrets.token_hex(8), "settings": json.dumps(wanted), "begun": self._clock(), "writes": 0}
                inserts: list[Statement] = [("INSERT INTO meta VALUES (?, ?)", item) for item in meta.items()]
                create(self.path, [*((sql, ()) for sql in SCHEMA), *inserts])
            self._database = open_writer(self.path)
            self._check_sense()
            self._writes = int(self._meta("writes"))  # type: ignore[call-overload]
            if self.resumed and self._lock.writes > self._writes:
                raise LedgerError(self._lost(self._lock.writes - self._writes))
            self._check_settings(wanted)
            self._lock.begin(self._writes)
            self._next = self._one("SELECT coalesce(max(number), 0) + 1 FROM requests", ())[0]
            facts = {"vision_ledger": str(self.path), "vision_job": self.job, "vision_writes": self._writes}
            _log.info("the ledger %s was %s", self.path, "opened" if self.resumed else "made", extra=facts)
            if interrupted := self.rows(State.SUBMITTING):
                _log.warning("%d requests were being sent when the job ended", len(interrupted), extra=facts)
                words = "the job ended while it was being sent"
                self._write([("UPDATE requests SET state = ?, error = ? WHERE state = ?", (State.UNKNOWN, words, State.SUBMITTING))])
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Folds the -wal file into the ledger, and lets the next writer in. May be called twice."""
        database, self._database = self._database, None
        try:
            if database is not None:
                with in_words(self.path):
                    database.close()
        finally:
            if self._lock is not None:
                self._lock.release()

    def sent_within(self, seconds: float) -> list[float]:
        """How many seconds ago each request of the last so many seconds was sent, in the order of the sending."""
        now = self._clock()
        found = self._query("SELECT sent FROM requests WHERE sent > ? ORDER BY sent", (now - seconds,))
        # Were the clock set back since, they would seem to be still to come.
        return [max(0.0, now - sent) for (sent,) in found]

    def plan(self, parts: Sequence[Part]) -> list[int]:
        """Adds requests to be sent; returns their numbers."""
        numbers = range(self._next, self._next + len(parts))
        self._write([statement for number, part in zip(numbers, parts, strict=True) for statement in _insertion(number, part, None, 1)])
        self._next += len(parts)
        return list(numbers)

    def plan_ends(self, images: int) -> None:
        """Notes that the inputs were read to their end, and how many images they are."""
        self._write([("INSERT INTO meta VALUES ('total', ?)", (images,))])

    def intend(self, number: int, cost: float) -> None:
        """Before the RPC: it is about to be sent. On the disk when this returns."""
        self._move(number, (State.PLANNED,), State.SUBMITTING, "sent = ?, cost = ?", (self._clock(), cost), durable=True)

    def accepted(self, number: int, operation: str) -> None:
        """After the RPC: the operation's name. On the disk when this returns."""
        self._move(number, (State.SUBMITTING, State.UNKNOWN), State.RUNNING, "operation = ?, error = NULL", (operation,), durable=True)

    def refused(self, number: int, error: str) -> None:
        """It was provably not accepted, and will be sent another time."""
        self._move(number, (State.SUBMITTING,), State.PLANNED, "sent = NULL, cost = 0, error = ?", (error,))

    def doubted(self, number: int, error: str) -> None:
        """Whether it was accepted, or what became of its operation, is not known."""
        self._move(number, (State.SUBMITTING, State.RUNNING, State.UNKNOWN), State.UNKNOWN, "error = ?", (error,))

    def ended(self, number: int, code: int | None = None, error: str | None = None) -> None:
        """Its operation has ended, with that error or well; or the service refused it for good."""
        state = State.DONE if code is None else State.FAILED
        before = (State.SUBMITTING, State.RUNNING, State.UNKNOWN)
        self._move(number, before, state, "ended = ?, code = ?, error = ?", (self._clock(), code, error))

    def plan_again(self, number: int, part: Part, *, attempt: int) -> int:
        """Adds a request for those images of `number` that shall be sent again; returns its number."""
        child = self._next
        self._write([*_insertion(child, part, number, attempt)])
        self._next += 1
        return child

    def absent(self, number: int, error: str) -> int:
        """It was proved never to have been accepted: its images become a new request, whose number is returned."""
        row, child = self.row(number), self._next
        assert row.state is State.UNKNOWN
        self._write(
            [
                ("UPDATE requests SET state = ?, ended = ?, cost = 0, sent = NULL, error = ? WHERE number = ?",
                 (State.COLLECTED, self._clock(), error, number)),
                *_insertion(child, self.part(number), number, row.attempt),
            ]
        )  # fmt: skip
        self._next += 1
        return child

    def collected(self, taken: Iterable[tuple[int, int, Sequence[Failure]]], again: Part | None = None) -> int | None:
        """The consumer has taken all that a request, or a request and those that sent its images again, brought.

        Args:
            taken: For each: its number, the images that it annotated, and its failures.
            again: Those images of the first that are to be sent again.

        Returns:
            The number of the new request, None without `again`.
        """
        statements: list[Statement] = []
        first = None
        for number, ok, failures in taken:
            first = first or number
            failed = sum(1 for failure in failures if not failure.again)
            statements.append(
                ("UPDATE requests SET state = ?, ok = ?, failed = ?, failures = ? WHERE number = ?",
                 (State.COLLECTED, ok, failed, _packed(failures), number))
            )  # fmt: skip
        child = None
        if again is not None and first is not None:
            child = self._next
            statements += _insertion(child, again, first, self.row(first).attempt + 1)
        self._write(statements)
        self._next += child is not None
        return child

    def _move(
        self, number: int, before: Sequence[State], after: State, sets: str, values: Sequence[object], *, durable: bool = False
    ) -> None:
        allowed = ", ".join(str(int(state)) for state in before)
        sql = f"UPDATE requests SET state = ?, {sets} WHERE number = ? AND state IN ({allowed})"
        self._write([(sql, (after, *values, number))], durable=durable, exactly=1)

    def _write(self, statements: Sequence[Statement], *, durable: bool = False, exactly: int | None = None) -> None:
        """The one place where the ledger is changed: all statements or none; durable ones are on the disk afterwards."""
        database = self._database
        assert database is not None
        with in_words(self.path):
            database.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
            database.execute("BEGIN IMMEDIATE")
            try:
                changed = sum(database.execute(sql, values).rowcount for sql, values in statements)
                if exactly is not None and changed != exactly:
                    raise LedgerError(
                        f"the ledger {self.path} was changed by another program: a request is not in the state it was left in"
                    )
                if durable:
                    database.execute("UPDATE meta SET value = ? WHERE key = 'writes'", (self._writes + 1,))
                database.execute("COMMIT")
            except BaseException:
                if database.in_transaction:
                    database.execute("ROLLBACK")
                raise
        if durable and self._lock is not None:
            self._writes += 1
            self._lock.note(self._writes)

    def _check_settings(self, wanted: Mapping[str, str]) -> None:
        begun = self.settings
        if begun != wanted and self.total is None and not self.planned_images():
            # A job that failed at its very first input has decided nothing yet.
            self._write([("UPDATE meta SET value = ? WHERE key = 'settings'", (json.dumps(wanted),))])
            return
        for name in sorted({*wanted, *begun}):
            if begun.get(name) != wanted.get(name):
                was, now = _short(begun.get(name)), _short(wanted.get(name))
                raise LedgerError(
                    f"the ledger {self.path} belongs to a job with other settings: {name} was {was} and is now {now}; "
                    "resume with the same settings, or name another ledger for another job"
                )

    def _lost(self, writes: int) -> str:
        return (
            f"the ledger {self.path} has lost its last {writes} durable writes: its -wal file was cut off or left behind, or an older "
            f"copy was put in its place; put the right files back, or, at the price that up to {writes} requests may be sent and paid "
            f"again, remove {self.path}.lock and resume"
        )


def _insertion(number: int, part: Part, parent: int | None, attempt: int) -> list[Statement]:
    return [
        ("INSERT INTO requests (number, parent, attempt, state, first, images) VALUES (?, ?, ?, ?, ?, ?)",
         (number, parent, attempt, State.PLANNED, part.first, part.images)),
        ("INSERT INTO parts VALUES (?, ?, ?, ?, ?)", (number, part.kind, part.digest, part.packed, part.places)),
    ]  # fmt: skip


def _packed(failures: Sequence[Failure]) -> bytes | None:
    if not failures:
        return None
    rows = [(failure.index, failure.code, failure.message, int(failure.again)) for failure in failures]
    return zlib.compress(json.dumps(rows, ensure_ascii=False).encode(errors="replace"))


def _short(value: str | None) -> str:
    if value is None:
        return "not set"
    return value if len(value) <= 80 else value[:80] + "…"
