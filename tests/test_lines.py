"""The lines of a job as they come, and as they are put in order: what a crash leaves of them, and what is no line of theirs."""

import subprocess
import sys
from pathlib import Path

import pytest

from vision_grpc._cli.command import Voice
from vision_grpc._cli.lines import Lines, in_order
from vision_grpc._cli.output import Publisher
from vision_grpc.errors import LedgerError
from vision_grpc.objects import LocalFiles


def line(index: int, uri: str = "gs://b/a.jpg") -> bytes:
    return b'{"index":%d,"uri":"%s","response":{}}\n' % (index, uri.encode())


def written(path: Path, *lines: bytes) -> Path:
    made = Lines(path)
    made.append(list(lines))
    made.close()
    return path


def test_any_order(tmp_path: Path) -> None:
    """Lines that came in any order, over several runs, come out in that of their images."""
    path = tmp_path / "lines"
    written(path, line(2), line(0))
    written(path, line(3), line(1))
    assert list(in_order(path, 4)) == [line(0), line(1), line(2), line(3)]


def test_the_last_counts(tmp_path: Path) -> None:
    """Of what was handed out twice, around a crash, the last line counts; it may be longer or shorter than the first."""
    path = written(tmp_path / "lines", line(0, "gs://b/first.jpg"), line(1), line(0, "gs://b/b"), line(1, "gs://b/a-later-one.jpg"))
    assert list(in_order(path, 2)) == [line(0, "gs://b/b"), line(1, "gs://b/a-later-one.jpg")]


@pytest.mark.parametrize("length", [1, 20, 70_000, 200_000])
@pytest.mark.parametrize("before", [0, 1])
def test_torn_last_line(length: int, before: int, tmp_path: Path) -> None:
    """A line that a crash cut off, however long, is cut away where the next run begins, and comes again."""
    path = tmp_path / "lines"
    path.write_bytes(b"".join(line(index) for index in range(before)) + line(before, "x" * length)[:-1])
    with pytest.raises(LedgerError, match=f"should hold the results of {before + 1} image.*and holds {before}"):
        list(in_order(path, before + 1))
    written(path, line(before))
    assert path.read_bytes() == b"".join(line(index) for index in range(before + 1))
    assert list(in_order(path, before + 1)) == [line(index) for index in range(before + 1)]


def test_a_full_disk(tmp_path: Path) -> None:
    """A disk without room for the lines is told with their file's name; what stands there whole counts, and the rest comes again."""
    path = tmp_path / "lines"
    code = (
        "import resource, signal\nfrom pathlib import Path\nfrom vision_grpc._cli.lines import Lines\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\nresource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
        f"lines = Lines(Path({str(path)!r}))\ntry:\n    lines.append([{line(0)!r}] * 3)\n"
        "except OSError as error:\n    print(error)\nlines.close()"
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (other.stdout, other.stderr) == (f"[Errno 27] File too large: '{path}'\n", "")
    written(path, line(1))
    assert path.read_bytes() == line(0) * 2 + line(1)


def test_foreign_lines(tmp_path: Path) -> None:
    """Lines without an index, with one that no image of the job has, or that are no lines of results, are passed over."""
    foreign = [
        b"\n",
        b"words\n",
        b'{"uri":"gs://b/a","index":0}\n',
        b'{"index":-1}\n',
        b'{"index":"0"}\n',
        b'{"index":0.5}\n',
        b"\xff\x00\n",
    ]
    path = written(
        tmp_path / "lines", *foreign, line(1), line(2), line(7), line(10**30), *foreign, b'{"index": 0, "uri": "spaced"}\n', *foreign
    )
    assert list(in_order(path, 2)) == [b'{"index": 0, "uri": "spaced"}\n', line(1)]


def test_no_images(tmp_path: Path) -> None:
    """A job without images has no lines."""
    assert list(in_order(written(tmp_path / "lines"), 0)) == []


@pytest.mark.parametrize("kept", [(), (0,), (0, 2), (1, 2), (0, 0, 0)])
def test_a_missing_index(kept: tuple[int, ...], tmp_path: Path) -> None:
    """Where an image has no line the publishing is refused, what was published before stays, and no other file is made."""
    path = written(tmp_path / "job.db.results.jsonl", *map(line, kept))
    place = tmp_path / "out"
    place.mkdir()
    (place / "results.jsonl").write_bytes(b"of before\n")
    publisher = Publisher(str(place), ["html"], LocalFiles(), Voice(None, None, machine=False, quiet=True), "v1")
    with pytest.raises(LedgerError, match=f"should hold the results of 3 images, and holds {len(set(kept))}: .*nothing was written"):
        publisher.publish(path, lambda _: None, ok=2, failed=1)
    assert {file.name: file.read_bytes() for file in place.iterdir()} == {"results.jsonl": b"of before\n"}
