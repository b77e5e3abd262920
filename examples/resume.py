"""Takes up an operation that another process started: python examples/resume.py projects/p/operations/0123456789abcdef

Set VISION_EMULATOR_HOST to run it against an emulator.
"""

import sys

from vision_grpc import Client, v1


def show(metadata: v1.OperationMetadata) -> None:
    print(v1.OperationMetadata.State.Name(metadata.state), metadata.update_time.ToDatetime(), file=sys.stderr)


if len(sys.argv) != 2:
    print("usage: python examples/resume.py projects/p/operations/0123456789abcdef", file=sys.stderr)
    sys.exit(2)
with Client() as client:
    response = client.wait_operation(sys.argv[1], timeout=3600, on_progress=show)
    print(response.output_config.gcs_destination.uri)
