"""A ledger read, also while a job writes it and without disturbing that job."""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

from vision_grpc._ledger.file import damaged, in_words, open_reader
from vision_grpc._ledger.part import Kind, Part
from vision_grpc._ledger.rows import COLUMNS, Failure, Row, State, Tally, row_of
from vision_grpc.errors import LedgerError

_QUALIFIED = ", ".join(f"requests.{name}" for name in COLUMNS.split(", "))


class LedgerReader:
    """Reads a ledger, also while a job writes it, without disturbing that job. Close it, or use it as a context manager.

    In a folder that may not be written to, a ledger that no job has open is read as it stands at that moment: open another reader
    to see what came later.

    Raises:
        LedgerError: There is no ledger at `path`, or it cannot be read.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._database: sqlite3.Connection | None = open_reader(self.path)
        try:
            self._check_sense()
        except BaseException:
            self.close()
            raise

    @property
    def job(self) -> str:
        """The job's ID, which its output prefixes contain."""
        return str(self._meta("job"))

    @property
    def settings(self) -> dict[str, str]:
        """What the job was begun with, each value as its JSON."""
        loaded: dict[str, str] = json.loads(str(self._meta("settings")))
        return loaded

    @property
    def total(self) -> int | None:
        """The images of the job; None before the inputs were read to their end."""
        return self._meta("total")  # type: ignore[return-value]

    @property
    def begun(self) -> float:
        """When the job was begun, in Unix seconds."""
        return float(self._meta("begun"))  # type: ignore[arg-type]

    @property
    def last_operation(self) -> str | None:
        """The name of one of the job's operations; None before the service accepted any request."""
        found = self._query("SELECT operation FROM requests WHERE operation IS NOT NULL LIMIT 1")
        return found[0][0] if found else None

    def own_operations(self, names: Iterable[str]) -> set[str]:
        """Those of these operations that are the job's."""
        sql = "SELECT operation FROM requests WHERE operation IN (SELECT value FROM json_each(?))"
        return {operation for (operation,) in self._query(sql, (json.dumps(list(names)),))}

    def planned_images(self) -> int:
        """The images of the inputs that were read, whatever became of them."""
        return int(self._one("SELECT coalesce(sum(images), 0) FROM requests WHERE parent IS NULL", ())[0])

    def rows(self, *states: State, limit: int = -1, skip: Sequence[int] = ()) -> list[Row]:
        """The requests in these states, ordered by their first image."""
        return [
            row_of(found)
            for found in self._query(
                f"SELECT {COLUMNS} FROM requests WHERE state IN (SELECT value FROM json_each(?))"
                " AND number NOT IN (SELECT value FROM json_each(?)) ORDER BY first, number LIMIT ?",
                (json.dumps(states), json.dumps(list(skip)), limit),
            )
        ]

    def row(self, number: int) -> Row:
        return row_of(self._one(f"SELECT {COLUMNS} FROM requests WHERE number = ?", (number,)))

    def head(self, after: int) -> Row | None:
        """The uncollected request with the lowest first image after that index, of those that no other request's results wait for."""
        found = self._query(
            f"SELECT {_QUALIFIED} FROM requests LEFT JOIN requests AS parents ON requests.parent = parents.number"
            " WHERE requests.first > ? AND requests.state <> ? AND (requests.parent IS NULL OR parents.state = ?)"
            " ORDER BY requests.first LIMIT 1",
            (after, State.COLLECTED, State.COLLECTED),
        )
        return row_of(found[0]) if found else None

    def child(self, number: int) -> Row | None:
        """The request that sends images of this one again."""
        found = self._query(f"SELECT {COLUMNS} FROM requests WHERE parent = ?", (number,))
        return row_of(found[0]) if found else None

    def part(self, number: int) -> Part:
        """The request's images."""
        first, images, kind, digest, packed, places = self._one(
            "SELECT first, images, kind, digest, packed, places FROM requests JOIN parts USING (number) WHERE number = ?", (number,)
        )
        if kind not in list(Kind):
            raise LedgerError(damaged(self.path, f"request {number} holds images of a kind {kind} that there is not"))
        return Part(first, images, Kind(kind), digest, packed, places)

    def root_at(self, image: int) -> tuple[Row, bytes] | None:
        """The first request that holds the image, and the digest of its images; None where it is not planned yet."""
        found = self._query(
            f"SELECT {_QUALIFIED}, digest FROM requests JOIN parts USING (number)"
            " WHERE number = (SELECT number FROM requests WHERE parent IS NULL AND first <= ? ORDER BY first DESC LIMIT 1)",
            (image,),
        )
        if not found or image >= found[0][4] + found[0][5]:
            return None
        return row_of(found[0][:-1]), found[0][-1]

    def tallies(self) -> list[Tally]:
        return [
            Tally(State(state), *sums)
            for state, *sums in self._query(
                "SELECT state, attempt, count(*), sum(images), sum(ok), sum(failed),"
                " sum(CASE WHEN sent IS NULL THEN 0 ELSE images END), sum(cost) FROM requests GROUP BY state, attempt",
            )
        ]

    def ended_since(self, moment: float) -> int:
        """Images whose request ended at the service since that moment, in Unix seconds."""
        return self._one("SELECT coalesce(sum(images), 0) FROM requests WHERE ended >= ?", (moment,))[0]  # type: ignore[no-any-return]

    def failures(self) -> Iterator[Failure]:
        """Every failure of an image that was recorded, by request."""
        for number, attempt, packed in self._query(
            "SELECT number, attempt, failures FROM requests WHERE failures IS NOT NULL ORDER BY number"
        ):
            yield from self._unpacked(number, attempt, packed)

    def history(self, image: int) -> list[Failure]:
        """What went wrong with one image, attempt by attempt; empty where nothing did."""
        root = self.root_at(image)
        row = root[0] if root else None
        found: list[Failure] = []
        while row is not None:
            packed = self._one("SELECT failures FROM requests WHERE number = ?", (row.number,))[0]
            found += [failure for failure in self._unpacked(row.number, row.attempt, packed) if failure.index == image]
            row = self.child(row.number)
        return found

    def close(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _check_sense(self) -> None:
        """Raises LedgerError where SQLite finds nothing wrong, but no ledger says such things; who reads on need not expect them."""
        meta = dict(self._query("SELECT key, value FROM meta"))
        try:
            str(meta["job"]), float(meta["begun"]), int(meta["writes"]), int(meta.get("total", 0))
            for value in json.loads(meta["settings"]).values():
                json.loads(value)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise LedgerError(damaged(self.path, f"what it says of its job makes no sense: {error!r}")) from error
        odd = self._query(
            "SELECT number FROM requests WHERE state NOT IN (SELECT value FROM json_each(?)) OR (state = ? AND operation IS NULL) LIMIT 1",
            (json.dumps(list(State)), State.RUNNING),
        )
        if odd:
            raise LedgerError(damaged(self.path, f"request {odd[0][0]} is in a state that there is not"))

    def _unpacked(self, number: int, attempt: int, packed: bytes | None) -> list[Failure]:
        try:
            rows = json.loads(zlib.decompress(packed)) if packed else ()
            return [Failure(index, number, attempt, code, message, bool(again)) for index, code, message, again in rows]
        except (zlib.error, TypeError, ValueError) as error:
            raise LedgerError(damaged(self.path, f"the failures of request {number} cannot be read: {error}")) from error

    def _meta(self, key: str) -> object:
        found = self._query("SELECT value FROM meta WHERE key = ?", (key,))
        return found[0][0] if found else None

    def _query(self, sql: str, values: Sequence[object] = ()) -> list[Any]:
        if self._database is None:
            raise LedgerError(f"the ledger {self.path} is closed")
        with in_words(self.path):
            return self._database.execute(sql, values).fetchall()

    def _one(self, sql: str, values: Sequence[object]) -> Any:
        found = self._query(sql, values)
        if not found:
            raise LedgerError(damaged(self.path, f"it lacks the row {values[0]}"))
        return found[0]
