"""What an Emulator, or a Fault, can be made of. Each function refuses what cannot work by a ValueError of one sentence. Starts nothing."""

import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

# What Cloud Storage publishes for names of buckets: every client refuses a gs:// URI of another.
_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")


def check_bucket(where: str, name: object) -> None:
    """Refuses what is no bucket's bare name."""
    if not isinstance(name, str) or not _BUCKET.fullmatch(name):
        rule = "3 to 222 of a-z, 0-9, '-', '_' and '.', a letter or digit at both ends"
        raise ValueError(f"{where} {name!r}; give bare names, as photos for gs://photos/: {rule}.")


def directories(buckets: object) -> dict[str, Path]:
    """The directory of each bucket. Refuses names that clients refuse, and directories that are none."""
    if not isinstance(buckets, Mapping):
        raise ValueError(f"buckets is {_shown(buckets)}; give a mapping of names to directories, as {{'photos': './photos'}}.")
    found: dict[str, Path] = {}
    for name, directory in buckets.items():
        check_bucket("buckets names", name)
        found[name] = path(f"buckets[{name!r}]", directory)
        if not found[name].is_dir():
            raise ValueError(f"buckets[{name!r}]: {directory} is not a directory; make it first.")
    return found


def path(name: str, value: object) -> Path:
    """A path of the file system."""
    if not isinstance(value, str | Path) or not str(value):
        raise ValueError(f"{name} is {_shown(value)}; give a path.")
    return Path(value)


def check_number(name: str, value: object, least: int, most: float = math.inf, *, whole: bool = True) -> None:
    """Refuses what is not a number from the least to the most."""
    kinds: Any = int if whole else int | float
    if not isinstance(value, kinds) or not least <= value <= most or value == math.inf:
        wanted = f"{least} to {most}" if math.isfinite(most) else f"{'at least ' if least else ''}{least}{'' if least else ' or more'}"
        raise ValueError(f"{name} is {_shown(value)}; give {wanted}.")


def check_methods(name: str, value: object, methods: Iterable[str], wanted: str) -> None:
    """Refuses an object that lacks one of the methods."""
    missing = [method for method in methods if not callable(getattr(value, method, None))]
    if missing or isinstance(value, type):
        raise ValueError(f"{name} is {_shown(value)}; give {wanted}.")


def check_kind(name: str, value: object, kind: Any, wanted: str) -> None:
    """Refuses what is no instance of the class, or of any in a union of them."""
    if not isinstance(value, kind):
        raise ValueError(f"{name} is {_shown(value)}; give {wanted}.")


def listed(name: str, values: object, kind: type, wanted: str) -> list[Any]:
    """The members of an iterable, all of one class."""
    if not isinstance(values, Iterable) or isinstance(values, str):
        raise ValueError(f"{name} is {_shown(values)}; give {wanted}.")
    members = list(values)
    for member in members:
        check_kind(f"one of {name}", member, kind, wanted)
    return members


def _shown(value: object) -> str:
    # One line, whatever it is.
    text = ascii(value)
    return text if len(text) <= 100 else f"{text[:97]}..."
