"""Cost of one image at 10³, 10⁴, 10⁵ and 10⁶ images, in both directions, each size in a process of its own: time and memory.

Out: from a generator of URIs to checked, serialised requests, beside raw protobuf's loop over the same URIs. In: from shards on
the disk to typed messages, beside orjson alone over the same shards. Both take turns within the process all the way, and what has
to be flat is their ratio: a machine whose speed changes within the minutes that this takes would have no flat costs.
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
_START = """
import json, sys, time
from itertools import islice
count, repeat = int(sys.argv[1]), int(sys.argv[2])
yardstick = 0.0
"""
_END = """
work(1000)  # a first time, for imports and what is made once
wall, cpu, yardstick = time.perf_counter(), time.process_time(), 0.0
for _ in range(repeat):
    work(count)
cpu = time.process_time() - cpu - yardstick
wall = time.perf_counter() - wall - yardstick
images = count * repeat
# Not ru_maxrss, which a process inherits from the one that started it.
peak = int(open("/proc/self/status").read().partition("VmHWM:")[2].split()[0]) / 1024
print(json.dumps([wall / images, cpu / images, peak, cpu / yardstick]))
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
        plain(part)

def plain(part):
    global yardstick
    began = time.thread_time()
    request = v1.AsyncBatchAnnotateImagesRequest()
    for uri in part:
        item = request.requests.add()
        item.image.source.image_uri = uri
        item.features.add().type = 5
    request.output_config.gcs_destination.uri = "gs://results/run/"
    request.SerializeToString()
    yardstick += time.thread_time() - began
"""
_IN = """
import orjson
from pathlib import Path
from vision_grpc.results import read_results

text = Path(sys.argv[3], "shard.json").read_bytes()

def work(count):
    read = 0
    for result in read_results(f"{sys.argv[3]}/{count}/"):
        read += 1
        if read % 1000 == 0:
            plain()
    assert read == count

def plain():
    global yardstick
    began = time.thread_time()
    for _ in range(10):
        orjson.loads(text)
    yardstick += time.thread_time() - began
"""


def run(rounds: int, sizes: tuple[int, ...] = SIZES) -> list[Table]:
    """Measures each size in turns; of 10⁶ one round, which is long enough to be its own median."""
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
            wall, cpu, peak, ratio = json.loads(done.stdout)
            samples[f"{size:,} images"].append(Sample(wall, cpu, {"peak RSS MB": peak, "CPU ÷ yardstick": ratio}))
    table = tabulate(title, samples)
    costs = [row.figures["CPU ÷ yardstick"] for row in table.rows]
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
