"""The ledger's file: made, opened, checked, and SQLite's failures put into words. Knows nothing of what the rows mean."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

from vision_grpc._objects.whole_file import sync_folder
from vision_grpc.errors import LedgerError

APPLICATION_ID = 0x5647_4C31  # "VGL1": how file(1) and we tell a ledger from any other SQLite file
VERSION = 1

Statement = tuple[str, Sequence[object]]


@contextlib.contextmanager
def in_words(path: Path) -> Iterator[None]:
    """Turns SQLite's errors into LedgerErrors."""
    try:
        yield
    except sqlite3.Error as error:
        name = getattr(error, "sqlite_errorname", "")
        if name == "SQLITE_ERROR":
            # Our statements are right: what they name is not there.
            words = damaged(path, str(error))
        elif name == "SQLITE_FULL":
            words = f"no space is left for the ledger {path}: make room and resume, nothing that was written is lost"
        elif name.startswith("SQLITE_CORRUPT") or name == "SQLITE_NOTADB":
            words = damaged(path, str(error))
        elif name.startswith("SQLITE_IOERR"):
            words = f"the disk failed under the ledger {path} ({error}): what was written before stands; resume when the disk works"
        elif name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN")):
            words = f"the ledger {path} cannot be opened for writing ({error}): check its folder and permissions"
        elif name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            words = f"another program holds the ledger {path} locked ({error}): end it and resume"
        else:
            words = f"the ledger {path} cannot be used: {error}"
        raise LedgerError(words) from error


def damaged(path: Path, why: str) -> str:
    return (
        f"the ledger {path} is damaged ({why}): restore it from a copy; it was not changed. "
        "Starting over with a new ledger would send, and pay, what is running or done again"
    )


def create(path: Path, statements: Sequence[Statement]) -> None:
    """Makes the file, whole or not at all: under another name first, so that an empty or half-made one is never taken for a ledger."""
    beside = Path(f"{path}-wal")
    if beside.exists():
        raise LedgerError(f"{beside} lies there without {path}, whose last writes it holds: put {path.name} back, or remove it")
    unfinished = Path(f"{path}.new-{os.getpid()}")
    try:
        with in_words(path):
            database = sqlite3.connect(unfinished, isolation_level=None)
            try:
                database.execute("PRAGMA synchronous=FULL")
                database.execute("BEGIN")
                for sql, values in statements:
                    database.execute(sql, values)
                database.execute(f"PRAGMA application_id={APPLICATION_ID}")
                database.execute(f"PRAGMA user_version={VERSION}")
                database.execute("COMMIT")
            finally:
                database.close()
        try:
            unfinished.replace(path)
        except OSError as error:
            raise LedgerError(f"the ledger {path} cannot be made: {error.strerror}") from error
        # Without it a power cut could take the new name away.
        sync_folder(path.parent)
    finally:
        unfinished.unlink(missing_ok=True)


def check_header(path: Path) -> None:
    """Raises LedgerError unless the file begins as an SQLite file does, and is as long as that says; nothing is changed."""
    try:
        with path.open("rb") as file:
            head = file.read(32)
            size = os.fstat(file.fileno()).st_size
    except OSError as error:
        raise LedgerError(f"the ledger {path} cannot be read: {error.strerror}") from error
    if not head:
        raise LedgerError(f"{path} is empty, and no ledger ever is: restore it, or, if it never was one, remove it or name another file")
    if head[:16] != b"SQLite format 3\0" or len(head) < 32:
        raise LedgerError(f"{path} is not a ledger, and was not changed: name another file")
    wal = Path(f"{path}-wal")
    if wal.exists() and wal.stat().st_size:
        return  # the file may be in the middle of taking over what lies there
    # https://sqlite.org/fileformat2.html: SQLite itself reads what is missing at the end as zeros.
    page = int.from_bytes(head[16:18], "big")
    expected = (65536 if page == 1 else page) * int.from_bytes(head[28:32], "big")
    if size < expected:
        raise LedgerError(damaged(path, f"{expected - size:,} bytes are missing at its end"))


def open_writer(path: Path) -> sqlite3.Connection:
    """A connection that may write; the whole file has been checked.

    Raises:
        LedgerError: The file is foreign, of another version, or damaged.
    """
    check_header(path)
    with in_words(path):
        # The caller uses it from one thread at a time, not always the one that opened it.
        database = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10.0)
        try:
            check_kind(path, database)
            for (finding,) in database.execute("PRAGMA quick_check(1)"):
                if finding != "ok":
                    raise LedgerError(damaged(path, finding.splitlines()[0]))
            database.execute("PRAGMA journal_mode=WAL")
            return database
        except BaseException:
            database.close()
            raise


def open_reader(path: Path) -> sqlite3.Connection:
    """A connection that only reads and takes no lock that a writer would feel.

    Raises:
        LedgerError: There is no ledger, or not one of this version.
    """
    if not path.exists():
        raise LedgerError(f"there is no ledger {path}")
    check_header(path)
    with in_words(path):
        try:
            return _connect_reader(path, "mode=ro")
        except sqlite3.OperationalError:
            # WAL keeps an index beside the file for readers too, and this folder may not be written to. Without -wal nobody writes
            # the ledger, and it can be read without an index.
            if Path(f"{path}-wal").exists():
                raise
            return _connect_reader(path, "mode=ro&immutable=1")


def _connect_reader(path: Path, how: str) -> sqlite3.Connection:
    database = sqlite3.connect(f"{path.absolute().as_uri()}?{how}", uri=True, isolation_level=None, timeout=10.0)
    try:
        check_kind(path, database)
    except BaseException:
        database.close()
        raise
    return database


def check_kind(path: Path, database: sqlite3.Connection) -> None:
    """Raises LedgerError unless it is a ledger of the version that this code reads."""
    if database.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise LedgerError(f"{path} is another program's SQLite file, not a ledger, and was not changed: name another file")
    version = database.execute("PRAGMA user_version").fetchone()[0]
    if version != VERSION:
        raise LedgerError(
            f"{path} is a ledger of version {version}, this package reads version {VERSION}: "
            "finish the job with the version of vision-grpc that began it"
        )
