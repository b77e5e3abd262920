"""examples/images: what examples/make_images.py draws, and nothing else."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
IMAGES = EXAMPLES / "images"


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the script has just drawn into."""
    folder = tmp_path_factory.mktemp("drawn") / "new"
    command = [sys.executable, str(EXAMPLES / "make_images.py"), "--out", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [str(path) for path in sorted(folder.iterdir())]
    return folder


def test_script_draws_the_same_files(drawn: Path) -> None:
    """No picture is missing and none is left over; together they stay small."""
    assert sorted(path.name for path in drawn.iterdir()) == sorted(path.name for path in IMAGES.iterdir())
    assert sum(path.stat().st_size for path in IMAGES.iterdir()) < 400_000


@pytest.mark.parametrize("name", sorted(path.name for path in IMAGES.iterdir() if path.name != "broken.jpg"))
def test_script_draws_the_same_pictures(drawn: Path, name: str) -> None:
    """Size, orientation and pixels agree, but for what another version of FreeType or libjpeg rounds differently."""
    with Image.open(IMAGES / name) as old, Image.open(drawn / name) as new:
        assert (new.size, new.mode, dict(new.getexif())) == (old.size, old.mode, dict(old.getexif()))
        difference = np.abs(np.asarray(old, dtype=np.int16) - np.asarray(new, dtype=np.int16))
    assert difference.mean() < 1.5


def test_broken_example_is_a_cut_off_photo() -> None:
    """The broken file is the first half of the landscape, which no decoder takes for a whole picture."""
    whole, broken = ((IMAGES / name).read_bytes() for name in ("landscape.jpg", "broken.jpg"))
    assert whole.startswith(broken)
    with Image.open(IMAGES / "broken.jpg") as image, pytest.raises(OSError, match="truncated"):
        image.load()
