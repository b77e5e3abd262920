"""Whole objects in and out: list, read, write, exists and size, the same for local folders and for Google Cloud Storage.

An object is named by a URI: ``gs://bucket/name`` where buckets are (:class:`LocalObjects`, where a bucket is a directory,
and :class:`GcsObjects`, the real service), a plain path where there are none (:class:`LocalFiles`). Every failure is an
``OSError``: ``FileNotFoundError`` for what does not exist, ``PermissionError`` for what may not be touched, including a name
that would leave its bucket. Nothing here knows what the bytes mean.
"""

import os
from pathlib import Path

from vision_grpc._objects.gcs import GcsObjects
from vision_grpc._objects.local import LocalFiles, LocalObjects
from vision_grpc._objects.object import ObjectInfo, Objects

__all__ = ["GcsObjects", "LocalFiles", "LocalObjects", "ObjectInfo", "Objects", "open_objects"]


def open_objects(place: str | os.PathLike[str], objects: Objects | None = None) -> tuple[Objects, str]:
    """Returns what serves a place, and the prefix to list there: Cloud Storage for gs:// URIs, local files for paths.

    Where `objects` is given it serves the place, whatever its scheme. Raises ValueError for any other scheme without.
    """
    text = os.fspath(place)
    if objects is None:
        if text.startswith("gs://"):
            return GcsObjects(), text
        if "://" in text:
            raise ValueError(f"{text!r} is neither a gs:// URI nor a local path.")
        objects = LocalFiles()
    # pathlib drops the final separator, which tells a folder from a name prefix.
    is_folder = isinstance(objects, LocalFiles) and Path(text).is_dir()
    return objects, os.path.join(text, "") if is_folder else text  # noqa: PTH118
