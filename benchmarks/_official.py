"""The official clients, pointed at a benchmark's server as their users would point them."""

from __future__ import annotations

import datetime
from typing import Any

import grpc
from google.auth.credentials import AnonymousCredentials, Credentials
from google.cloud import vision
from google.cloud.vision_v1.services.image_annotator.transports import ImageAnnotatorGrpcAsyncIOTransport, ImageAnnotatorGrpcTransport
from googleapiclient import discovery


class StaticCredentials(Credentials):
    """Credentials whose token is there already and good for a day: what every client does after its first call."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.token = "a-token-" + "0" * 200
        self.expiry = datetime.datetime.now(datetime.UTC).replace(tzinfo=None) + datetime.timedelta(days=1)

    def refresh(self, request: Any) -> None:
        raise AssertionError("the token is good for a day")


def sync_client(target: str, root: bytes = b"", credentials: Credentials | None = None) -> vision.ImageAnnotatorClient:
    """ImageAnnotatorClient; over TLS where there is a root."""
    if root:
        host = target.replace("127.0.0.1", "localhost")
        tls = grpc.ssl_channel_credentials(root)
        transport = ImageAnnotatorGrpcTransport(host=host, credentials=credentials, ssl_channel_credentials=tls)
    else:
        transport = ImageAnnotatorGrpcTransport(channel=grpc.insecure_channel(target))
    return vision.ImageAnnotatorClient(transport=transport)


def async_client(target: str, root: bytes = b"", credentials: Credentials | None = None) -> vision.ImageAnnotatorAsyncClient:
    """ImageAnnotatorAsyncClient; over TLS where there is a root. To be made on the running loop."""
    if root:
        host = target.replace("127.0.0.1", "localhost")
        tls = grpc.ssl_channel_credentials(root)
        transport = ImageAnnotatorGrpcAsyncIOTransport(host=host, credentials=credentials, ssl_channel_credentials=tls)
    else:
        transport = ImageAnnotatorGrpcAsyncIOTransport(channel=grpc.aio.insecure_channel(target))
    return vision.ImageAnnotatorAsyncClient(transport=transport)


def rest_service(rest: str) -> Any:
    """google-api-python-client's service object, its discovery document from its own package. To be closed."""
    anonymous = AnonymousCredentials()  # type: ignore[no-untyped-call]
    service: Any = discovery.build(
        "vision", "v1", credentials=anonymous, client_options={"api_endpoint": rest}, static_discovery=True, cache_discovery=False
    )
    return service
