"""Whole objects in and out: list, read, write, exists and size, the same for local folders and for Google Cloud Storage.

An object is named by a URI: ``gs://bucket/name`` where buckets are (:class:`LocalObjects`, where a bucket is a directory,
and :class:`GcsObjects`, the real service), a plain path where there are none (:class:`LocalFiles`). Every failure is an
``OSError``: ``FileNotFoundError`` for what does not exist, ``PermissionError`` for what may not be touched, including a name
that would leave its bucket. Nothing here knows what the bytes mean.
"""

import json
import os
from pathlib import Path

from vision_grpc._objects.gcs import GcsObjects
from vision_grpc._objects.local import LocalFiles, LocalObjects
from vision_grpc._objects.object import ObjectInfo, Objects
from vision_grpc.errors import ConfigError

__all__ = ["GcsObjects", "LocalFiles", "LocalObjects", "ObjectInfo", "Objects", "open_objects"]


def open_objects(place: str | os.PathLike[str], objects: Objects | None = None, *, emulator: str | None = None) -> tuple[Objects, str]:
    """Returns what serves a place, and the prefix to list there: Cloud Storage for gs:// URIs, local files for paths.

    The buckets of an emulator of Vision are not in Cloud Storage: ``VISION_EMULATOR_BUCKETS``, a JSON object of bucket names and
    their directories, serves gs:// URIs wherever it is set.

    Args:
        place: a gs:// URI or a path.
        objects: serves the place, whatever its scheme.
        emulator: the address of the emulator whose buckets are meant, "" for none; by default what ``VISION_EMULATOR_HOST`` says.

    Raises:
        ValueError: the place has any other scheme.
        ConfigError: an emulator's buckets are meant, and nothing says where they lie, ``STORAGE_EMULATOR_HOST`` included.
    """
    text = os.fspath(place)
    if objects is None:
        objects = _objects_of(text, emulator)
    # pathlib drops the final separator, which tells a folder from a name prefix.
    is_folder = isinstance(objects, LocalFiles) and Path(text).is_dir()
    return objects, os.path.join(text, "") if is_folder else text  # noqa: PTH118


def _objects_of(text: str, emulator: str | None) -> Objects:
    if not text.startswith("gs://"):
        if "://" in text:
            raise ValueError(f"{text!r} is neither a gs:// URI nor a local path.")
        return LocalFiles()
    if buckets := os.environ.get("VISION_EMULATOR_BUCKETS"):
        return LocalObjects(_directories(buckets))
    emulator = os.environ.get("VISION_EMULATOR_HOST") if emulator is None else emulator
    if emulator and not os.environ.get("STORAGE_EMULATOR_HOST"):
        raise ConfigError(
            f"the results of the emulator at {emulator} are not in Google Cloud Storage: pass objects= (an embedded server's is "
            "server.objects), export the VISION_EMULATOR_BUCKETS that it printed, or name a storage emulator in STORAGE_EMULATOR_HOST"
        )
    return GcsObjects()


def _directories(text: str) -> dict[str, str]:
    try:
        # A shell leaves the quotes of the emulator's line in `export $(cat emulator.env)`, and so does `docker run --env-file`.
        buckets = json.loads(text.strip("'"))
    except ValueError:
        buckets = None
    if not isinstance(buckets, dict) or not all(isinstance(directory, str) for directory in buckets.values()):
        raise ConfigError('VISION_EMULATOR_BUCKETS must be a JSON object of buckets and their directories, as {"out": "/tmp/out"}')
    return buckets
