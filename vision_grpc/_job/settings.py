"""A job's settings: checked, and told apart by whether a resume may change them. No I/O here."""

from __future__ import annotations

import math
from collections.abc import AsyncIterable, Iterable, Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, TypeGuard

from vision_grpc import v1
from vision_grpc.aio import AsyncClient
from vision_grpc.errors import ConfigError
from vision_grpc.ledger import Ledger
from vision_grpc.messages import to_dict
from vision_grpc.requests import MAX_BATCH_SIZE, MAX_IMAGES, check_destination, check_labels, check_parent, feature

if TYPE_CHECKING:
    from vision_grpc._job.sender import Making
    from vision_grpc._job.service import Service
    from vision_grpc._job.template import Template
    from vision_grpc.requests import FeatureLike


def check_arguments(inputs: object, template: Template, client: object, ledger: object) -> None:
    """Raises ConfigError for what a job is given to work with, as far as it need not be read to be found wrong."""
    if not callable(getattr(client, "submit", None)) and not isinstance(client, AsyncClient):
        raise ConfigError(f"client must be an AsyncClient, also for run_job, not {_short(client)}")
    if not isinstance(ledger, str | PathLike | Ledger):
        raise ConfigError(f"ledger must be the path of a file, not {_short(ledger)}")
    if inputs is None:
        return
    if isinstance(inputs, str | bytes | Mapping) or not isinstance(inputs, Iterable | AsyncIterable):
        raise ConfigError(f"inputs must be several URIs or requests in an iterable, as [uri], not {_short(inputs)}")
    if isinstance(inputs, Sequence) and len(inputs) and isinstance(inputs[0], str) and not template.shared:
        raise ConfigError("inputs[0] is a URI alone: name the job's features, for instance features='text'")


def check_version(making: Making, service: Service) -> None:
    """Raises ConfigError where requests of the service's version cannot say what is to be said in them."""
    fields = service.door.AsyncBatchAnnotateImagesRequest.DESCRIPTOR.fields_by_name
    for name, value in (("parent", making.parent), ("labels", making.labels)):
        if value and name not in fields:
            raise ConfigError(f"{name}: requests of {service.version} have no such field; use a client of version='v1'")


def check_settings(
    *,
    output: str,
    order: str,
    parent: str | None,
    labels: Mapping[str, str],
    max_cost: float | None,
    prices: Mapping[FeatureLike, float] | None,
    **numbers: float | None,
) -> None:
    """Raises ConfigError for the first setting of a job that is wrong; `numbers` are those of `_RANGES`."""
    if not isinstance(output, str):
        raise ConfigError(f"output must be a string as 'gs://bucket/folder/', not {_short(output)}")
    check_destination(output, "output")
    if order not in ("completion", "input"):
        raise ConfigError(f"order must be 'completion' or 'input', not {order!r}")
    for name, value in numbers.items():
        least, most, whole = _RANGES[name]
        if value is None and name.startswith("max_"):
            continue
        if not _is_number(value, whole) or not least <= value <= most:
            limits = f"at least {least:,}" if most == math.inf else f"between {least:,} and {most:,}"
            raise ConfigError(f"{name} must be a {'whole ' if whole else ''}number {limits}, not {_short(value)}")
    if numbers["images_in_flight"] < numbers["request_size"]:  # type: ignore[operator]
        raise ConfigError(
            f"images_in_flight={numbers['images_in_flight']} is less than request_size={numbers['request_size']}: "
            "no request would fit; make the requests smaller"
        )
    if (max_cost is None) != (prices is None):
        raise ConfigError("max_cost and prices go together: the cap, and what a thousand images cost by feature")
    if max_cost is not None and not (_is_number(max_cost) and 0 <= max_cost < math.inf):
        raise ConfigError(f"max_cost must be a number of at least 0, not {_short(max_cost)}")
    if parent is not None:
        if not isinstance(parent, str):
            raise ConfigError(f"parent must be a string as 'projects/PROJECT', not {_short(parent)}")
        check_parent(parent, None)
    if not isinstance(labels, Mapping) or not all(isinstance(word, str) for label in labels.items() for word in label):
        raise ConfigError(f"labels must be a mapping of strings to strings, not {_short(labels)}")
    check_labels(labels)


def _is_number(value: object, whole: bool = False) -> TypeGuard[float]:
    return isinstance(value, int if whole else int | float) and not isinstance(value, bool)


def _short(value: object) -> str:
    words = repr(value)
    return words if len(words) <= 80 else f"{words[:80]}…"


_RANGES: dict[str, tuple[float, float, bool]] = {
    "request_size": (1, MAX_IMAGES, True),
    "batch_size": (1, MAX_BATCH_SIZE, True),
    "images_in_flight": (1, math.inf, True),
    "requests_per_minute": (1, math.inf, True),
    "attempts": (1, math.inf, True),
    "max_images": (0, math.inf, True),
    "grace": (0, math.inf, False),
    "patience": (0, math.inf, False),
    "rest": (0, math.inf, False),
    # gRPC refuses a deadline that is not finite, and what it refuses is a doubt. A day is longer than any proxy keeps a call.
    "submit_timeout": (0.001, 86_400, False),
}


def feature_prices(prices: Mapping[FeatureLike, float] | None) -> dict[int, float]:
    """The prices by feature number. Raises ConfigError where a feature does not exist or a price is no price."""
    if prices is not None and not isinstance(prices, Mapping):
        raise ConfigError(f"prices must be a mapping of features to numbers, not {_short(prices)}")
    found: dict[int, float] = {}
    for name, price in (prices or {}).items():
        if not _is_number(price) or not 0 <= price < math.inf:
            raise ConfigError(f"prices[{name!r}] must be a number of at least 0, not {_short(price)}")
        found[feature(name, where="prices").type] = float(price)
    return found


def job_settings(output: str, request_size: int, making: Making, version: str) -> dict[str, object]:
    """What decides the meaning of a job's requests, and therefore must not change in a resume."""
    shared = v1.AnnotateImageRequest.FromString(making.template.shared)
    return {
        "output": output,
        "version": version,
        "features": [[v1.Feature.Type.Name(wanted.type), wanted.max_results, wanted.model] for wanted in shared.features],
        "image_context": to_dict(shared.image_context),
        "request_size": request_size,
        "batch_size": making.batch_size,
        "parent": making.parent,
        "labels": dict(making.labels),
    }
