"""A request's images, packed for the ledger, and the message that is sent, made of them again. No I/O here.

What every image of a job has in common (features, context) is kept once, in the `Template`. A request of URIs is therefore
little more than its URIs: ten million of them take less than 200 MB, mostly far less.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any

from vision_grpc import v1
from vision_grpc._adopt import adopt
from vision_grpc._ledger.part import Kind, Part, serialised
from vision_grpc.errors import ConfigError
from vision_grpc.requests import check_request, check_uri, image_requests

if TYPE_CHECKING:
    from vision_grpc.requests import AsyncRequest, FeatureLike, ImageRequestLike

    JobInput = str | ImageRequestLike


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
            raw, kind = serialised(requests), Kind.REQUESTS
        return Part.pack(first, len(items), kind, raw)

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
        """What the service bills for these images: each feature of each image is a unit, priced by the thousand.

        Raises:
            ConfigError: A feature has no price.
        """
        if part.kind is Kind.URIS:
            return part.images * self.price(prices) / 1000
        requests = v1.AsyncBatchAnnotateImagesRequest.FromString(part.raw()).requests
        return sum(_price(feature, prices) for request in requests for feature in request.features) / 1000

    def price(self, prices: Mapping[int, float]) -> float:
        """What a thousand images cost that are URIs alone. Raises ConfigError where a feature has no price."""
        return sum(_price(feature, prices) for feature in v1.AnnotateImageRequest.FromString(self.shared).features)

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


def _price(feature: v1.Feature, prices: Mapping[int, float]) -> float:
    price = prices.get(feature.type)
    if price is None:
        # Taken for free, it would be spent beyond the cap.
        raise ConfigError(f"prices lacks {v1.Feature.Type.Name(feature.type)}: say what a thousand cost, 0 where they cost nothing")
    return price
