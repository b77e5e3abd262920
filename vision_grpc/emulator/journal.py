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
        except sqlite3.Error as error:
            raise OSError(
                f"{path} cannot hold the operations ({error}); name a new file, or one that this server wrote and no other has open."
            ) from error

    def load(self) -> Iterator[tuple[str, bytes, bytes | None]]:
        """Yields version, serialised operation, and serialised request of those not done, in the order of creation."""
        yield from self._db.execute("SELECT version, operation, request FROM operations ORDER BY number")

    def save(self, operation_id: str, version: str, operation: bytes, request: bytes | None) -> None:
        self._db.execute(
            "INSERT INTO operations (id, version, operation, request) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (id) DO UPDATE SET operation = excluded.operation, request = excluded.request",
            (operation_id, version, operation, request),
        )

    def delete(self, operation_id: str) -> None:
        self._db.execute("DELETE FROM operations WHERE id = ?", (operation_id,))

    def close(self) -> None:
        self._db.close()
