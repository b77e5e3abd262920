"""Operations on disk, so that they outlive the server's process. One SQLite file; nothing here knows what a state means."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path


class Journal:
    """The operations of one server, in one file that it makes where there is none.

    Raises:
        OSError: the file cannot be opened, is something else, or another server has it.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._db = sqlite3.connect(path, isolation_level=None, timeout=0)
        except sqlite3.Error as error:
            raise _refusal(path, error) from error
        try:
            # Before anything is changed: a database of somebody else's is left as it is.
            if self._db.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name != 'operations'").fetchone():
                raise sqlite3.DatabaseError("it is another program's database")
            # A second server on this file would run every unfinished operation once more: the lock keeps it out.
            self._db.execute("PRAGMA locking_mode=EXCLUSIVE")
            # Losing the last instants at a power cut is fair for a development server; losing the file is not.
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.execute(
                "CREATE TABLE IF NOT EXISTS operations"
                " (number INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL, version TEXT NOT NULL, operation BLOB NOT NULL, request BLOB)"
            )
            self._db.executescript("BEGIN IMMEDIATE; COMMIT")
            # At once, so that a table of that name in somebody else's database, or a damaged file, is refused here as well.
            self._found = self._db.execute("SELECT number, version, operation, request FROM operations ORDER BY number").fetchall()
        except sqlite3.Error as error:
            self._db.close()
            raise _refusal(path, error) from error

    def load(self) -> Iterator[tuple[int, str, bytes, bytes | None]]:
        """Yields number, version, serialised operation, and serialised request of those not done, as they were at the opening."""
        found, self._found = self._found, []
        yield from found

    def save(self, number: int, operation_id: str, version: str, operation: bytes, request: bytes | None) -> None:
        self._db.execute(
            "INSERT INTO operations (number, id, version, operation, request) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (id) DO UPDATE SET operation = excluded.operation, request = excluded.request",
            (number, operation_id, version, operation, request),
        )

    def delete(self, operation_id: str) -> None:
        self._db.execute("DELETE FROM operations WHERE id = ?", (operation_id,))

    def close(self) -> None:
        self._db.close()


def _refusal(path: Path, error: sqlite3.Error) -> OSError:
    return OSError(f"{path} cannot hold the operations ({error}); name a new file, or one that this server wrote and no other has open.")
