"""Images cut into requests: packed for the ledger, unpacked into the messages that are sent. No I/O here.

What every image of a job has in common (features, context) is kept once, in the `Template`. A request of URIs is therefore
little more than its URIs: ten million of them take less than 200 MB, mostly far less.
"""

from __future__ import annotations

import enum
import hashlib
import zlib
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any

from vision_grpc import v1
from vision_grpc._adopt import adopt
from vision_grpc.errors import ConfigError, LedgerError
from vision_grpc.requests import check_request, check_uri, image_requests

if TYPE_CHECKING:
    from vision_grpc.requests import AsyncRequest, FeatureLike, ImageRequestLike

    JobInput = str | ImageRequestLike


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

    def raw(self) -> bytes:
        """The bytes that were packed.

        Raises:
            LedgerError: They are not what they were.
        """
        try:
            data = zlib.decompress(self.packed)
        except zlib.error as error:
            raise LedgerError(f"the ledger's copy of the images from {self.first} on is damaged: {error}") from error
        if _digest(self.kind, data) != self.digest:
            raise LedgerError(f"the ledger's copy of the images from {self.first} on is damaged: its checksum differs")
        return data

    def indices(self) -> Sequence[int]:
        """The images' indices in the job, ascending."""
        if not self.places:
            return range(self.first, self.first + self.images)
        return array("Q", zlib.decompress(self.places))

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
            chosen = _serialised(requests[offset] for offset in offsets)
        indices = self.indices()
        places = zlib.compress(array("Q", (indices[offset] for offset in offsets)).tobytes())
        return Part(indices[offsets[0]], len(offsets), self.kind, _digest(self.kind, chosen), zlib.compress(chosen), places)


@dataclass(frozen=True, slots=True)
class Template:
    """What the images of a job that are named by URI alone have in common.

    Attributes:
        shared: A serialised AnnotateImageRequest without its image; empty where the job has no features of its own.
    """

    shared: bytes

    @classmethod
    def of(
        cls, features: Iterable[FeatureLike] | FeatureLike | None, image_context: v1.ImageContext | Mapping[str, Any] | None
    ) -> Template:
        """Raises ConfigError where a feature does not exist or the context does not fit."""
        if features is None:
            if image_context is not None:
                raise ConfigError("image_context needs features: it is for the images that are named by URI alone")
            return cls(b"")
        sample = image_requests(["gs://bucket/image"], features, image_context)[0]
        sample.ClearField("image")
        return cls(sample.SerializeToString(deterministic=True))

    def pack(self, first: int, items: Sequence[JobInput]) -> Part:
        """Checks the images of one request and packs them.

        Raises:
            ConfigError: One of them is wrong; the sentence says which.
        """
        if all(type(item) is str for item in items):
            if not self.shared:
                raise ConfigError(f"inputs[{first}] is a URI alone: name the job's features, for instance features='text'")
            for place, uri in enumerate(items):
                check_uri(uri, f"inputs[{first + place}]")
            try:
                raw, kind = "\n".join(items).encode(), Kind.URIS  # type: ignore[arg-type]
            except UnicodeEncodeError as error:
                raise ConfigError(f"inputs[{first}] to inputs[{first + len(items) - 1}]: a URI is not valid Unicode: {error}") from error
        else:
            requests = [self._request(item, f"inputs[{first + place}]") for place, item in enumerate(items)]
            raw, kind = _serialised(requests), Kind.REQUESTS
        return Part(first, len(items), kind, _digest(kind, raw), zlib.compress(raw))

    def build(
        self, part: Part, door: ModuleType, *, destination: str, batch_size: int, parent: str | None, labels: Mapping[str, str]
    ) -> AsyncRequest:
        """The AsyncBatchAnnotateImagesRequest of `door` for these images."""
        message: Any = door.AsyncBatchAnnotateImagesRequest()
        raw = part.raw()
        if part.kind is Kind.URIS:
            prototype = door.AnnotateImageRequest.FromString(self.shared)
            add = message.requests.add
            for uri in raw.decode().split("\n"):
                request = add()
                request.CopyFrom(prototype)
                request.image.source.image_uri = uri
        else:
            message.MergeFromString(raw)
        message.output_config.gcs_destination.uri = destination
        message.output_config.batch_size = batch_size
        if parent:
            message.parent = parent
        if labels:
            message.labels.update(labels)
        return message  # type: ignore[no-any-return]

    def cost(self, part: Part, prices: Mapping[int, float]) -> float:
        """What the service bills for these images: each feature of each image is a unit, priced by the thousand."""
        if part.kind is Kind.URIS:
            wanted = v1.AnnotateImageRequest.FromString(self.shared).features
            return part.images * sum(prices.get(feature.type, 0.0) for feature in wanted) / 1000
        requests = v1.AsyncBatchAnnotateImagesRequest.FromString(part.raw()).requests
        return sum(prices.get(feature.type, 0.0) for request in requests for feature in request.features) / 1000

    def _request(self, item: JobInput, where: str) -> v1.AnnotateImageRequest:
        if isinstance(item, str):
            check_uri(item, where)
            request = v1.AnnotateImageRequest.FromString(self.shared)
            request.image.source.image_uri = item
        else:
            request = v1.AnnotateImageRequest()
            request.CopyFrom(adopt(item, v1.AnnotateImageRequest, where))
            if not request.features and self.shared:
                request.features.extend(v1.AnnotateImageRequest.FromString(self.shared).features)
        whole = v1.AsyncBatchAnnotateImagesRequest(requests=[request])
        whole.output_config.gcs_destination.uri = "gs://bucket/checked-elsewhere/"
        try:
            check_request(whole)
        except ConfigError as error:
            raise ConfigError(str(error).replace("requests[0]", where)) from error
        return request


def _serialised(requests: Iterable[v1.AnnotateImageRequest]) -> bytes:
    return v1.AsyncBatchAnnotateImagesRequest(requests=requests).SerializeToString(deterministic=True)


def _digest(kind: Kind, raw: bytes) -> bytes:
    return hashlib.blake2b(raw, digest_size=16, person=b"vision-grpc-%d" % kind).digest()
