"""What an object is, and what a place that holds objects can do. No I/O here."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable


@dataclass(frozen=True)
class ObjectInfo:
    """One object of a listing: its URI and its size in bytes."""

    uri: str
    size: int


class Objects(Protocol):
    """A place that holds whole objects. Every method may be called from several threads at once."""

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Yields the objects whose URI starts with prefix, ordered by name.

        prefix is a string prefix as in Cloud Storage, not only a folder: ``gs://b/run`` finds ``gs://b/run-1.json`` and
        ``gs://b/run/2.json``. A prefix under which nothing lies yields nothing; a missing bucket is FileNotFoundError.
        """
        ...

    def read(self, uri: str) -> bytes:
        """Returns the whole content of the object."""
        ...

    def write(self, uri: str, data: bytes, content_type: str = "application/octet-stream") -> None:
        """Stores data as the object, whole or not at all; an object that exists is replaced."""
        ...

    def exists(self, uri: str) -> bool:
        """Says whether the object exists."""
        ...

    def size(self, uri: str) -> int:
        """Returns the object's size in bytes."""
        ...


@runtime_checkable
class TakesFiles(Protocol):
    """A place that stores a file's content without taking the whole of it into memory, as those of this package do."""

    def write_file(self, uri: str, path: Path, content_type: str = "application/octet-stream") -> None:
        """As `Objects.write`, of the content of the file at path."""
        ...


def split_uri(uri: str) -> tuple[str, str]:
    """The bucket and the object's name in a gs:// URI. Raises PermissionError for anything else."""
    scheme, _, rest = uri.partition("://")
    bucket, _, name = rest.partition("/")
    if scheme != "gs" or not bucket:
        raise PermissionError(f"{short(uri)} is refused: it is not of the form gs://bucket/name.")
    return bucket, name


def short(uri: str) -> str:
    """The URI in quotes, cut where it is too long for a sentence."""
    return repr(uri if len(uri) <= 200 else uri[:200] + "…")
