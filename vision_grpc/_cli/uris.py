"""Any number of gs:// URIs that lie in a temporary file, not in memory."""

from __future__ import annotations

import contextlib
import sqlite3
import weakref
from collections.abc import Iterable, Iterator


class Uris:
    """URIs in the order in which they first came, each once; they may be read again and again, by any thread.

    Their file, which takes twice to three times their bytes, goes with this object. It lies where SQLITE_TMPDIR or TMPDIR says, or
    in /var/tmp.

    Raises:
        OSError: The disk has no room for them, or failed.
    """

    def __init__(self, uris: Iterable[str]) -> None:
        # No name is a file without a name.
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        weakref.finalize(self, self._database.close)
        with _in_words():
            self._database.execute("PRAGMA journal_mode=OFF")
            self._database.execute("CREATE TABLE uris (place INTEGER PRIMARY KEY, uri TEXT NOT NULL UNIQUE) STRICT")
            self._database.execute("BEGIN")
            self._database.executemany("INSERT OR IGNORE INTO uris (uri) VALUES (?)", ((uri,) for uri in uris))
            self._database.execute("COMMIT")
            self._count: int = self._database.execute("SELECT coalesce(max(place), 0) FROM uris").fetchone()[0]

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[str]:
        with _in_words():
            for (uri,) in self._database.execute("SELECT uri FROM uris ORDER BY place"):
                yield uri


@contextlib.contextmanager
def _in_words() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise OSError(f"the list of URIs cannot be kept in a temporary file: {error}; name a roomy folder in TMPDIR") from error
