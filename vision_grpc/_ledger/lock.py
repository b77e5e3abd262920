"""One writer at a time: a lock file beside the ledger that also remembers how far the ledger's writes had come.

The operating system holds the lock and lets it go when the process ends, however it ends. The file itself stays. Its bytes say
who holds it, for the sentence that a second writer gets, and how many durable writes the ledger has seen: a ledger that knows
of fewer has lost some, with its -wal file for instance, and would send requests again that were sent already.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from pathlib import Path

from vision_grpc.errors import LedgerError

_WIDTH = 20
_held: set[str] = set()
_guard = threading.Lock()

if sys.platform == "win32":
    import msvcrt

    def _take(descriptor: int) -> None:
        os.lseek(descriptor, 1 << 30, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _take(descriptor: int) -> None:
        # Record locks are not inherited by a fork: a worker process that outlives the job does not keep the ledger from the next.
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 1 << 30, os.SEEK_SET)


class WriterLock:
    """The right to write the ledger at `path`, held until `release`.

    Attributes:
        writes: The durable writes that the ledger is known to have seen; 0 where the lock file is new.

    Raises:
        LedgerError: Another process, or another ledger of this one, holds it; the sentence says which.
    """

    def __init__(self, path: Path) -> None:
        self._name = os.path.realpath(path) + ".lock"
        with _guard:
            # The system's lock is the process's own, and would be lost with the first of two descriptors that is closed.
            if self._name in _held:
                raise LedgerError(f"{path} is already open for writing in this process: close that job first")
            try:
                self._descriptor = os.open(self._name, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o644)
            except OSError as error:
                raise LedgerError(f"{self._name} cannot be opened, which keeps two processes apart: {error.strerror}") from error
            try:
                _take(self._descriptor)
            except OSError as error:
                holder = self._read()[1] or "another process"
                os.close(self._descriptor)
                raise LedgerError(f"{path} is in use: {holder} writes it; wait for it to end, or look with --status") from error
            _held.add(self._name)
        self.writes = self._read()[0]
        self._owner = f"process {os.getpid()} on {socket.gethostname()}, since {time.strftime('%Y-%m-%d %H:%M:%S %z')}"

    def begin(self, writes: int) -> None:
        """Notes who holds the lock, and the ledger's durable writes as they are now."""
        line = f"{writes:0{_WIDTH}d} {self._owner}\n".encode()
        self._put(line)
        os.ftruncate(self._descriptor, len(line))
        self.writes = writes

    def note(self, writes: int) -> None:
        """Notes that the ledger has seen so many durable writes."""
        self._put(f"{writes:0{_WIDTH}d}".encode())
        self.writes = writes

    def release(self) -> None:
        with _guard:
            if self._name in _held:
                _held.discard(self._name)
                os.close(self._descriptor)

    def _read(self) -> tuple[int, str]:
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        text = os.read(self._descriptor, 400).decode(errors="replace")
        number, _, owner = text.partition(" ")
        return int(number) if number.isascii() and number.isdigit() else 0, owner.strip()

    def _put(self, data: bytes) -> None:
        # Overwriting bytes that exist needs no space: once the first line is written, a full disk does not get in the way here.
        # Of a write that came to a part only, the number that is left is too low, which accuses no ledger of a loss.
        try:
            os.lseek(self._descriptor, 0, os.SEEK_SET)
            while data:
                data = data[os.write(self._descriptor, data) :]
        except OSError as error:
            raise LedgerError(f"{self._name} cannot be written: {error.strerror}; make room, or repair the disk, and resume") from error
