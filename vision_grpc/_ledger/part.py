"""The images of one request, packed for the ledger. No I/O here."""

from __future__ import annotations

import enum
import hashlib
import zlib
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from vision_grpc import v1
from vision_grpc.errors import LedgerError


class Kind(enum.IntEnum):
    """What a part's bytes are."""

    URIS = 0
    REQUESTS = 1


@dataclass(frozen=True, slots=True)
class Part:
    """The images of one request, packed.

    Attributes:
        first: The index in the job of the first image.
        images: How many there are.
        kind: What `packed` holds, compressed: URIs joined by line feeds, or an AsyncBatchAnnotateImagesRequest with images only.
        digest: Of what `packed` holds.
        places: The images' indices in the job, compressed; empty where they follow `first` without a gap.
    """

    first: int
    images: int
    kind: Kind
    digest: bytes
    packed: bytes
    places: bytes = b""

    @classmethod
    def pack(cls, first: int, images: int, kind: Kind, raw: bytes, places: bytes = b"") -> Part:
        """The part whose images are these bytes."""
        return cls(first, images, kind, _digest(kind, raw), zlib.compress(raw), places)

    def raw(self) -> bytes:
        """The bytes that were packed.

        Raises:
            LedgerError: They are not what they were.
        """
        data = self._unpacked(self.packed)
        if _digest(self.kind, data) != self.digest:
            raise LedgerError(f"the ledger's copy of the images from {self.first} on is damaged: its checksum differs")
        return data

    def indices(self) -> Sequence[int]:
        """The images' indices in the job, ascending."""
        if not self.places:
            return range(self.first, self.first + self.images)
        places = self._unpacked(self.places)
        if len(places) != 8 * self.images:
            raise LedgerError(f"the ledger's copy of the images from {self.first} on is damaged: their places are not theirs")
        return array("Q", places)

    def _unpacked(self, packed: bytes) -> bytes:
        try:
            return zlib.decompress(packed)
        except zlib.error as error:
            raise LedgerError(f"the ledger's copy of the images from {self.first} on is damaged: {error}") from error

    def uris(self) -> list[str]:
        """The images' URIs."""
        raw = self.raw()
        if self.kind is Kind.URIS:
            return raw.decode().split("\n")
        sources = (request.image.source for request in v1.AsyncBatchAnnotateImagesRequest.FromString(raw).requests)
        return [source.image_uri or source.gcs_image_uri for source in sources]

    def select(self, offsets: Sequence[int]) -> Part:
        """The part of these images only, counted from 0 within this one and ascending."""
        raw = self.raw()
        if self.kind is Kind.URIS:
            uris = raw.decode().split("\n")
            chosen = "\n".join(uris[offset] for offset in offsets).encode()
        else:
            requests = v1.AsyncBatchAnnotateImagesRequest.FromString(raw).requests
            chosen = serialised(requests[offset] for offset in offsets)
        indices = self.indices()
        places = zlib.compress(array("Q", (indices[offset] for offset in offsets)).tobytes())
        return Part.pack(indices[offsets[0]], len(offsets), self.kind, chosen, places)


def serialised(requests: Iterable[v1.AnnotateImageRequest]) -> bytes:
    """An AsyncBatchAnnotateImagesRequest of these images and nothing else: the same bytes for the same images."""
    return v1.AsyncBatchAnnotateImagesRequest(requests=requests).SerializeToString(deterministic=True)


def _digest(kind: Kind, raw: bytes) -> bytes:
    return hashlib.blake2b(raw, digest_size=16, person=b"vision-grpc-%d" % kind).digest()
