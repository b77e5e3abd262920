"""Which attempt at a batch may send it: settled by the objects under the batch's own prefix. Reads and writes objects, calls no service.

Beam may run a bundle again while an earlier run of it still lives somewhere. An attempt writes a claim of its own and then lists:
it may send only where no other claim stands. Two attempts that claim at once both see the other one, and neither sends; which of
any two attempts came first never matters. This needs no more of a store than that a listing shows what was written before it,
as Cloud Storage's and a directory's do (https://cloud.google.com/storage/docs/consistency).
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import uuid4

if TYPE_CHECKING:
    from vision_grpc.objects import Objects

_CLAIM, _VOID, _OPERATION = "claim-", "void-", "operation-"


@dataclass(frozen=True, slots=True)
class Found:
    """What lies under a prefix.

    Attributes:
        claims: Attempts that may have sent the batch, void ones left out; each says when it was made, see `claimed`.
        operation: The operation that one of them started; None where none is known.
    """

    claims: frozenset[str]
    operation: str | None


class Claims:
    """The marks that attempts leave under one batch's prefix, beside the service's output objects.

    Every method raises OSError where the objects cannot be reached.
    """

    def __init__(self, objects: Objects, prefix: str) -> None:
        self._objects = objects
        self._prefix = prefix

    def look(self) -> Found:
        names = self._names()
        operation = next((name for name in names if name.startswith(_OPERATION)), None)
        return Found(_standing(names), None if operation is None else self._objects.read(self._prefix + operation).decode())

    def claim(self) -> str | None:
        """Claims the batch; returns the claim where this attempt alone may now send it, or None where another one may have."""
        claim, alone = f"{int(time.time())}-{uuid4().hex}", False
        try:
            self._write(_CLAIM + claim)
            names = self._names()
            alone = _standing(names) == {claim} and not any(name.startswith(_OPERATION) for name in names)
        finally:
            if not alone:
                # It will never be sent on this claim, which therefore must not keep others from it, nor this batch's next visit.
                self.void([claim])
        return claim if alone else None

    def void(self, claims: Iterable[str]) -> None:
        """Notes that nothing was accepted on these claims, and nothing will be sent on them any more."""
        for claim in claims:
            self._write(_VOID + claim)

    def started(self, operation: str) -> None:
        """Notes the operation that annotates the batch."""
        # Named by the operation, so that attempts which learn of it together write the same object.
        self._write(_OPERATION + operation.rpartition("/")[2], operation)

    def _names(self) -> list[str]:
        return [info.uri[len(self._prefix) :] for info in self._objects.list(self._prefix)]

    def _write(self, name: str, content: str = "") -> None:
        self._objects.write(self._prefix + name, content.encode(), "text/plain")


def claimed(claims: Iterable[str]) -> float | None:
    """The Unix time of the earliest of these claims, before which nothing was sent on any of them; None of no claims."""
    return min((float(claim.partition("-")[0]) for claim in claims), default=None)


def _standing(names: Iterable[str]) -> frozenset[str]:
    names = list(names)
    void = {name.removeprefix(_VOID) for name in names if name.startswith(_VOID)}
    return frozenset(name.removeprefix(_CLAIM) for name in names if name.startswith(_CLAIM)) - void
