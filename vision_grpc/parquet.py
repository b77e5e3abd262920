"""Results as one Parquet file, a row an image, for analysis with other tools. pyarrow (extra ``parquet``) is imported when used.

Columns: index, uri, error_code and error_message (null where the image did not fail), text (null where none was found),
labels (a list of description and score), ``<kind>_count`` for each kind of annotation, and the whole response twice: as
proto3 JSON and as protobuf bytes, whose message type the file's metadata names under ``vision_grpc.message``.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from vision_grpc import v1
from vision_grpc._json.encode import encode
from vision_grpc._objects.whole_file import whole_file
from vision_grpc._report import facts as _facts

if TYPE_CHECKING:
    import pyarrow as pa

_GROUP_ROWS = 2_000
# Dense OCR is 1 MB of JSON a page: a group of such pages is closed by size long before it is by rows.
_GROUP_BYTES = 32 * 1024 * 1024


def write_parquet(results: Iterable[_facts.ResultLike], path: str | os.PathLike[str]) -> None:
    """Writes the results to ``path`` in their order, in row groups of at most 2,000 images or some 32 MB of responses.

    One group is in memory at a time. The file appears when it is whole; a file that was there is replaced.

    Args:
        results: `ImageResult` objects, or any that have their index, uri, response and error.
        path: the file; its folder is made where it is missing.

    Raises:
        ModuleNotFoundError: pyarrow is not installed.
        OSError: the file cannot be written.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("Parquet files need pyarrow: pip install 'vision-grpc[parquet]'.", name="pyarrow") from error

    writer: pq.ParquetWriter | None = None
    rows: list[dict[str, Any]] = []
    size = 0
    with whole_file(path) as file:
        try:
            for result in results:
                writer = writer or pq.ParquetWriter(file, _schema(pa, result.response), compression="zstd")
                rows.append(_row(result))
                size += len(rows[-1]["response_json"]) + len(rows[-1]["response_protobuf"])
                if len(rows) >= _GROUP_ROWS or size >= _GROUP_BYTES:
                    writer.write_table(pa.Table.from_pylist(rows, schema=writer.schema))
                    rows, size = [], 0
            writer = writer or pq.ParquetWriter(file, _schema(pa, v1.AnnotateImageResponse()), compression="zstd")
            if rows:
                writer.write_table(pa.Table.from_pylist(rows, schema=writer.schema))
        finally:
            if writer is not None:
                writer.close()


def _schema(pa: Any, response: v1.AnnotateImageResponse) -> pa.Schema:
    text = pa.string()
    fields = [
        pa.field("index", pa.int64(), nullable=False),
        pa.field("uri", text, nullable=False),
        pa.field("error_code", text),
        pa.field("error_message", text),
        pa.field("text", text),
        pa.field("labels", pa.list_(pa.struct([("description", text), ("score", pa.float32())])), nullable=False),
        *(pa.field(f"{_singular(kind)}_count", pa.int32(), nullable=False) for kind in _facts.COUNTED),
        pa.field("response_json", text, nullable=False),
        pa.field("response_protobuf", pa.binary(), nullable=False),
    ]
    return pa.schema(fields, metadata={"vision_grpc.message": response.DESCRIPTOR.full_name})


def _row(result: _facts.ResultLike) -> dict[str, Any]:
    response, error = result.response, result.error
    return {
        "index": result.index,
        # A file name that is not UTF-8 reaches Python as lone surrogates, which Parquet cannot hold.
        "uri": result.uri.encode("utf-8", "backslashreplace").decode(),
        "error_code": error.code.name if error else None,
        "error_message": error.message if error else None,
        "text": _facts.whole_text(response) or None,
        "labels": [{"description": label.description, "score": label.score} for label in response.label_annotations],
        **{f"{_singular(kind)}_count": number for kind, number in _facts.counts(response).items()},
        "response_json": encode(response).decode(),
        "response_protobuf": response.SerializeToString(),
    }


def _singular(kind: str) -> str:
    return kind.removesuffix("ies") + "y" if kind.endswith("ies") else kind.removesuffix("s")
