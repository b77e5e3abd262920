"""Run by test_compatibility in other environments: everything that a second copy of protobuf's world could break.

Usage: python contract.py ours-first | theirs-first. Prints "ok" and the versions, or fails.
"""

import asyncio
import copy
import importlib
import importlib.metadata
import pickle
import sys
import tempfile
from pathlib import Path


def load(order: str) -> None:
    """Imports google.cloud.vision and this package in the named order, into one process."""
    names = ["vision_grpc.v1", "google.cloud.vision"]
    ours, theirs = (importlib.import_module(name) for name in (names if order == "ours-first" else names[::-1]))
    if order != "ours-first":
        ours, theirs = theirs, ours
    official = theirs.Feature(type_=theirs.Feature.Type.TEXT_DETECTION)
    assert theirs.Feature.serialize(official) == ours.Feature(type="TEXT_DETECTION").SerializeToString()


def messages() -> None:
    """Pickles, copies, packs and prints messages of the private pool."""
    from vision_grpc import v1, v1p1beta1, v1p4beta1
    from vision_grpc.messages import to_dict

    for door in (v1, v1p4beta1, v1p1beta1):
        request = door.AnnotateImageRequest(image={"source": {"image_uri": "gs://b/o"}}, features=[{"type": "TEXT_DETECTION"}])
        assert pickle.loads(pickle.dumps(request)) == request
        assert copy.deepcopy(request) == request
    response = v1.AsyncBatchAnnotateImagesResponse(output_config={"gcs_destination": {"uri": "gs://b/o/"}, "batch_size": 7})
    operation = v1.Operation(name="operations/1", done=True)
    operation.response.Pack(response)
    unpacked = v1.AsyncBatchAnnotateImagesResponse()
    assert operation.response.Unpack(unpacked)
    assert unpacked == response
    printed = to_dict(operation)
    assert printed["response"]["@type"].endswith("google.cloud.vision.v1.AsyncBatchAnnotateImagesResponse")
    assert printed["response"]["outputConfig"]["batchSize"] == 7


def calls() -> None:
    """Submits and waits, blocking and asyncio, over real gRPC."""
    from vision_grpc import AsyncClient, Client, image_requests
    from vision_grpc.emulator import Emulator

    def annotator(content: bytes, request: bytes) -> bytes:
        return b""

    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "a.png").write_bytes(b"picture")
        requests = image_requests(["gs://pictures/a.png"], "text")
        with Emulator(buckets={"pictures": folder, "out": folder}, annotator=annotator) as server:
            with Client(emulator=server.target) as client:
                response = client.wait_operation(client.async_batch_annotate(requests, "gs://out/sync/"), timeout=60)
                assert response.output_config.batch_size == 20

            async def main() -> None:
                async with AsyncClient(emulator=server.target) as aclient:
                    operation = await aclient.async_batch_annotate(requests, "gs://out/aio/")
                    answer = await aclient.wait_operation(operation, timeout=60)
                    assert answer.output_config.gcs_destination.uri == "gs://out/aio/"

            asyncio.run(main())
        assert (Path(folder) / "sync/output-1-to-1.json").read_bytes() == (Path(folder) / "aio/output-1-to-1.json").read_bytes()


if __name__ == "__main__":
    load(sys.argv[1])
    messages()
    calls()
    print("ok", *(f"{name} {importlib.metadata.version(name)}" for name in ("protobuf", "grpcio", "google-cloud-vision")))
