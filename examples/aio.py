"""Annotates images in several requests at once: python examples/aio.py gs://bucket/out/ gs://bucket/a.jpg gs://bucket/b.jpg …

Set VISION_EMULATOR_HOST to run it against an emulator.
"""

import asyncio
import sys

from vision_grpc import AsyncClient, VisionError, image_requests, split_requests


async def main(destination: str, uris: list[str]) -> None:
    async with AsyncClient() as client:
        names = []
        for number, part in enumerate(split_requests(image_requests(uris, ["text", "properties"]), 100)):
            operation = await client.async_batch_annotate(part, f"{destination}{number}/")
            names.append(operation.name)
        async for name, outcome in client.wait_operations(names, timeout=600):
            if isinstance(outcome, VisionError):
                print(name, "failed:", outcome)
            else:
                print(name, "wrote", outcome.output_config.gcs_destination.uri)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        print("usage: python examples/aio.py gs://bucket/out/ gs://bucket/a.jpg …", file=sys.stderr)
        sys.exit(2)
    asyncio.run(main(sys.argv[1], sys.argv[2:]))
