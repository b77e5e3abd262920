"""The embedded server that the Beam benchmark calls, as a program: annotates each picture with its own bytes, after a while.

Prints where it listens and the PEM to trust. Each line on its input says how many seconds an image takes from then on, and is
answered by how many calls of each method there were since the line before.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from pathlib import Path

from vision_grpc import v1
from vision_grpc.emulator import Emulator


def serve(root: Path) -> None:
    """Serves until the input ends; 16 images are annotated at the same time."""
    seconds = 0.0

    def annotate(content: bytes, _: bytes) -> bytes:
        time.sleep(seconds)
        return v1.AnnotateImageResponse(text_annotations=[v1.EntityAnnotation(description=content.decode())]).SerializeToString()

    buckets = {name: root / name for name in ("photos", "out")}
    with Emulator(buckets=buckets, annotator=annotate, tls=True, workers=16) as server:
        print(json.dumps({"target": server.target, "root": server.root_certificate.decode()}), flush=True)
        seen = 0
        for line in sys.stdin:
            seconds = float(line)
            calls = server.calls[seen:]
            seen += len(calls)
            print(json.dumps(Counter(call.method for call in calls)), flush=True)


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
