"""A server that speaks REST, and a client that is nothing but http.client."""

import http.client
import json
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest

from vision_grpc.emulator import Emulator


@dataclass(frozen=True)
class Reply:
    """One HTTP reply."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def error(self) -> Any:
        """What is in a body of Google's error shape."""
        assert set(self.json) == {"error"}
        return self.json["error"]


class Http:
    """One connection; it outlives errors."""

    def __init__(self, url: str, context: ssl.SSLContext | None = None) -> None:
        parts = urlsplit(url)
        assert parts.hostname
        if parts.scheme == "https":
            self.connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                parts.hostname, parts.port, timeout=60, context=context
            )
        else:
            self.connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)

    def call(self, verb: str, path: str, body: Any = None, **headers: str) -> Reply:
        """Sends a request; a body that is neither bytes nor text is sent as JSON. ``_`` in a header's name stands for ``-``."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None and not isinstance(body, bytes | str):
            body = json.dumps(body)
            named.setdefault("content-type", "application/json")
        self.connection.request(verb, path, body, named)
        reply = self.connection.getresponse()
        return Reply(reply.status, {name.lower(): value for name, value in reply.getheaders()}, reply.read())

    def get(self, path: str, **headers: str) -> Reply:
        return self.call("GET", path, **headers)

    def post(self, path: str, body: Any, **headers: str) -> Reply:
        return self.call("POST", path, body, **headers)


@pytest.fixture
def server(serve: Callable[..., Emulator]) -> Emulator:
    """A running server that speaks REST too."""
    return serve(rest_port=0)


@pytest.fixture
def connect() -> Iterator[Callable[..., Http]]:
    """Opens connections to servers; they are closed after the test."""
    with ExitStack() as stack:

        def open_connection(server: Emulator, context: ssl.SSLContext | None = None) -> Http:
            http = Http(server.rest_url, context)
            stack.callback(http.connection.close)
            return http

        yield open_connection


@pytest.fixture
def http_(server: Emulator, connect: Callable[..., Http]) -> Http:
    """A connection to ``server``."""
    return connect(server)


def image(name: str = "a.png") -> dict[str, Any]:
    """A request for the text of one picture, in JSON."""
    return {"image": {"source": {"imageUri": f"gs://photos/{name}"}}, "features": [{"type": "TEXT_DETECTION"}]}


def batch(*names: str, output: str = "gs://out/", **fields: Any) -> dict[str, Any]:
    """A request for an operation, in JSON."""
    return {"requests": [image(name) for name in names or ("a.png",)], "outputConfig": {"gcsDestination": {"uri": output}}, **fields}


def finished(http: Http, name: str) -> Any:
    """The operation once it is done, polled."""
    while True:
        operation = http.get(f"/v1/{name}").json
        if operation.get("done"):
            return operation
