"""A job in real time against the embedded server in a process of its own, with an annotator that does nothing.

``python -m benchmarks.million [--images 1000000]`` prints images a second, and CPU and peak memory of client and server. The server
reads no picture and answers each image with one label, so that what is measured is the journey: requests, operations, shards, results.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from vision_grpc import AnnotationJob, AsyncClient
from vision_grpc._cli.command import NEARBY
from vision_grpc.objects import LocalObjects, ObjectInfo

SERVER = """
import resource, sys, time
from vision_grpc import v1
from vision_grpc.emulator import Emulator
from benchmarks.million import OnePicture

answer = v1.AnnotateImageResponse(label_annotations=[{"description": "harbour", "score": 0.9}]).SerializeToString()
with Emulator(objects=OnePicture(sys.argv[1]), annotator=lambda content, request: answer, record=False) as server:
    print(server.target, flush=True)
    sys.stdin.read()
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(used.ru_utime + used.ru_stime, used.ru_maxrss // 1024, flush=True)
"""


class OnePicture:
    """Every name in gs://pictures is the same small object; the other bucket is a folder."""

    def __init__(self, folder: str) -> None:
        self._output = LocalObjects({"out": folder})

    def read(self, uri: str) -> bytes:
        return b"picture" if uri.startswith("gs://pictures/") else self._output.read(uri)

    def size(self, uri: str) -> int:
        return 7 if uri.startswith("gs://pictures/") else self._output.size(uri)

    def exists(self, uri: str) -> bool:
        return uri.startswith("gs://pictures/") or self._output.exists(uri)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        return self._output.list(prefix)

    def write(self, uri: str, data: bytes, content_type: str = "application/octet-stream") -> None:
        self._output.write(uri, data, content_type)


async def annotate(images: int, target: str, folder: Path) -> int:
    """Runs the job; returns how many results were of the right image and annotated."""
    uris = (f"gs://pictures/{number:08d}.jpg" for number in range(images))
    good = 0
    # Polled as the command line polls a server on this machine: the intervals for the service's would be most of what is measured.
    async with AsyncClient(emulator=target, polling=NEARBY) as client:
        job = AnnotationJob(
            uris,
            features="labels",
            output="gs://out/job/",
            client=client,
            ledger=folder / "job.db",
            objects=LocalObjects({"out": folder}),
            batch_size=100,
            order="input",
        )
        expected = 0
        async for results in job.slices():
            for result in results:
                good += (
                    result.ok
                    and result.uri.endswith(f"/{expected:08d}.jpg")
                    and result.response.label_annotations[0].description == "harbour"
                )
                expected += 1
        assert job.summary.end == "complete", job.summary
        assert job.summary.sent == images, job.summary
    return good


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.million", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--images", type=int, default=1_000_000, help="images of the job (default: %(default)s)")
    images = parser.parse_args().images
    with tempfile.TemporaryDirectory() as name:
        command = [sys.executable, "-c", SERVER, name]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            target = server.stdout.readline().strip()
            wall, cpu = time.perf_counter(), time.process_time()
            good = asyncio.run(annotate(images, target, Path(name)))
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            answer, _ = server.communicate()
            server_cpu, server_memory = answer.split()
        ledger = (Path(name) / "job.db").stat().st_size / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"{good:,} of {images:,} images annotated, in order, each sent once: {wall:.1f} s, {images / wall:,.0f} images/s")
    print(f"client: {cpu:.1f} s CPU ({cpu / wall:.0%} of a core), {peak} MB at its peak; ledger {ledger:.1f} MB")
    print(f"server: {float(server_cpu):.1f} s CPU ({float(server_cpu) / wall:.0%} of a core), {server_memory} MB at its peak")


if __name__ == "__main__":
    main()
