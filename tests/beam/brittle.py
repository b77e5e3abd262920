"""Objects whose use breaks off a bundle at a chosen moment, once for each batch. Works across the processes of a runner."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from vision_grpc.objects import LocalObjects, ObjectInfo

MOMENTS = ("claimed", "accepted", "noted", "ended")
"""After the claim and before the submit; after the submit and before its note; after the note; when the operation has ended.

A worker that is lost at "claimed" does not get to void its claim. At "unlisted" it does: only the listing after the claim fails.
"""


class Broken(Exception):
    """The bundle breaks off here, as by a lost worker."""


class Brittle(LocalObjects):
    """LocalObjects under which a bundle breaks at these moments, once for each prefix.

    Args:
        memory: A directory that remembers what has broken already.
        exit: End the whole process instead.
    """

    def __init__(self, buckets: dict[str, Path], memory: Path, moments: tuple[str, ...], *, exit: bool = False) -> None:  # noqa: A002
        super().__init__(buckets)
        self._memory = memory
        self._moments = moments
        self._exit = exit

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        names = [info.uri.rpartition("/")[2] for info in super().list(prefix.removesuffix("output-"))]
        if prefix.endswith("output-") and any(name.startswith("operation-") for name in names):
            self._break("ended", prefix.removesuffix("output-"))
        listed = super().list(prefix)
        claimed = prefix.endswith("/") and any(name.startswith("claim-") for name in names)
        if claimed and not any(name.startswith("operation-") for name in names):
            self._break("claimed", prefix)
            self._break("unlisted", prefix)
        return listed

    def write(self, uri: str, data: bytes, content_type: str = "application/octet-stream") -> None:
        prefix, _, name = uri.rpartition("/")
        noted = name.startswith("operation-")
        if noted:
            self._break("accepted", prefix + "/")
        if name.startswith("void-") and "claimed" in self._moments:
            self._break("claimed", prefix + "/", "void")
        super().write(uri, data, content_type)
        if noted:
            self._break("noted", prefix + "/")

    def _break(self, moment: str, prefix: str, step: str = "") -> None:
        if moment not in self._moments:
            return
        try:
            (self._memory / f"{moment}-{step}{prefix.rstrip('/').rpartition('/')[2]}").touch(exist_ok=False)
        except FileExistsError:
            return
        if self._exit:
            os._exit(9)
        raise Broken(moment)
