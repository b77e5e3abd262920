"""The README's table, and the machine that it was measured on."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from benchmarks import Table

_PACKAGES = ("grpcio", "protobuf", "orjson", "google-cloud-vision", "google-cloud-storage", "google-api-python-client", "protobuf-py")
_MARK = "<!-- benchmarks -->"


def machine() -> str:
    """One sentence: processor, cores, system, Python, and the versions of what was measured."""
    versions = []
    for name in _PACKAGES:
        try:
            versions.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            versions.append(f"{name} not installed")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{_processor()}, {cores} cores, {platform.system()}, Python {platform.python_version()}; {', '.join(versions)}"


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def markdown(tables: Sequence[tuple[str, Table]]) -> str:
    """A table of every target: what was to be reached and what was measured."""
    lines = [f"Measured on {machine()}.", "", "| benchmark | what | here | must be | |", "|---|---|---|---|---|"]
    for name, table in tables:
        for target in table.targets:
            met = "reached" if target.met else "[missed](docs/benchmarks.md#missed)"
            lines.append(f"| {name} | {target.words} | {target.value:.2f} | {target.bound} | {met} |")
    return "\n".join(lines)


def update_readme(path: Path, text: str) -> None:
    """Replaces what stands between the two marks.

    Raises:
        SystemExit: The file has no two marks.
    """
    parts = path.read_text().split(_MARK)
    if len(parts) != 3:
        raise SystemExit(f"{path} must hold {_MARK} twice, around the place of the table")
    path.write_text(f"{parts[0]}{_MARK}\n\n{text}\n\n{_MARK}{parts[2]}")
