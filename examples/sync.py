"""Annotates images and says where the results are: python examples/sync.py gs://bucket/a.jpg gs://bucket/b.jpg … gs://bucket/out/

Set VISION_EMULATOR_HOST to run it against an emulator.
"""

import sys

from vision_grpc import Client, OperationFailed, WaitTimeout, image_requests


def main(uris: list[str], destination: str) -> None:
    with Client() as client:
        operation = client.async_batch_annotate(image_requests(uris, ["text"]), destination)
        print("started", operation.name)
        try:
            response = client.wait_operation(operation, timeout=600)
        except WaitTimeout as error:
            sys.exit(f"still running: python examples/resume.py {error.name}")
        except OperationFailed as error:
            sys.exit(str(error))
        print("results below", response.output_config.gcs_destination.uri)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        print("usage: python examples/sync.py gs://bucket/a.jpg … gs://bucket/out/", file=sys.stderr)
        sys.exit(2)
    main(sys.argv[1:-1], sys.argv[-1])
