"""A token server, a TLS server with its authority, and an environment in which nothing leaves this machine."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from vision_grpc.emulator import Emulator
from vision_grpc.emulator.tls import Authority

from .tokens import Keys, TokenServer, authorized_user, external_account, impersonated, service_account

KINDS = ["authorized_user", "service_account", "external_account", "impersonated"]


@pytest.fixture(autouse=True)
def quiet_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No credentials of the machine, no metadata server, no proxy."""
    for name in (
        *("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT", "GOOGLE_CLOUD_QUOTA_PROJECT"),
        *("GOOGLE_CLOUD_UNIVERSE_DOMAIN", "GOOGLE_API_USE_CLIENT_CERTIFICATE", "GOOGLE_API_USE_MTLS_ENDPOINT", "VISION_EMULATOR_HOST"),
        *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy", "REQUESTS_CA_BUNDLE"),
    ):
        monkeypatch.delenv(name, raising=False)
    # google-auth reads NO_GCE_CHECK once, when it is imported, and older ones not at all: they find nobody at this address.
    monkeypatch.setattr("google.auth.compute_engine._metadata._NO_GCE_CHECK", True, raising=False)
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setenv("GCE_METADATA_IP", "127.0.0.1:9")
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path / "no-gcloud"))


@pytest.fixture(scope="session")
def keys() -> Keys:
    """The RSA key of the service accounts."""
    return Keys()


@pytest.fixture(scope="session")
def authority() -> Authority:
    """Who signs the certificates of servers and clients."""
    return Authority()


@pytest.fixture
def token_server() -> Iterator[TokenServer]:
    """A token server over plain HTTP."""
    with TokenServer() as server:
        yield server


@pytest.fixture
def vision(serve: Callable[..., Emulator], authority: Authority) -> Emulator:
    """The embedded server over TLS, with a certificate of `authority`."""
    return serve(tls=authority.server())


@pytest.fixture
def info(token_server: TokenServer, keys: Keys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """Makes the configuration of credentials of a kind."""
    from google.auth import iam
    from google.oauth2 import credentials

    def make(kind: str, url: str | None = None, **fields: str) -> dict[str, Any]:
        url = url or token_server.url
        # Of files of two kinds google-auth takes no URL, but its own constants; these are loopback.
        monkeypatch.setattr(credentials, "_GOOGLE_OAUTH2_TOKEN_ENDPOINT", f"{url}/token")
        monkeypatch.setattr(iam, "_IAM_ENDPOINT", f"{url}/v1/projects/-/serviceAccounts/{{}}:generateAccessToken")
        if kind == "authorized_user":
            return authorized_user(url, **fields)
        if kind == "service_account":
            return service_account(url, keys, **fields)
        if kind == "external_account":
            return external_account(url, tmp_path / "subject-token", **fields)
        return impersonated(url, **fields)

    return make


@pytest.fixture
def default_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[dict[str, Any]], Path]:
    """Makes a configuration the Application Default Credentials."""

    def point(info: dict[str, Any]) -> Path:
        file = tmp_path / "credentials.json"
        file.write_text(json.dumps(info))
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
        return file

    return point


@pytest.fixture
def explicit(token_server: TokenServer, monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, Any]], Any]:
    """Makes google-auth's credentials of a configuration, as a program would that passes credentials=."""

    def make(info: dict[str, Any]) -> Any:
        from google.auth import identity_pool, impersonated_credentials
        from google.oauth2 import credentials, service_account

        kind = info["type"]
        if kind == "authorized_user":
            return credentials.Credentials.from_authorized_user_info(info)  # type: ignore[no-untyped-call]
        if kind == "service_account":
            return service_account.Credentials.from_service_account_info(info)  # type: ignore[no-untyped-call]
        if kind == "external_account":
            return identity_pool.Credentials.from_info(info)  # type: ignore[no-untyped-call]
        return impersonated_credentials.Credentials(  # type: ignore[no-untyped-call]
            make(info["source_credentials"]),
            "robot@a-project.iam.gserviceaccount.com",
            ["https://www.googleapis.com/auth/cloud-platform"],
            iam_endpoint_override=info["service_account_impersonation_url"],
        )

    return make
