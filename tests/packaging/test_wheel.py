"""The built wheel does the main job in a fresh environment, with the checkout out of sight."""

import json
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(folder), str(ROOT)], check=True)
    (built,) = folder.glob("*.whl")
    return built


def test_contents(wheel: Path) -> None:
    """The wheel holds vision_grpc with its types, and nothing else that could shadow or be mistaken for another package."""
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.partition("/")[0] for name in names}
    assert tops == {"vision_grpc", next(top for top in tops if top.endswith(".dist-info"))}
    assert "vision_grpc/py.typed" in names
    assert "vision_grpc/_gen/google/cloud/vision/v1/image_annotator_pb2.pyi" in names


def test_main_job(wheel: Path, tmp_path: Path) -> None:
    """A fresh environment with only the wheel annotates real pictures from outside the checkout."""
    venv.create(tmp_path / "venv")
    python = tmp_path / "venv/bin/python"
    # A pip of its own, and the bytecode of what is never imported, would take most of the time.
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "-q", "--no-compile", "--disable-pip-version-check"]
    subprocess.run([*pip, f"{wheel}[local]"], check=True)
    shutil.copytree(ROOT / "examples/images", tmp_path / "pictures")
    command = [str(python), "-m", "vision_grpc.submit", "pictures", "--features", "text,properties", "--output", "out"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    rows = [json.loads(line) for line in (tmp_path / "out/results.jsonl").read_text().splitlines()]
    assert [row["uri"] for row in rows if "error" in row] == ["pictures/broken.jpg"]
    assert all("imagePropertiesAnnotation" in row["response"] for row in rows if "error" not in row)
