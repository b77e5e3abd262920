"""What `submit` shall annotate: the pictures behind the words that a person typed."""

from __future__ import annotations

import contextlib
import hashlib
import mimetypes
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from vision_grpc._cli.summary import count
from vision_grpc._cli.uris import Uris, in_order
from vision_grpc.errors import ConfigError
from vision_grpc.objects import LocalFiles, LocalObjects, ObjectInfo, Objects
from vision_grpc.requests import check_uri

SUFFIXES = frozenset({".bmp", ".gif", ".ico", ".jfif", ".jpe", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
"""What counts as a picture in a folder; a file that is named itself is taken whatever it is called."""

PICTURES = "gs://pictures/"

_PLAIN_SUFFIX = re.compile(r"\.[a-z0-9]{1,16}\Z")
_SHOWN = 200
_UPLOADS = 8
"""Pictures uploaded at the same time."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """Images in order: the URI that the service reads each by, and the name that the user gave it where that is another.

    Attributes:
        uris: ``gs://…``
        names: As the user named them, of the same length, or empty where the URIs are the names; bytes of a file name that are no
            UTF-8 are written out as ``\\xff``.
        local: The names are local files, which only the embedded server can read.
        paths: The path behind each name that is one of a local file, be it staged or not.
    """

    uris: Uris | Sequence[str] = ()
    names: Sequence[str] = ()
    local: bool = False
    paths: dict[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.uris)


def collect(words: Iterable[str], told: Callable[[str], object] = str) -> Inputs:
    """Pictures, folders (searched through, in natural order) or gs:// URIs, each taken once, in the order named.

    Pictures are named in memory, URIs are not: they may be more than it holds. `told` hears what was left out.

    Raises:
        ConfigError: Something is neither, does not exist, holds no pictures, or local and gs:// names are mixed.
        OSError: The URIs cannot be kept in a temporary file.
    """
    here: list[str] = []

    def remote() -> Iterator[str]:
        there = None
        for word in words:
            if not word.startswith("gs://"):
                here.append(word)
            elif there is None:
                there = word
            if there is not None and here:
                raise ConfigError(
                    f"{there} lies in Cloud Storage and {here[0]} on this machine, and no one server reads both: "
                    "run the command once for each kind, or upload the local ones with --stage gs://bucket/folder/"
                )
            if there is not None:
                yield word

    uris = Uris(remote())
    if uris.repeated:
        told(repeated(uris.repeated))
    if not here:
        return Inputs(uris)
    paths = named(pictures(here, told))
    return Inputs([_uri(number, path) for number, path in enumerate(paths.values(), 1)], list(paths), local=True, paths=paths)


def spelled(path: str) -> str:
    """The path in characters that any file and terminal can hold."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def named(paths: Iterable[str]) -> dict[str, str]:
    """The paths by the names that they go by; where two would go by one, the later has its backslashes doubled."""
    found: dict[str, str] = {}
    for path in paths:
        name = spelled(path)
        while name in found:
            name = name.replace("\\", "\\\\")
        found[name] = path
    return found


def pictures(words: Iterable[str], told: Callable[[str], object] = str) -> list[str]:
    """The local pictures that the words name, each once, in order. `told` hears what was left out."""
    found = [name for word in words for name in _pictures(word, told)]
    unique = list(dict.fromkeys(found))
    if len(unique) < len(found):
        told(repeated(len(found) - len(unique)))
    return unique


def repeated(names: int) -> str:
    """The words for so many names that came again."""
    return f"each image is taken once: {count(names, 'name')} came again, and {'is' if names == 1 else 'are'} left out"


def has_pattern(word: str) -> bool:
    """Whether `word` is a gs:// pattern (with ``*`` or ``?``) rather than one object's URI."""
    return word.startswith("gs://") and ("*" in word or "?" in word)


def expand(pattern: str, objects: Objects) -> Iterator[str]:
    """The URIs below a bucket that match: ``?`` and ``*`` stay within a folder, ``**`` does not. In natural order.

    Raises:
        ConfigError: The bucket's name is a pattern too, nothing matches, or something that the service cannot read.
        OSError: The bucket cannot be listed, or the URIs not be kept in a temporary file.
    """
    prefix = re.split(r"[*?]", pattern, maxsplit=1)[0]
    if prefix.count("/") < 3:
        raise ConfigError(f"{pattern}: only the object's name may be a pattern; name the bucket, as gs://bucket/**.jpg")
    signs = {"**": ".*", "*": "[^/]*", "?": "[^/]"}
    expression = "".join(signs.get(part) or re.escape(part) for part in re.split(r"(\*\*|\*|\?)", pattern))
    matches = re.compile(expression, re.DOTALL).fullmatch

    def found() -> Iterator[str]:
        for info in objects.list(prefix):
            if not info.uri.endswith("/") and matches(info.uri):
                check_uri(info.uri, pattern)
                yield info.uri

    nothing = True
    for uri in in_order(found(), _natural):
        nothing = False
        yield uri
    if nothing:
        raise ConfigError(f"{pattern} matches no object")


def stage(names: Sequence[str], prefix: str, objects: Objects, told: Callable[[], object] = lambda: None) -> tuple[list[str], int]:
    """Uploads local pictures below a gs:// prefix; returns their URIs, in order, and how many had to be uploaded.

    An object is named by its content, and by how its file's name ends where that is plain, so a picture that lies there already is
    not uploaded again.

    Raises:
        OSError: A picture cannot be read, or the prefix not be written to.
    """

    uploader: dict[str, str] = {}

    def upload(name: str) -> tuple[str, bool]:
        content = Path(name).read_bytes()
        uri = f"{prefix}{hashlib.sha256(content).hexdigest()[:32]}{''.join(_PLAIN_SUFFIX.findall(name.lower()))}"
        # Of two files of the same content the first uploads it.
        missing = uploader.setdefault(uri, name) == name and not objects.exists(uri)
        if missing:
            kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
            objects.write(uri, content, kind)
        told()
        return uri, missing

    with ThreadPoolExecutor(_UPLOADS) as pool:
        done = list(pool.map(upload, names))
    return [uri for uri, _ in done], sum(uploaded for _, uploaded in done)


def check_object(uri: str, where: str) -> None:
    """Raises a ConfigError unless `uri` names an object, and not what a person would take for a folder."""
    if uri.endswith("/"):
        raise ConfigError(f"{where}: {uri} is no image but a folder: give the pattern '{uri}**' as an input, for all that lies below it")
    check_uri(uri, where)


def is_picture(word: str) -> bool:
    """Whether the word names a file rather than a folder. Raises ConfigError where it names neither."""
    if not word:
        raise ConfigError("one of the inputs is empty: name a picture, a folder or a gs:// URI")
    if "://" in word:
        raise ConfigError(f"{word} is neither a gs:// URI nor a local path: download the picture, or copy it to gs://bucket/object")
    path = Path(word)
    try:
        if path.is_file() or path.is_dir():
            return path.is_file()
        missing = not path.exists()
    except OSError as error:
        raise ConfigError(f"{word if len(word) <= _SHOWN else word[:_SHOWN] + '…'} cannot be read: {error.strerror}") from error
    raise ConfigError(f"{word} does not exist" if missing else f"{word} is neither a file nor a folder")


def _pictures(word: str, told: Callable[[str], object]) -> list[str]:
    if is_picture(word):
        return [word]
    files = [
        os.path.join(folder, name)  # noqa: PTH118 - keeps the user's own spelling of the folder
        for folder, folders, names in os.walk(word, onerror=_unreadable, followlinks=False)
        if _visible(folders)
        for name in names
        if not name.startswith(".")
    ]
    found = [name for name in files if _suffix(name) in SUFFIXES]
    if not found:
        raise ConfigError(
            f"{word} holds no pictures ({', '.join(sorted(SUFFIXES))}): name the files themselves if they are called otherwise"
        )
    others = Counter(_suffix(name) for name in files if _suffix(name) not in SUFFIXES)
    if others:
        kinds = ", ".join(f"{number:,} {suffix or 'without an ending'}" for suffix, number in others.most_common(5))
        more = " …" if len(others) > 5 else ""
        told(spelled(f"{word}: passed over {count(others.total(), 'file')} not called as pictures are ({kinds}{more})"))
    return sorted(found, key=_natural)


def _suffix(name: str) -> str:
    return Path(name).suffix.lower()


def _visible(folders: list[str]) -> bool:
    # os.walk goes only into the folders that are left in its list.
    folders[:] = [folder for folder in folders if not folder.startswith(".")]
    return True


def _unreadable(error: OSError) -> None:
    raise ConfigError(f"{error.filename} cannot be read: {error.strerror}") from error


def _natural(name: str) -> str:
    """What sorts photo2 before photo10, whatever their case."""
    parts = re.split(r"(\d+)", name.lower())
    numbers = (str(int(digits)) for digits in parts[1::2])
    parts[1::2] = [f"{len(number):04d}{number}" for number in numbers]
    return "\0".join(parts)


def _uri(number: int, path: str) -> str:
    """The URI of a local picture, which is another one for another file and for a file that was changed: jobs are told apart by it."""
    known = os.fsencode(Path(path).absolute())
    with contextlib.suppress(OSError):
        status = Path(path).stat()
        known += f"\0{status.st_size} {status.st_mtime_ns}".encode()
    # File names may hold what object names may not.
    return f"{PICTURES}{number:06d}-{_digest(known)}-{re.sub(r'[^A-Za-z0-9._-]', '_', Path(path).name)[-80:]}"


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=4).hexdigest()


class PictureObjects:
    """Objects for the embedded server: exactly the chosen pictures to read, and one folder to write to.

    Attributes:
        destination: The URI of that folder, another one for another folder.
        unwritable: Why something could not be written there, the first time; None where all was.
    """

    def __init__(self, inputs: Inputs, output: Path) -> None:
        self._paths = {uri: str(Path(inputs.paths[name]).absolute()) for name, uri in zip(inputs.names, inputs.uris, strict=True)}
        self._files = LocalFiles()
        bucket = f"output-{_digest(os.fsencode(os.path.realpath(output)))}"
        self.destination = f"gs://{bucket}/"
        self._output = LocalObjects({bucket: output})
        self.unwritable: OSError | None = None

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
        try:
            self._output.write(uri, data, content_type)
        except OSError as error:
            self.unwritable = self.unwritable or error
            raise
