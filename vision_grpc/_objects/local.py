"""Objects that are files of this machine. Knows the file system, and nothing of what the bytes mean."""

import errno
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from vision_grpc._objects.object import ObjectInfo, short, split_uri

_NAME_BYTES = 1024  # https://cloud.google.com/storage/docs/objects#naming
_PART_BYTES = 255  # what ext4, XFS, APFS and NTFS hold in one path component
_UNFINISHED = re.compile(r"\.vision-grpc-[0-9a-f]{16}\.tmp")


class LocalFiles:
    """The files of this machine, named by path. Nothing is refused: the paths are the caller's own."""

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        folder, start = _split(prefix)
        return _walk(folder, Path(folder or "."), start, None)

    def read(self, uri: str) -> bytes:
        return _read(Path(uri), uri)

    def write(self, uri: str, data: bytes, content_type: str = "application/octet-stream") -> None:
        _write(Path(uri), BytesIO(data))

    def write_file(self, uri: str, path: Path, content_type: str = "application/octet-stream") -> None:
        with path.open("rb") as file:
            _write(Path(uri), file)

    def exists(self, uri: str) -> bool:
        return Path(uri).is_file()

    def size(self, uri: str) -> int:
        return _stat(Path(uri), uri).st_size


class LocalObjects:
    """gs:// URIs served from local directories, one for each bucket.

    A name that is empty, absolute, holds ``.``, ``..``, ``//`` or NUL, is longer than Cloud Storage allows, or reaches a place
    outside its bucket through a symbolic link, is refused with PermissionError. Links to directories are not followed in
    listings, and links that lead out of the bucket are not listed.

    Args:
        buckets: the directory of each bucket name. A directory that does not exist yet is made by the first write.
    """

    def __init__(self, buckets: Mapping[str, str | Path]) -> None:
        self._roots = {bucket: Path(directory).resolve() for bucket, directory in buckets.items()}

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        bucket, name = split_uri(prefix)
        root = self._root(bucket)
        folder, start = _split(name)
        if folder:
            self._path(f"gs://{bucket}/{folder[:-1]}")
        return _walk(f"gs://{bucket}/{folder}", root / folder, start, root)

    def read(self, uri: str) -> bytes:
        return _read(self._path(uri), uri)

    def write(self, uri: str, data: bytes, content_type: str = "application/octet-stream") -> None:
        _write(self._path(uri), BytesIO(data))

    def write_file(self, uri: str, path: Path, content_type: str = "application/octet-stream") -> None:
        with path.open("rb") as file:
            _write(self._path(uri), file)

    def exists(self, uri: str) -> bool:
        return self._path(uri).is_file()

    def size(self, uri: str) -> int:
        return _stat(self._path(uri), uri).st_size

    def _root(self, bucket: str) -> Path:
        try:
            return self._roots[bucket]
        except KeyError:
            raise FileNotFoundError(f"There is no bucket {bucket!r}; the known ones are {sorted(self._roots)}.") from None

    def _path(self, uri: str) -> Path:
        bucket, name = split_uri(uri)
        root = self._root(bucket)
        if reason := _unusable(name):
            raise PermissionError(f"{short(uri)} is refused: {reason}.")
        path = root / name
        try:
            # The parent is resolved too because a write replaces a link at the end of the path instead of following it.
            inside = path.resolve().is_relative_to(root) and path.parent.resolve().is_relative_to(root)
        except RuntimeError:
            # Python before 3.13; later ones leave it to the system's own error.
            raise PermissionError(f"{uri} is refused: its symbolic links lead round in a circle.") from None
        if not inside:
            raise PermissionError(f"{uri} is refused: it leaves its bucket through a symbolic link.")
        return path


def _unusable(name: str) -> str | None:
    """Says why a local bucket cannot hold an object of that name; None where it can."""
    try:
        parts = [part.encode() for part in name.split("/")]
    except UnicodeEncodeError:
        return "the name is not valid Unicode"
    if not name:
        return "it names a bucket and no object"
    if len(name.encode()) > _NAME_BYTES or any(len(part) > _PART_BYTES for part in parts):
        return f"a name has at most {_NAME_BYTES} bytes, and {_PART_BYTES} between two slashes"
    if b"" in parts or b"." in parts or b".." in parts:
        return "an empty part, '.' or '..' in the name could lead out of its bucket"
    if "\0" in name:
        return "the name holds a NUL character"
    if _UNFINISHED.fullmatch(name.rpartition("/")[2]):
        return "such names are kept for unfinished writes"
    return None


def _split(prefix: str) -> tuple[str, str]:
    cut = prefix.rfind("/") + 1
    return prefix[:cut], prefix[cut:]


def _walk(prefix: str, directory: Path, start: str, root: Path | None) -> Iterator[ObjectInfo]:
    """Yields the files below directory whose path there begins with start; inside root, only what a bucket may hold."""
    try:
        with os.scandir(directory) as entries:
            found = [entry for entry in entries if entry.name.startswith(start)]
    except (FileNotFoundError, NotADirectoryError):
        return
    # With its slash, a directory sorts where its objects' names do: "a-1" before "a/2".
    named = sorted((entry.name + "/" if entry.is_dir(follow_symlinks=False) else entry.name, entry) for entry in found)
    for name, entry in named:
        if name.endswith("/"):
            yield from _walk(prefix + name, Path(entry.path), "", root)
        elif _listed(entry, root):
            yield ObjectInfo(prefix + name, entry.stat().st_size)


def _listed(entry: os.DirEntry[str], root: Path | None) -> bool:
    if _UNFINISHED.fullmatch(entry.name) or not _is_file(entry):
        return False
    if root is None:
        return True
    if entry.is_symlink() and not Path(entry.path).resolve().is_relative_to(root):
        return False
    return _unusable(entry.name) is None


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError as error:
        # A link that leads round in a circle is no file, as one that leads nowhere.
        if error.errno == errno.ELOOP:
            return False
        raise


def _stat(path: Path, uri: str) -> os.stat_result:
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(f"{uri} does not exist.") from None
    # Opening a pipe or a device would block; a directory is no object.
    if not stat.S_ISREG(status.st_mode):
        raise FileNotFoundError(f"{uri} is not a file.")
    return status


def _read(path: Path, uri: str) -> bytes:
    _stat(path, uri)
    return path.read_bytes()


def _write(path: Path, source: BinaryIO) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.parent / f".vision-grpc-{secrets.token_hex(8)}.tmp"
    try:
        with unfinished.open("xb") as file:
            shutil.copyfileobj(source, file)
            file.flush()
            # Without it a crash of the machine could leave the new name with no bytes.
            os.fsync(file.fileno())
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
