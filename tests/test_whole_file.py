"""A file that is written whole or not at all."""

import os
import stat
from pathlib import Path

import pytest

from vision_grpc._objects.whole_file import whole_file


def test_it_is_on_the_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All bytes are synchronised before the file takes its name, and its folder after: a power cut leaves the old or the new."""
    target = tmp_path / "results.jsonl"
    target.write_bytes(b"old")
    synced = []
    fsync = os.fsync

    def note(descriptor: int) -> None:
        status = os.fstat(descriptor)
        synced.append(("folder" if stat.S_ISDIR(status.st_mode) else status.st_size, target.read_bytes()))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    with whole_file(target) as file:
        file.write(b"new, and longer")
    assert synced == [(15, b"old"), ("folder", b"new, and longer")]


def test_a_block_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    """The old file stays as it was, and nothing unfinished beside it."""
    target = tmp_path / "results.jsonl"
    target.write_bytes(b"old")
    with pytest.raises(RuntimeError, match="half-way"), whole_file(target) as file:
        file.write(b"half")
        raise RuntimeError("half-way")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("results.jsonl", b"old")]


def test_folders_are_made_and_not_replaced(tmp_path: Path) -> None:
    """Folders on the way are made; one that lies in the place of the file is refused by name."""
    with whole_file(tmp_path / "a" / "b" / "report.html") as file:
        file.write(b"<html>")
    assert (tmp_path / "a" / "b" / "report.html").read_bytes() == b"<html>"
    with pytest.raises(IsADirectoryError, match="is a folder: name a file in it"), whole_file(tmp_path / "a"):
        pass
