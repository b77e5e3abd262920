"""The embedded server in a process of its own, for tests that kill it or its client: answers every line with what was submitted.

Pictures are annotated with their own bytes as text, so that a result can be told from any other.
"""

from __future__ import annotations

import json
import sys

from vision_grpc import v1
from vision_grpc.emulator import Emulator


def spell(content: bytes, _: bytes) -> bytes:
    return v1.AnnotateImageResponse(text_annotations=[v1.EntityAnnotation(description=content.decode())]).SerializeToString()


def main(root: str, port: str, state: str, seconds: str) -> None:
    buckets = {"photos": f"{root}/photos", "out": f"{root}/out"}
    with Emulator(
        buckets=buckets, annotator=spell, port=int(port), state=state or None, operation_seconds=float(seconds), record=100_000
    ) as server:
        print(server.target, flush=True)
        for _ in sys.stdin:
            submits = [call.message for call in server.calls if call.method == "AsyncBatchAnnotateImages"]
            told = [
                [message.output_config.gcs_destination.uri, [request.image.source.image_uri for request in message.requests]]
                for message in submits
            ]
            print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
