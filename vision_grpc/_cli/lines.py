"""What became of each image, line by line, as it grows beside the ledger and as results.jsonl has it. Knows files, and no job."""

from __future__ import annotations

import os
import re
from array import array
from collections.abc import Iterator
from pathlib import Path

from vision_grpc._cli.summary import count
from vision_grpc.errors import LedgerError

_INDEX = re.compile(rb'\{"index": ?(\d{1,18})[,}]')
_NONE = -1


class Lines:
    """The lines as they come, in any order, each with its image's index: on the disk before the ledger says that they were taken.

    What a job hands out twice, around a crash, stands there twice; of each image the last line counts.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("a+b", buffering=0)
        # A line that a crash cut off was not taken: it comes again.
        self._file.truncate(_whole(path))

    def append(self, lines: list[bytes]) -> None:
        """Adds these lines, each with its line feed.

        Raises:
            OSError: The disk is full, for instance; it names the file.
        """
        data = memoryview(b"".join(lines))
        try:
            while data:
                data = data[self._file.write(data) :]
            os.fsync(self._file.fileno())
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(self._path)) from error

    def close(self) -> None:
        self._file.close()


def in_order(path: Path, images: int) -> Iterator[bytes]:
    """The line of each of so many images, in their order.

    Raises:
        LedgerError: An image has none.
    """
    with path.open("rb") as file:
        places = array("q", [_NONE]) * images
        place = found = 0
        for line in file:
            match = _INDEX.match(line)
            index = int(match[1]) if match else images
            if index < images and line.endswith(b"\n"):
                found += places[index] == _NONE
                places[index] = place
            place += len(line)
        if found != images:
            raise LedgerError(
                f"{path} should hold the results of {count(images, 'image')}, and holds {found:,}: it was changed since, and nothing "
                "was written; put it back, or read what the service wrote below --output"
            )
        for place in places:
            file.seek(place)
            yield file.readline()


def _whole(path: Path) -> int:
    """The bytes of the file up to the end of its last whole line."""
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        while end:
            start = max(0, end - 65536)
            file.seek(start)
            last = file.read(end - start).rfind(b"\n")
            if last >= 0:
                return start + last + 1
            end = start
    return 0
