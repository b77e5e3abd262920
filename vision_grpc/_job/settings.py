"""A job's settings: checked, and told apart by whether a resume may change them. No I/O here."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from vision_grpc import v1
from vision_grpc.errors import ConfigError
from vision_grpc.requests import MAX_BATCH_SIZE, MAX_IMAGES, check_destination, check_labels, check_parent, feature

if TYPE_CHECKING:
    from vision_grpc._job.sender import Making
    from vision_grpc.requests import FeatureLike


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
    check_destination(output, "output")
    if order not in ("completion", "input"):
        raise ConfigError(f"order must be 'completion' or 'input', not {order!r}")
    for name, value in numbers.items():
        least, most, whole = _RANGES[name]
        if value is None and name.startswith("max_"):
            continue
        if isinstance(value, bool) or not isinstance(value, int if whole else int | float) or not least <= value <= most:
            limits = f"at least {least:,}" if most == math.inf else f"between {least:,} and {most:,}"
            raise ConfigError(f"{name} must be a {'whole ' if whole else ''}number {limits}, not {value!r}")
    if numbers["images_in_flight"] < numbers["request_size"]:  # type: ignore[operator]
        raise ConfigError(
            f"images_in_flight={numbers['images_in_flight']} is less than request_size={numbers['request_size']}: "
            "no request would fit; make the requests smaller"
        )
    if (max_cost is None) != (prices is None):
        raise ConfigError("max_cost and prices go together: the cap, and what a thousand images cost by feature")
    if max_cost is not None and not 0 <= max_cost < math.inf:
        raise ConfigError(f"max_cost must be a number of at least 0, not {max_cost!r}")
    if parent is not None:
        check_parent(parent, None)
    check_labels(labels)


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
    "submit_timeout": (0.001, math.inf, False),
}


def feature_prices(prices: Mapping[FeatureLike, float] | None) -> dict[int, float]:
    """The prices by feature number. Raises ConfigError where a feature does not exist or a price is no price."""
    found: dict[int, float] = {}
    for name, price in (prices or {}).items():
        if not isinstance(price, int | float) or not 0 <= price < math.inf:
            raise ConfigError(f"prices[{name!r}] must be a number of at least 0, not {price!r}")
        found[feature(name, where="prices").type] = float(price)
    return found


def job_settings(output: str, request_size: int, making: Making, version: str) -> dict[str, object]:
    """What decides the meaning of a job's requests, and therefore must not change in a resume."""
    shared = v1.AnnotateImageRequest.FromString(making.template.shared)
    context = shared.image_context.SerializeToString(deterministic=True)
    return {
        "output": output,
        "version": version,
        "features": [[v1.Feature.Type.Name(wanted.type), wanted.max_results, wanted.model] for wanted in shared.features],
        "image_context": base64.b64encode(context).decode(),
        "request_size": request_size,
        "batch_size": making.batch_size,
        "parent": making.parent,
        "labels": dict(making.labels),
    }
