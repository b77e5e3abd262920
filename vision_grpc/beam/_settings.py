"""What every stage of one AnnotateImages has in common, and batches of images with the prefix that their content decides.

No I/O and no Beam here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from vision_grpc import v1
from vision_grpc._job.sender import Making
from vision_grpc._job.settings import check_settings, job_settings
from vision_grpc._job.template import Template
from vision_grpc._ledger.part import Part
from vision_grpc._results.join import ImageResult
from vision_grpc.errors import ConfigError
from vision_grpc.requests import MAX_IMAGES

if TYPE_CHECKING:
    from vision_grpc.aio import AsyncClient
    from vision_grpc.objects import Objects
    from vision_grpc.requests import AsyncRequest

Key = tuple[Any, ...]
"""An element's key as a tuple of one, or the empty tuple of an element that came without a key."""

Item = tuple[Key, str | bytes]
"""One checked image: its key, and its URI or its serialised v1.AnnotateImageRequest."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of one AnnotateImages, pickled into each of its stages.

    Attributes:
        client: Makes the AsyncClient of a worker process.
        objects: Where the output lies; None for Google Cloud Storage.
        workers: Processes that the quota is split over.
        token: Tells this transform from others of the same process, which have clients and quotas of their own.
    """

    making: Making
    output: str
    client: Callable[[], AsyncClient]
    objects: Objects | None
    request_size: int
    requests_per_minute: int
    workers: int
    resubmit_unknown: bool
    grace: float
    patience: float
    submit_timeout: float
    token: str = field(default_factory=lambda: uuid4().hex)

    def __post_init__(self) -> None:
        if not callable(self.client):
            given = repr(self.client) if isinstance(self.client, str) else f"a {type(self.client).__name__} that is made already"
            raise ConfigError(f"client makes one for each worker: give a class or functools.partial(AsyncClient, …), not {given}")
        check_objects(self.objects)
        check_settings(
            output=self.output,
            order="completion",
            parent=self.making.parent,
            labels=self.making.labels,
            max_cost=None,
            prices=None,
            request_size=self.request_size,
            batch_size=self.making.batch_size,
            # No window: the service queues what is too much, and Beam keeps the results.
            images_in_flight=MAX_IMAGES,
            requests_per_minute=self.requests_per_minute,
            grace=self.grace,
            patience=self.patience,
            submit_timeout=self.submit_timeout,
        )

    def check(self, element: object) -> Item:
        """The image that an element names, with the key that it came with.

        Raises:
            ConfigError: It names none that the service takes.
        """
        key: Key = ()
        if isinstance(element, tuple):
            if len(element) != 2:
                raise ConfigError(f"an element must be an image, or a pair of a key and an image, not a tuple of {len(element)}")
            key, element = element[:1], element[1]
        if isinstance(element, ImageResult):
            # A failure that is fed in again.
            element = element.uri
        if not isinstance(element, str):
            part = self._pack([element])
            request = v1.AsyncBatchAnnotateImagesRequest.FromString(part.raw()).requests[0]
            return key, request.SerializeToString(deterministic=True)
        self._pack([element])
        return key, element

    def batch(self, items: Sequence[Item]) -> Batch:
        """The images of one request."""
        images = [image if isinstance(image, str) else v1.AnnotateImageRequest.FromString(image) for _, image in items]
        return Batch(self._pack(images), tuple(key for key, _ in items))

    def prefix(self, batch: Batch, version: str) -> str:
        """Where the service writes this batch's results: below the output, and decided by the batch's content and the settings.

        A bundle that is run again makes the same batch, and so finds there what its first run sent.
        """
        settings = job_settings(self.output, self.request_size, self.making, version)
        digest = hashlib.blake2b(json.dumps(settings, sort_keys=True).encode(), digest_size=16, person=b"vision-grpc-beam")
        digest.update(bytes([batch.part.kind]) + batch.part.digest)
        return f"{self.output}{digest.hexdigest()}/"

    def request(self, batch: Batch, door: ModuleType, prefix: str) -> AsyncRequest:
        """The message that is sent for a batch."""
        making = self.making
        return making.template.build(
            batch.part, door, destination=prefix, batch_size=making.batch_size, parent=making.parent, labels=making.labels
        )

    def _pack(self, images: Sequence[Any]) -> Part:
        try:
            return self.making.template.pack(0, images)
        except ConfigError as error:
            raise ConfigError(str(error).removeprefix("inputs[0]: ").replace("inputs[0]", "the element")) from error


@dataclass(frozen=True)
class Batch:
    """The images of one request, compressed, and the key that each came with."""

    part: Part
    keys: tuple[Key, ...]


def check_objects(objects: object) -> None:
    """Raises ConfigError unless these are vision_grpc.objects.Objects, or None."""
    if objects is None:
        return
    if isinstance(objects, type) or not all(callable(getattr(objects, name, None)) for name in ("list", "read", "write")):
        raise ConfigError(f"objects must be as vision_grpc.objects.GcsObjects(), or None for Cloud Storage, not {objects!r}")


def uri_of(element: object) -> str:
    """The image that an element which was refused seems to name; empty where it names none."""
    if isinstance(element, tuple) and len(element) == 2:
        element = element[1]
    if isinstance(element, str):
        return element
    if isinstance(element, ImageResult):
        return element.uri
    source = getattr(getattr(element, "image", None), "source", None)
    return str(getattr(source, "image_uri", "") or getattr(source, "gcs_image_uri", ""))


def making(features: Any, image_context: Any, batch_size: int, parent: str | None, labels: Mapping[str, str] | None) -> Making:
    """What requests are made with. Raises ConfigError where a feature does not exist or the context does not fit."""
    # What is no mapping is refused with the other settings.
    labels = dict(labels) if isinstance(labels, Mapping) else {} if labels is None else labels
    return Making(template=Template.of(features, image_context), batch_size=batch_size, parent=parent, labels=labels)
