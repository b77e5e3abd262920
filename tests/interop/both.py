"""Both libraries in one process, each submitting to the same server. Usage: python both.py ours|theirs ADDRESS ROOT."""

import asyncio
import importlib
import sys
from pathlib import Path
from typing import Any

order, address, root = sys.argv[1:]
NAMES = ["vision_grpc.v1", "google.cloud.vision"]
for name in NAMES if order == "ours" else NAMES[::-1]:
    importlib.import_module(name)

from google.api_core.client_options import ClientOptions  # noqa: E402 - the order above is what is tested
from google.auth.credentials import AnonymousCredentials  # noqa: E402
from google.cloud import vision  # noqa: E402

from vision_grpc import AsyncClient, Client, v1  # noqa: E402


def anonymous() -> Any:
    """Credentials that send nothing."""
    return AnonymousCredentials()  # type: ignore[no-untyped-call]


def theirs() -> vision.AsyncBatchAnnotateImagesRequest:
    """A request in their types."""
    return vision.AsyncBatchAnnotateImagesRequest(
        requests=[{"image": {"source": {"image_uri": "gs://photos/a.png"}}, "features": [{"type_": vision.Feature.Type.TEXT_DETECTION}]}],
        output_config={"gcs_destination": {"uri": "gs://out/theirs/"}},
    )


async def asynchronous(options: dict[str, Any]) -> None:
    """Both asyncio clients on one loop."""
    client = vision.ImageAnnotatorAsyncClient(credentials=anonymous(), client_options=ClientOptions(api_endpoint=address))
    operation = await client.async_batch_annotate_images(request=theirs())
    async with AsyncClient(**options) as ours:
        response = await ours.wait_operation(operation.operation)
        assert type(response) is v1.AsyncBatchAnnotateImagesResponse
        assert response.output_config.gcs_destination.uri == "gs://out/theirs/"
        await ours.wait_operation(await ours.async_batch_annotate(theirs()))
    await client.transport.close()  # type: ignore[no-untyped-call]


def main() -> None:
    """Both blocking clients, then both asyncio ones."""
    options: dict[str, Any] = {"endpoint": address, "credentials": anonymous(), "root_certificates": Path(root).read_bytes()}
    client = vision.ImageAnnotatorClient(credentials=anonymous(), client_options=ClientOptions(api_endpoint=address))
    operation = client.async_batch_annotate_images(request=theirs())
    with Client(**options) as ours:
        # Their operation is waited for by our client, and our request goes out in their types.
        response = ours.wait_operation(operation.operation)
        assert response.SerializeToString() == vision.AsyncBatchAnnotateImagesResponse.serialize(operation.result())  # type: ignore[no-untyped-call]
        ours.wait_operation(ours.async_batch_annotate(theirs()))
    asyncio.run(asynchronous(options))
    print("ok")


if __name__ == "__main__":
    main()
