"""What a program pays before its first call: CPU time and modules of imports, each in a Python of its own."""

from __future__ import annotations

import compileall
import json
import subprocess
import sys
from pathlib import Path

import vision_grpc
from benchmarks import Sample, Table, take_turns

_PROGRAM = """
import json, sys, time
before, wall, cpu = len(sys.modules), time.perf_counter(), time.process_time()
{code}
print(json.dumps([time.perf_counter() - wall, time.process_time() - cpu, len(sys.modules) - before]))
"""
_GRPC = "import grpc"
_DOOR = "import vision_grpc"
_MESSAGES = "import grpc and the generated messages"
_READY = "Client ready to call"
_OFFICIAL = "google.cloud.vision, client ready to call"
PROGRAMS = {
    _GRPC: "import grpc",
    _DOOR: "import vision_grpc",
    _MESSAGES: "import grpc\nimport vision_grpc.v1",
    _READY: "from vision_grpc import Client\nClient(emulator='localhost:1')",
    "AsyncClient ready to call": "from vision_grpc import AsyncClient\nAsyncClient(emulator='localhost:1')",
    "import google.cloud.vision": "from google.cloud import vision",
    _OFFICIAL: (
        "import grpc\nfrom google.cloud import vision\n"
        "from google.cloud.vision_v1.services.image_annotator.transports import ImageAnnotatorGrpcTransport as T\n"
        "vision.ImageAnnotatorClient(transport=T(channel=grpc.insecure_channel('localhost:1')))"
    ),
    "googleapiclient, service built": (
        "from google.auth.credentials import AnonymousCredentials\nfrom googleapiclient import discovery\n"
        "discovery.build('vision', 'v1', credentials=AnonymousCredentials(), static_discovery=True, cache_discovery=False)"
    ),
}


def run(rounds: int) -> list[Table]:
    """Starts each program in turns."""
    # As pip compiles what it installs; an environment may forbid Python to keep what it compiles of a source tree.
    compileall.compile_dir(str(Path(vision_grpc.__file__).parent), quiet=1)
    contenders = {name: (lambda code=code: _start(code)) for name, code in PROGRAMS.items()}
    table = take_turns("imports, each in a process of its own (bytecode is compiled already)", contenders, max(rounds, 3))
    table.aim("CPU, Client ready to call ÷ import grpc", _READY, _GRPC, at_most=1.5)
    table.aim("CPU, Client ready to call ÷ google-cloud-vision's", _READY, _OFFICIAL, at_most=0.5)
    return [table]


def _start(code: str) -> Sample:
    done = subprocess.run([sys.executable, "-c", _PROGRAM.format(code=code)], capture_output=True, text=True, check=True)
    wall, cpu, modules = json.loads(done.stdout)
    return Sample(wall, cpu, {"modules": float(modules)})
