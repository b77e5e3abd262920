"""The files and words that `submit` makes of results: results.jsonl, report.html, results.parquet, and a summary."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vision_grpc import v1, v1p4beta1
from vision_grpc._cli.lines import in_order
from vision_grpc._cli.names import FILES
from vision_grpc._cli.summary import count, describe_result
from vision_grpc._json.encode import dumps
from vision_grpc._objects.object import TakesFiles
from vision_grpc._objects.whole_file import whole_file
from vision_grpc.errors import ImageError
from vision_grpc.messages import from_json, to_dict
from vision_grpc.objects import Objects
from vision_grpc.results import ImageResult

if TYPE_CHECKING:
    from vision_grpc._cli.command import Voice

_CONTENT_TYPES = {".jsonl": "application/jsonl", ".parquet": "application/vnd.apache.parquet", ".html": "text/html; charset=utf-8"}

_SHOWN = 100
"""Images that get a line of their own in the summary; beyond it only those that failed do."""


def row(result: ImageResult, *, keep_context: bool) -> dict[str, Any]:
    """One line of results.jsonl: index, uri, the response with every annotation that was made, and the error where there is one.

    `keep_context` False leaves out the context, where its URI is the embedded server's own name for a local picture.
    """
    response = to_dict(result.response)
    response.pop("error", None)
    if not keep_context:
        response.pop("context", None)
    line: dict[str, Any] = {"index": result.index, "uri": result.uri, "response": response}
    if result.error is not None:
        line["error"] = {"code": result.error.code.value[0], "message": result.error.message}
    return line


def read_rows(path: Path, version: str) -> Iterator[ImageResult]:
    """The results in a results.jsonl, as the messages of that version; v1p1beta1's are v1's."""
    response_class: type[v1.AnnotateImageResponse] = (v1p4beta1 if version == "v1p4beta1" else v1).AnnotateImageResponse
    with path.open("rb") as lines:
        for line in lines:
            value = json.loads(line)
            index = value["index"]
            response = from_json(response_class, dumps(value["response"]))
            error = value.get("error")
            failure = ImageError(error["code"], error["message"], index=index, uri=value["uri"]) if error else None
            yield ImageResult(index, value["uri"], response, failure)


class Publisher:
    """Shows results as they come, and publishes the files at the end, each whole or not at all.

    Args:
        output: A folder, or a gs:// prefix.
        formats: Of FILES; results.jsonl is always written.
        objects: What serves `output` where it is in a bucket.
        voice: Where the words go.
        version: Whose messages the results are.

    Attributes:
        place: `output` as the files' names begin.
    """

    def __init__(self, output: str, formats: Sequence[str], objects: Objects, voice: Voice, version: str) -> None:
        self._remote = "://" in output
        self.place = output.rstrip("/") if self._remote else str(Path(output))
        self._formats = [name for name in formats if name != "jsonl"]
        self._objects = objects
        self._voice = voice
        self._version = version
        self._counts: Counter[bool] = Counter()

    def show(self, result: ImageResult) -> None:
        """One line for an image, if it failed or is one of the first."""
        self._counts[result.error is None] += 1
        if result.error is not None or self._counts.total() <= _SHOWN:
            self._voice.say(describe_result(result))

    def publish(self, lines: Path, picture: Callable[[str], bytes | None], *, ok: int | None = None, failed: int | None = None) -> int:
        """Puts results.jsonl in its place, makes the other formats of it, and says what came out.

        Args:
            lines: The line of each image, in any order; it stays, for a run that publishes another format of it.
            picture: Loads an image by its name, for the report.
            ok, failed: Images of the whole job, where earlier runs showed some of them.

        Returns:
            The exit code: 1 where images failed.

        Raises:
            LedgerError: `lines` does not hold a line for every image; nothing is written.
        """
        good, bad = self._counts[True] if ok is None else ok, self._counts[False] if failed is None else failed
        with contextlib.ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory())) if self._remote else Path(self.place)
            place = folder / FILES["jsonl"]
            with whole_file(place) as target:
                target.writelines(in_order(lines, good + bad))
            for name in self._formats:
                _write(name, read_rows(place, self._version), folder / FILES[name], picture)
            if self._remote:
                for path in sorted(folder.iterdir()):
                    self._store(f"{self.place}/{path.name}", path, _CONTENT_TYPES[path.suffix])
        shown = self._counts.total()
        if shown > _SHOWN:
            self._voice.say(f"… and {shown - _SHOWN:,} more images in the files")
        files = ", ".join(f"{self.place.rstrip('/')}/{FILES[name]}" for name in ("jsonl", *self._formats))
        told = self._voice.warn if bad and self._voice.quiet else self._voice.say
        told(f"{good:,} of {count(good + bad, 'image')} annotated, {bad:,} failed: {files}")
        return 1 if bad else 0

    def _store(self, uri: str, path: Path, content_type: str) -> None:
        if isinstance(self._objects, TakesFiles):
            self._objects.write_file(uri, path, content_type)
        else:
            self._objects.write(uri, path.read_bytes(), content_type)


def _write(name: str, results: Iterator[ImageResult], path: Path, picture: Callable[[str], bytes | None]) -> None:
    if name == "parquet":
        from vision_grpc.parquet import write_parquet

        write_parquet(results, path)
    else:
        from vision_grpc.report import write_report

        write_report(results, path, picture=picture)
