"""The files that `submit` writes: results.jsonl line by line, and the formats made from a second reading of the results."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from vision_grpc.messages import to_dict
from vision_grpc.results import ImageResult

FILES = {"jsonl": "results.jsonl", "parquet": "results.parquet", "html": "report.html"}
CONTENT_TYPES = {".jsonl": "application/jsonl", ".parquet": "application/vnd.apache.parquet", ".html": "text/html; charset=utf-8"}


def row(result: ImageResult, *, keep_context: bool) -> dict[str, Any]:
    """One line of results.jsonl: uri, the response with every annotation that was made, and the error where there is one.

    `keep_context` False leaves out the context, where its URI is the embedded server's own name for a local picture.
    """
    response = to_dict(result.response)
    response.pop("error", None)
    if not keep_context:
        response.pop("context", None)
    line: dict[str, Any] = {"uri": result.uri, "response": response}
    if result.error is not None:
        line["error"] = {"code": result.error.code.value[0], "message": result.error.message}
    return line


def write_format(name: str, results: Iterable[ImageResult], folder: Path, picture: Callable[[str], bytes | None]) -> None:
    """Writes one of FILES, but for results.jsonl, into `folder`."""
    if name == "parquet":
        from vision_grpc._parquet import write_parquet

        write_parquet(results, folder / FILES[name])
    else:
        from vision_grpc.report import write_report

        write_report(results, folder / FILES[name], picture=picture)
