"""Any number of gs:// URIs that lie in a temporary file, not in memory."""

from __future__ import annotations

import contextlib
import sqlite3
import weakref
from collections.abc import Callable, Iterable, Iterator
from itertools import count


class Uris:
    """URIs in the order in which they first came, each once; they may be read again and again, by any thread.

    Their file, which takes twice to three times their bytes, goes with this object. It lies where SQLITE_TMPDIR or TMPDIR says, or
    in /var/tmp.

    Attributes:
        repeated: How many came again, and were left out.

    Raises:
        OSError: The disk has no room for them, or failed.
    """

    def __init__(self, uris: Iterable[str]) -> None:
        with _in_words():
            self._database = _temporary("CREATE TABLE uris (place INTEGER PRIMARY KEY, uri TEXT NOT NULL UNIQUE) STRICT")
            weakref.finalize(self, self._database.close)
            given = count()
            rows = ((uri,) for uri, _ in zip(uris, given, strict=False))
            self._database.executemany("INSERT OR IGNORE INTO uris (uri) VALUES (?)", rows)
            self._count: int = self._database.execute("SELECT coalesce(max(place), 0) FROM uris").fetchone()[0]
            self.repeated = next(given) - self._count

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[str]:
        with _in_words():
            for (uri,) in self._database.execute("SELECT uri FROM uris ORDER BY place"):
                yield uri


def in_order(uris: Iterable[str], rank: Callable[[str], str]) -> Iterator[str]:
    """The URIs sorted by their rank, and by themselves where that is the same. They lie in a file meanwhile, too.

    Raises:
        OSError: The disk has no room for them, or failed.
    """
    with _in_words(), contextlib.closing(_temporary("CREATE TABLE uris (rank TEXT NOT NULL, uri TEXT NOT NULL) STRICT")) as database:
        database.executemany("INSERT INTO uris VALUES (?, ?)", ((rank(uri), uri) for uri in uris))
        for (uri,) in database.execute("SELECT uri FROM uris ORDER BY rank, uri"):
            yield uri


def _temporary(schema: str) -> sqlite3.Connection:
    """A database in a file without a name, which goes when it is closed. All that is done is one transaction, never committed."""
    database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
    for statement in ("PRAGMA journal_mode=OFF", schema, "BEGIN"):
        database.execute(statement)
    return database


@contextlib.contextmanager
def _in_words() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise OSError(f"the list of URIs cannot be kept in a temporary file: {error}; name a roomy folder in TMPDIR") from error
