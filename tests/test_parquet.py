"""The Parquet file: what a reader of another library finds in it, that it streams, and that it is whole or not there."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from google.protobuf import json_format

from vision_grpc import ImageError, v1, v1p4beta1
from vision_grpc import parquet as _parquet
from vision_grpc.parquet import write_parquet
from vision_grpc.results import ImageResult


def labelled(index: int) -> ImageResult:
    """A result with a text of two words, two labels and a face."""
    uri = f"gs://photos/{index}.jpg"
    response = v1.AnnotateImageResponse(context=v1.ImageAnnotationContext(uri=uri))
    for text in ("Grüße 你好\n", "Grüße", "你好"):
        response.text_annotations.add(description=text)
    response.label_annotations.add(description="cat", score=0.5)
    response.label_annotations.add(description="Ünï", score=0.25)
    response.face_annotations.add(roll_angle=3)
    return ImageResult(index, uri, response)


def failed(index: int, uri: str = "gs://photos/none.jpg") -> ImageResult:
    """A result with an error and no annotation."""
    return ImageResult(index, uri, v1.AnnotateImageResponse(), ImageError(5, "Error opening file.", index=index, uri=uri))


def test_columns_hold_what_the_results_say(tmp_path: Path) -> None:
    """Every column, for an annotated image and for a failed one; the response comes back whole from both of its forms."""
    write_parquet([labelled(0), failed(1)], tmp_path / "new" / "results.parquet")
    table = pq.read_table(tmp_path / "new" / "results.parquet")
    first, second = table.to_pylist()
    response = labelled(0).response
    assert v1.AnnotateImageResponse.FromString(first.pop("response_protobuf")) == response
    assert json_format.Parse(first.pop("response_json"), v1.AnnotateImageResponse()) == response
    assert {key: value for key, value in first.items() if not key.endswith("_count")} == {
        "index": 0,
        "uri": "gs://photos/0.jpg",
        "error_code": None,
        "error_message": None,
        "text": "Grüße 你好",
        "labels": [{"description": "cat", "score": 0.5}, {"description": "Ünï", "score": 0.25}],
    }
    counts = {key: value for key, value in first.items() if key.endswith("_count")}
    assert {key for key, value in counts.items() if value} == {"word_count", "label_count", "face_count"}
    assert set(counts) >= {
        "object_count",
        "logo_count",
        "landmark_count",
        "block_count",
        "color_count",
        "crop_hint_count",
        "web_entity_count",
    }
    assert (counts["word_count"], counts["label_count"], counts["face_count"]) == (2, 2, 1)
    assert (second["error_code"], second["error_message"], second["text"], second["labels"]) == (
        "NOT_FOUND",
        "Error opening file.",
        None,
        [],
    )
    assert json.loads(second["response_json"]) == {}


def test_the_file_names_the_message_of_its_bytes(tmp_path: Path) -> None:
    """The metadata says which message to parse the bytes as, for another API version too."""
    path = tmp_path / "results.parquet"
    for response, package in ((v1.AnnotateImageResponse(), "v1"), (v1p4beta1.AnnotateImageResponse(), "v1p4beta1")):
        write_parquet([ImageResult(0, "gs://b/o", response)], path)  # type: ignore[arg-type]
        metadata = pq.read_schema(path).metadata
        assert metadata[b"vision_grpc.message"].decode() == f"google.cloud.vision.{package}.AnnotateImageResponse"


def test_rows_are_written_in_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A group is closed by its rows, or by its bytes where the responses are large, and the order is kept."""
    monkeypatch.setattr(_parquet, "_GROUP_ROWS", 4)
    path = tmp_path / "results.parquet"
    write_parquet((labelled(index) for index in range(10)), path)
    metadata = pq.ParquetFile(path).metadata
    assert [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)] == [4, 4, 2]
    assert pq.read_table(path)["index"].to_pylist() == list(range(10))
    monkeypatch.setattr(_parquet, "_GROUP_BYTES", 1)
    write_parquet((labelled(index) for index in range(3)), path)
    assert pq.ParquetFile(path).metadata.num_row_groups == 3


def test_results_are_not_gathered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows leave memory with their group: the file has grown before the last result is asked for."""
    monkeypatch.setattr(_parquet, "_GROUP_ROWS", 10)
    sizes = []

    def results() -> Iterator[ImageResult]:
        for index in range(200):
            sizes.append(sum(path.stat().st_size for path in tmp_path.iterdir()))
            yield labelled(index)

    write_parquet(results(), tmp_path / "results.parquet")
    assert sizes[100] < sizes[199]
    assert [path.name for path in tmp_path.iterdir()] == ["results.parquet"]


def test_no_results_are_an_empty_table(tmp_path: Path) -> None:
    """A job without results gives a file with the same columns and no row."""
    write_parquet([], tmp_path / "none.parquet")
    write_parquet([labelled(0)], tmp_path / "one.parquet")
    assert pq.read_table(tmp_path / "none.parquet").num_rows == 0
    assert pq.read_schema(tmp_path / "none.parquet") == pq.read_schema(tmp_path / "one.parquet")


def test_a_file_name_that_is_no_text_is_kept_readable(tmp_path: Path) -> None:
    """Bytes of a local file name that are not UTF-8 are spelled out, since Parquet holds text alone."""
    write_parquet([failed(0, uri=b"caf\xe9.jpg".decode("utf-8", "surrogateescape"))], tmp_path / "results.parquet")
    assert pq.read_table(tmp_path / "results.parquet")["uri"].to_pylist() == ["caf\\udce9.jpg"]


def test_results_that_break_off_leave_nothing(tmp_path: Path) -> None:
    """Where the results end in an error, a file of before stays as it was and nothing lies beside it."""

    def results() -> Iterator[ImageResult]:
        yield labelled(0)
        raise RuntimeError("the shard is cut off")

    (tmp_path / "results.parquet").write_text("before")
    with pytest.raises(RuntimeError, match="cut off"):
        write_parquet(results(), tmp_path / "results.parquet")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("results.parquet", "before")]


def test_without_pyarrow_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """pyarrow is an extra; its absence is one sentence that says how to install it, and no file."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ModuleNotFoundError, match=r"^Parquet files need pyarrow: pip install 'vision-grpc\[parquet\]'\.$"):
        write_parquet([], tmp_path / "results.parquet")
    assert list(tmp_path.iterdir()) == []
