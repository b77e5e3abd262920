"""Buf's protobuf-py as a peer: its messages, generated from our own protos when a benchmark needs them."""

from __future__ import annotations

import importlib
import os
import shutil
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc_tools
from google.api import annotations_pb2
from grpc_tools import protoc

_PROTOS = Path(__file__).resolve().parent.parent / "protos"
_COMMON = Path(annotations_pb2.__file__).parents[2]
_KNOWN = Path(grpc_tools.__file__).parent / "_proto"
_IMPORTED = (
    *(f"google/api/{name}.proto" for name in ("annotations", "client", "field_behavior", "http", "launch_stage", "resource")),
    *("google/rpc/status.proto", "google/type/color.proto", "google/type/latlng.proto"),
)


@contextmanager
def from_json() -> Iterator[Callable[[bytes], Any]]:
    """A function that reads a BatchAnnotateImagesResponse of v1 from JSON, for as long as the generated code lies there.

    Raises:
        SystemExit: The plugin is not installed, or protoc refuses.
    """
    plugin = shutil.which("protoc-gen-py", path=os.pathsep.join((sysconfig.get_path("scripts"), os.environ.get("PATH", ""))))
    if plugin is None:
        raise SystemExit("protoc-gen-py is missing: pip install 'vision-grpc[bench]'")
    sources = [path.relative_to(_PROTOS).as_posix() for path in sorted(_PROTOS.glob("google/cloud/vision/v1/*.proto"))]
    with tempfile.TemporaryDirectory() as folder:
        # Below a package of its own: the generated `google` must not hide the installed one.
        (Path(folder) / "of_protobuf_py").mkdir()
        includes = [f"-I{path}" for path in (_PROTOS, _COMMON, _KNOWN)]
        outputs = [f"--plugin=protoc-gen-py={plugin}", f"--py_out={folder}/of_protobuf_py"]
        if protoc.main(["protoc", *includes, *outputs, *sources, "google/longrunning/operations.proto", *_IMPORTED]):
            raise SystemExit("protoc refused our protos")
        sys.path.insert(0, folder)
        try:
            module = importlib.import_module("of_protobuf_py.google.cloud.vision.v1.image_annotator_pb")
            yield lambda text: module.BatchAnnotateImagesResponse.from_json(text, ignore_unknown_fields=True)
        finally:
            sys.path.remove(folder)
