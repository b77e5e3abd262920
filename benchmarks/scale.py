"""Cost of one image at 10³, 10⁴, 10⁵ and 10⁶ images, in both directions, each size in a process of its own: time and memory.

Out: from a generator of URIs to checked, serialised requests. In: from shards on the disk to typed messages.
"""

from __future__ import annotations

import json
import random
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks import Row, Sample, Table, tabulate
from benchmarks.decode import labels
from vision_grpc import v1
from vision_grpc.messages import to_json

SIZES = (10**3, 10**4, 10**5, 10**6)
_SHARD = 100
_START = "import json, sys, time\nfrom itertools import islice\ncount, repeat = int(sys.argv[1]), int(sys.argv[2])\n"
_END = """
work(1000)  # a first time, for imports and what is made once
wall, cpu = time.perf_counter(), time.process_time()
for _ in range(repeat):
    work(count)
images = count * repeat
# Not ru_maxrss, which a process inherits from the one that started it.
peak = int(open("/proc/self/status").read().partition("VmHWM:")[2].split()[0]) / 1024
print(json.dumps([(time.perf_counter() - wall) / images, (time.process_time() - cpu) / images, peak]))
"""
_OUT = """
from vision_grpc import image_requests, v1
from vision_grpc.requests import async_request, check_request

def work(count):
    uris = (f"gs://photos-of-2026/scans/page-{index:07d}.jpg" for index in range(count))
    while part := list(islice(uris, 2000)):
        request = async_request(v1, image_requests(part, "text"), "gs://results/run/", None, None)
        check_request(request)
        request.SerializeToString()
"""
_IN = """
from vision_grpc.results import read_results

def work(count):
    assert sum(1 for _ in read_results(f"{sys.argv[3]}/{count}/")) == count
"""


def run(rounds: int, sizes: tuple[int, ...] = SIZES) -> list[Table]:
    """Measures each size in turns; of 10⁶ one round, which has enough of them to be its own median."""
    with tempfile.TemporaryDirectory() as folder:
        _write(Path(folder), {1000, *sizes})
        return [
            _table("out: URIs to requests, per image", _OUT, folder, sizes, min(rounds, 3)),
            _table("in: shards to messages, per image", _IN, folder, sizes, min(rounds, 3)),
        ]


def _table(title: str, program: str, folder: str, sizes: tuple[int, ...], rounds: int) -> Table:
    samples: dict[str, list[Sample]] = {f"{size:,} images": [] for size in sizes}
    for turn in range(rounds):
        for size in sizes:
            if turn and size >= 10**6:
                continue
            repeat = max(1, min(sizes[-1], 20_000) // size)
            command = [sys.executable, "-c", _START + program + _END, str(size), str(repeat), folder]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            wall, cpu, peak = json.loads(done.stdout)
            samples[f"{size:,} images"].append(Sample(wall, cpu, {"peak RSS MB": peak}))
    table = tabulate(title, samples)
    costs = [row.cpu or 0.0 for row in table.rows]
    middle = statistics.median(costs)
    table.aim_figure(
        f"CPU an image, the farthest size from the middle: {title}", max(abs(cost / middle - 1) for cost in costs), at_most=0.10
    )
    return Table(title, [_micro(row) for row in table.rows], table.targets)


def _micro(row: Row) -> Row:
    """Adds the microseconds of an image, of which milliseconds show nothing."""
    return Row(row.name, figures={"CPU µs an image": (row.cpu or 0.0) * 1e6, "wall µs": (row.median or 0.0) * 1e6, **row.figures})


def _write(folder: Path, sizes: set[int]) -> None:
    """One shard of a hundred images with labels, and as many names for it as the sizes need."""
    chance = random.Random(6)
    batch = v1.BatchAnnotateImagesResponse(responses=[labels(chance, index) for index in range(_SHARD)])
    first = folder / "shard.json"
    first.write_text(to_json(batch, indent=True))
    for size in sizes:
        place = folder / str(size)
        place.mkdir()
        for start in range(0, size, _SHARD):
            path = place / f"output-{start + 1}-to-{start + _SHARD}.json"
            try:
                path.hardlink_to(first)
            except OSError:  # file systems bound the links of a file
                path.write_bytes(first.read_bytes())
