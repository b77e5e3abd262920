"""A pytest plugin: the fixture ``vision_emulator``, an embedded Vision for each test that asks for one.

pytest loads this module in every run of an environment that has it: nothing but pytest is imported before a fixture is used.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from vision_grpc.emulator import Emulator

__all__ = ["vision_buckets", "vision_emulator", "vision_emulator_options"]


@pytest.fixture
def vision_buckets(tmp_path: Path) -> Mapping[str, Path]:
    """The directory behind each gs:// bucket: new and empty ones for ``photos`` and ``out``. Override it for others."""
    buckets = {name: tmp_path / "vision-buckets" / name for name in ("photos", "out")}
    for directory in buckets.values():
        directory.mkdir(parents=True)
    return buckets


@pytest.fixture
def vision_emulator_options() -> Mapping[str, Any]:
    """Arguments of vision_grpc.emulator.Emulator beyond its buckets: none. Override it, as in ``{"rest_port": 0}``."""
    return {}


@pytest.fixture
def vision_emulator(
    vision_buckets: Mapping[str, Path], vision_emulator_options: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch
) -> "Iterator[Emulator]":
    """A running embedded server, which clients find without being told where.

    While the test runs VISION_EMULATOR_HOST names the server, VISION_EMULATOR_BUCKETS the directories of its buckets, and
    VISION_EMULATOR_REST_URL its REST side where that is asked for. A server with TLS is not named in VISION_EMULATOR_HOST,
    which means one without. Pictures go into the directories of ``vision_buckets``, and results come out there.

    Raises:
        ValueError: a bucket or an option is wrong.
        ImportError: a package of the extra ``pytest`` is missing.
    """
    from vision_grpc.emulator import Emulator

    if not isinstance(vision_emulator_options, Mapping):
        raise ValueError(f"vision_emulator_options gives {vision_emulator_options!r}; give a mapping, as {{'rest_port': 0}}.")
    options = {"buckets": vision_buckets, **vision_emulator_options}
    with Emulator(**options) as server:
        buckets = {name: str(Path(directory).resolve()) for name, directory in options["buckets"].items()}
        monkeypatch.setenv("VISION_EMULATOR_BUCKETS", json.dumps(buckets))
        if options.get("tls"):
            # What it says of another server is not meant either.
            monkeypatch.delenv("VISION_EMULATOR_HOST", raising=False)
        else:
            monkeypatch.setenv("VISION_EMULATOR_HOST", server.target)
        if options.get("rest_port") is not None:
            monkeypatch.setenv("VISION_EMULATOR_REST_URL", server.rest_url)
        yield server
