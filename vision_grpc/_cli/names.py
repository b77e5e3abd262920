"""Names for runs and jobs of the command line."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import secrets
import time
from pathlib import Path
from typing import TYPE_CHECKING

from vision_grpc.errors import ConfigError

if TYPE_CHECKING:
    from vision_grpc._cli.command import Order

FILES = {"jsonl": "results.jsonl", "html": "report.html", "parquet": "results.parquet"}
"""The files of results, by format."""

_HARMLESS = frozenset(
    {
        "attempts",
        "format",
        "images_in_flight",
        "inputs",
        "job",
        "json",
        "max_cost",
        "max_images",
        "no_wait",
        "price",
        "quiet",
        "quota_project",
        "requests_per_minute",
        "resubmit_unknown",
        "status",
        "timeout",
        "uri_column",
        "uris_from",
        "wait",
    }
)
"""Options that may differ between a run and its resume."""


def new_run() -> str:
    """A name that no other run has, and that sorts by time."""
    return f"run-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{secrets.token_hex(2)}"


def own_ledger(options: argparse.Namespace, order: Order) -> Path:
    """Where a run without --job keeps its ledger: the same command over the same inputs finds it again, any other does not.

    It lies in the output folder, or for gs:// outputs in ``$XDG_STATE_HOME/vision-grpc``.

    Raises:
        ConfigError: There is no home folder either.
    """
    asked = {name: value for name, value in vars(options).items() if name not in _HARMLESS}
    digest = hashlib.sha256(json.dumps(asked, sort_keys=True).encode())
    for name, uri in zip(order.inputs.names or order.inputs.uris, order.inputs.uris, strict=True):
        digest.update(f"{name}\0{uri}\0".encode())
    if order.inputs.local:
        folder = Path(order.output) / ".vision-grpc"
    else:
        try:
            folder = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "vision-grpc"
        except RuntimeError as error:
            raise ConfigError("there is no home folder to keep the job's ledger in: name a file with --job") from error
    return folder / f"{digest.hexdigest()[:16]}.db"


def server_state(ledger: Path) -> Path:
    """Where the embedded server of a local job keeps its operations; a job on Google Cloud has no such file."""
    return ledger.with_name(f"{ledger.name}.operations")
