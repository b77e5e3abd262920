"""What `submit` shall annotate: the pictures behind the words that a person typed."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from vision_grpc.errors import ConfigError
from vision_grpc.objects import LocalFiles, LocalObjects, ObjectInfo

SUFFIXES = frozenset({".bmp", ".gif", ".ico", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
"""What counts as a picture in a folder; a file that is named itself is taken whatever it is called."""

PICTURES = "gs://pictures/"
OUTPUT = "output"


@dataclass(frozen=True, slots=True)
class Inputs:
    """Images in order: the name that the user gave each, and the URI that the service reads it by.

    Attributes:
        names: As the user named them.
        uris: ``gs://…``, of the same length.
        local: The names are local files, which only the embedded server can read.
    """

    names: list[str] = field(default_factory=list)
    uris: list[str] = field(default_factory=list)
    local: bool = False

    def __len__(self) -> int:
        return len(self.names)


def collect(words: Iterable[str]) -> Inputs:
    """Pictures, folders (searched through, in natural order) or gs:// URIs, each taken once, in the order named.

    Raises:
        ConfigError: Something is neither, does not exist, holds no pictures, or local and gs:// names are mixed.
    """
    words = list(words)
    remote = [word for word in words if word.startswith("gs://")]
    if len(remote) == len(words):
        unique = list(dict.fromkeys(remote))
        return Inputs(unique, unique)
    if remote:
        other = next(word for word in words if not word.startswith("gs://"))
        raise ConfigError(
            f"{remote[0]} lies in Cloud Storage and {other} on this machine, and no one server reads both: "
            "run the command once for each kind"
        )
    names = list(dict.fromkeys(name for word in words for name in _pictures(word)))
    return Inputs(names, [_uri(number, name) for number, name in enumerate(names, 1)], local=True)


def _pictures(word: str) -> list[str]:
    if "://" in word:
        raise ConfigError(f"{word} is neither a gs:// URI nor a local path: download the picture, or copy it to gs://bucket/object")
    path = Path(word)
    if path.is_file():
        return [word]
    if not path.is_dir():
        raise ConfigError(f"{word} does not exist" if not path.exists() else f"{word} is neither a file nor a folder")
    found = [
        os.path.join(folder, name)  # noqa: PTH118 - keeps the user's own spelling of the folder
        for folder, folders, names in os.walk(word, onerror=_unreadable, followlinks=False)
        if _visible(folders)
        for name in names
        if not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES
    ]
    if not found:
        raise ConfigError(
            f"{word} holds no pictures ({', '.join(sorted(SUFFIXES))}): name the files themselves if they are called otherwise"
        )
    return sorted(found, key=_natural)


def _visible(folders: list[str]) -> bool:
    # os.walk goes only into the folders that are left in its list.
    folders[:] = [folder for folder in folders if not folder.startswith(".")]
    return True


def _unreadable(error: OSError) -> None:
    raise ConfigError(f"{error.filename} cannot be read: {error.strerror}") from error


def _natural(name: str) -> list[tuple[int, str]]:
    """photo2 before photo10."""
    return [(int(part), "") if part.isdecimal() else (-1, part.lower()) for part in re.split(r"(\d+)", name)]


def _uri(number: int, name: str) -> str:
    # File names may hold what object names may not; the number keeps two of the same name apart.
    return f"{PICTURES}{number:06d}-{re.sub(r'[^A-Za-z0-9._-]', '_', Path(name).name)[-80:]}"


class PictureObjects:
    """Objects for the embedded server: exactly the chosen pictures to read, and one folder to write to."""

    def __init__(self, inputs: Inputs, output: Path) -> None:
        self._paths = {uri: str(Path(name).absolute()) for name, uri in zip(inputs.names, inputs.uris, strict=True)}
        self._files = LocalFiles()
        self._output = LocalObjects({OUTPUT: output})

    def read(self, uri: str) -> bytes:
        path = self._paths.get(uri)
        return self._output.read(uri) if path is None else self._files.read(path)

    def size(self, uri: str) -> int:
        path = self._paths.get(uri)
        return self._output.size(uri) if path is None else self._files.size(path)

    def exists(self, uri: str) -> bool:
        path = self._paths.get(uri)
        return self._output.exists(uri) if path is None else self._files.exists(path)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        return self._output.list(prefix)

    def write(self, uri: str, data: bytes, content_type: str = "application/octet-stream") -> None:
        self._output.write(uri, data, content_type)
