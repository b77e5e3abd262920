"""A token server on loopback, and credentials of every kind that are exchanged there. Their secrets are made up for each test."""

import datetime
import json
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from vision_grpc.emulator.tls import Tls

EMAIL = "robot@a-project.iam.gserviceaccount.com"


@dataclass
class Received:
    """One request to the token server."""

    path: str
    headers: dict[str, str]
    fields: dict[str, Any]
    raw: str


@dataclass
class Answer:
    """What the token server says in place of a token; `echo` appends the whole request, %s stands for the secrets in it."""

    status: int
    body: str
    echo: bool = False


class TokenServer:
    """OAuth's token endpoint, the Security Token Service and IAM's generateAccessToken, told apart by path.

    Attributes:
        received: The requests, oldest first.
        answers: Said to the next requests, before tokens are handed out again.
        gate: Requests wait until it is set.
        arrived: Set by each request.
        lifetime: Seconds that a token is good for.
    """

    def __init__(self, tls: Tls | None = None, directory: Path | None = None) -> None:
        self.received: list[Received] = []
        self.answers: list[Answer] = []
        self.gate = threading.Event()
        self.gate.set()
        self.arrived = threading.Event()
        self.lifetime = 3600
        self.prefix = "a-token-"
        self._lock = threading.Lock()
        self._issued = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        scheme = "http"
        if tls is not None and directory is not None:
            scheme = "https"
            (directory / "chain.pem").write_bytes(tls.certificate)
            (directory / "key.pem").write_bytes(tls.key)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(directory / "chain.pem", directory / "key.pem")
            # The handshake is done by the thread that reads: one who refuses it must not end the thread that accepts.
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.url = f"{scheme}://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, name="token-server", daemon=True)
        self._thread.start()

    def __enter__(self) -> "TokenServer":
        return self

    def __exit__(self, *_: object) -> None:
        self.gate.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, request: Received) -> tuple[int, str]:
        """The status and body for a request."""
        with self._lock:
            self.received.append(request)
            said = self.answers.pop(0) if self.answers else None
            self._issued += said is None
            token = f"{self.prefix}{self._issued}"
        self.arrived.set()
        self.gate.wait(60)
        if said is not None:
            secrets = [*request.fields.values(), request.headers.get("authorization")]
            body = said.body.replace("%s", " ".join(str(secret) for secret in secrets))
            return said.status, body + (request.raw + json.dumps(request.headers) if said.echo else "")
        if request.path.endswith(":generateAccessToken"):
            expires = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=self.lifetime)
            return 200, json.dumps({"accessToken": token, "expireTime": expires.strftime("%Y-%m-%dT%H:%M:%SZ")})
        kind = "urn:ietf:params:oauth:token-type:access_token"
        return 200, json.dumps({"access_token": token, "expires_in": self.lifetime, "token_type": "Bearer", "issued_token_type": kind})

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        answer = self.answer

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers["Content-Length"])).decode()
                fields = json.loads(raw) if raw.startswith("{") else dict(parse_qsl(raw))
                status, body = answer(
                    Received(urlsplit(self.path).path, {key.lower(): value for key, value in self.headers.items()}, fields, raw)
                )
                try:
                    self.send_response(status)
                    self.end_headers()
                    self.wfile.write(body.encode())
                except OSError:
                    # A client that stopped waiting is what some tests are about.
                    self.close_connection = True

            def handle(self) -> None:
                try:
                    super().handle()
                except OSError:
                    self.close_connection = True

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's own name
                pass

        return Handler


@dataclass(frozen=True)
class Keys:
    """One RSA key, made once for the whole run: making one takes a tenth of a second."""

    private_key: rsa.RSAPrivateKey = field(default_factory=lambda: rsa.generate_private_key(65537, 2048))

    @property
    def pem(self) -> str:
        return self.private_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()


def authorized_user(url: str, **fields: str) -> dict[str, Any]:
    """What `gcloud auth application-default login` writes."""
    return {
        "type": "authorized_user",
        "client_id": "a-client.apps.example",
        "client_secret": "the-client-secret-5b1f",
        "refresh_token": "1//the-refresh-token/9c2e",
        "token_uri": f"{url}/token",
        **fields,
    }


def service_account(url: str, keys: Keys, **fields: str) -> dict[str, Any]:
    """A service account's key file."""
    return {
        "type": "service_account",
        "project_id": "a-project",
        "private_key_id": "a-key-id",
        "private_key": keys.pem,
        "client_email": EMAIL,
        "token_uri": f"{url}/token",
        **fields,
    }


def external_account(url: str, subject_token_file: Path, **fields: str) -> dict[str, Any]:
    """A workload identity configuration whose subject token lies in a file."""
    subject_token_file.write_text("the-subject-token-77aa")
    return {
        "type": "external_account",
        "audience": "//iam.googleapis.com/projects/123456/locations/global/workloadIdentityPools/pool/providers/provider",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": f"{url}/sts",
        "credential_source": {"file": str(subject_token_file)},
        **fields,
    }


def impersonated(url: str, **fields: str) -> dict[str, Any]:
    """What `gcloud auth application-default login --impersonate-service-account` writes."""
    return {
        "type": "impersonated_service_account",
        "service_account_impersonation_url": f"{url}/v1/projects/-/serviceAccounts/{EMAIL}:generateAccessToken",
        "source_credentials": authorized_user(url),
        **fields,
    }


MakeInfo = Callable[[str], dict[str, Any]]
