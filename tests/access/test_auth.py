"""Credentials of every kind, through both clients, against a token server and a TLS server on loopback."""

import asyncio
import gc
import json
import threading
import time
import warnings
from base64 import urlsafe_b64decode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from google.auth import exceptions
from google.auth.aio.credentials import StaticCredentials
from google.auth.credentials import AnonymousCredentials
from google.oauth2.credentials import Credentials

from vision_grpc import AsyncClient, AuthError, CallError, Client, ConfigError, Polling, WaitTimeout, v1
from vision_grpc.auth import SCOPES, Auth
from vision_grpc.emulator import Emulator, Fault
from vision_grpc.emulator.rest.tokens import TOKEN
from vision_grpc.emulator.tls import Authority

from .conftest import KINDS
from .tokens import EMAIL, Answer, Keys, TokenServer

MakeInfo = Callable[..., dict[str, Any]]
MakeClient = Callable[..., Client]

PHOTO = {"image": {"source": {"image_uri": "gs://photos/a.png"}}, "features": [{"type": v1.Feature.Type.TEXT_DETECTION}]}


def settings(vision: Emulator, **more: Any) -> dict[str, Any]:
    return {"endpoint": vision.target, "root_certificates": vision.root_certificate, **more}


def carried(vision: Emulator, key: str) -> list[str | bytes]:
    """What each call so far carried under a metadata key."""
    return [value for call in vision.calls for name, value in call.metadata if name == key]


def is_self_signed(header: str, keys: Keys) -> bool:
    """Whether a bearer token is a JWT of the service account with both scopes; an invalid signature raises."""
    head, claims, signature = (part + "=" * (-len(part) % 4) for part in header.removeprefix("Bearer ").split("."))
    signed = header.removeprefix("Bearer ").rpartition(".")[0].encode()
    keys.private_key.public_key().verify(urlsafe_b64decode(signature), signed, padding.PKCS1v15(), hashes.SHA256())
    said = json.loads(urlsafe_b64decode(claims))
    assert json.loads(urlsafe_b64decode(head))["kid"] == "a-key-id"
    assert (said["iss"], said["sub"], said["scope"].split()) == (EMAIL, EMAIL, list(SCOPES))
    assert "aud" not in said
    return True


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", ["default", "explicit"])
def test_each_kind_of_credentials(
    kind: str,
    way: str,
    vision: Emulator,
    token_server: TokenServer,
    keys: Keys,
    info: MakeInfo,
    default_credentials: Callable[..., Path],
    explicit: Callable[..., Any],
    make_client: MakeClient,
) -> None:
    """Each kind, by GOOGLE_APPLICATION_CREDENTIALS and by credentials=, gives calls a token, of one exchange for two calls."""
    credentials = None
    if way == "default":
        default_credentials(info(kind))
    else:
        credentials = explicit(info(kind))
    client = make_client(**settings(vision, credentials=credentials))
    list(client.list_operations())
    list(client.list_operations())
    first, second = carried(vision, "authorization")
    assert first == second
    asked = [request.path for request in token_server.received]
    if kind == "service_account":
        assert asked == []
        assert is_self_signed(str(first), keys)
    elif kind == "impersonated":
        assert asked == ["/token", f"/v1/projects/-/serviceAccounts/{EMAIL}:generateAccessToken"]
        assert first == "Bearer a-token-2"
        assert token_server.received[1].headers["authorization"] == "Bearer a-token-1"
    else:
        assert asked == ["/token" if kind == "authorized_user" else "/sts"]
        assert first == "Bearer a-token-1"
    if kind == "external_account":
        assert token_server.received[0].fields["subject_token"] == "the-subject-token-77aa"
        assert token_server.received[0].fields["scope"].split() == list(SCOPES)


def test_an_exchange_closes_its_connection(
    vision: Emulator, token_server: TokenServer, info: MakeInfo, explicit: Callable[..., Any], make_client: MakeClient
) -> None:
    """What a token was fetched over is closed, and not left to the garbage collector."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        list(make_client(**settings(vision, credentials=explicit(info("authorized_user")))).list_operations())
        gc.collect()
    assert len(token_server.received) == 1
    assert not [warning for warning in caught if "unclosed" in str(warning.message)]


def test_default_credentials_of_gcloud(
    vision: Emulator, info: MakeInfo, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Without any setting, what `gcloud auth application-default login` wrote is found."""
    (tmp_path / "application_default_credentials.json").write_text(json.dumps(info("authorized_user")))
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    list(make_client(**settings(vision)).list_operations())
    assert carried(vision, "authorization") == ["Bearer a-token-1"]


def test_default_credentials_of_a_google_machine(
    vision: Emulator, serve: Callable[..., Emulator], make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nothing else is found, the metadata server gives the token, and the project of a location."""
    machine = serve(rest_port=0).rest_url.removeprefix("http://")
    monkeypatch.delenv("NO_GCE_CHECK")
    monkeypatch.setattr("google.auth.compute_engine._metadata._NO_GCE_CHECK", False, raising=False)
    monkeypatch.setenv("GCE_METADATA_IP", machine)
    # Read from GCE_METADATA_HOST when the module is imported.
    monkeypatch.setattr("google.auth.compute_engine._metadata._GCE_METADATA_HOST", machine)
    make_client(**settings(vision, location="eu")).async_batch_annotate([PHOTO], "gs://out/")
    assert carried(vision, "authorization") == [f"Bearer {TOKEN}"]
    assert vision.calls[-1].message.parent == f"projects/{TOKEN}/locations/eu"


def test_impersonation_by_an_external_account(
    vision: Emulator, token_server: TokenServer, info: MakeInfo, default_credentials: Callable[..., Path], make_client: MakeClient
) -> None:
    """An external account that impersonates a service account exchanges twice, and calls carry the second token."""
    url = f"{token_server.url}/v1/projects/-/serviceAccounts/{EMAIL}:generateAccessToken"
    default_credentials(info("external_account", service_account_impersonation_url=url))
    list(make_client(**settings(vision)).list_operations())
    assert [request.path.rpartition(":")[2] for request in token_server.received] == ["/sts", "generateAccessToken"]
    assert carried(vision, "authorization") == ["Bearer a-token-2"]


def test_token_server_over_tls(
    vision: Emulator,
    authority: Authority,
    info: MakeInfo,
    explicit: Callable[..., Any],
    make_client: MakeClient,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A token is fetched over TLS from a server that is trusted; one that is not is an AuthError that waiting cannot help."""
    root = tmp_path / "root.pem"
    root.write_bytes(authority.root)
    with TokenServer(authority.server(), tmp_path) as server:
        credentials = explicit(info("authorized_user", server.url))
        with pytest.raises(AuthError, match="CERTIFICATE_VERIFY_FAILED") as untrusted:
            list(make_client(**settings(vision, credentials=credentials)).list_operations())
        assert not untrusted.value.transient
        assert server.received == []
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(root))
        list(make_client(**settings(vision, credentials=credentials)).list_operations())
    assert carried(vision, "authorization") == ["Bearer a-token-1"]


def test_api_key_travels_alone(vision: Emulator, make_client: MakeClient) -> None:
    """An API key goes out as x-goog-api-key, with the quota project and without any bearer token."""
    list(make_client(**settings(vision, api_key="a-key", quota_project="a-payer")).list_operations())
    assert carried(vision, "x-goog-api-key") == ["a-key"]
    assert carried(vision, "x-goog-user-project") == ["a-payer"]
    assert carried(vision, "authorization") == []


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"api_key": "a-key", "credentials": AnonymousCredentials()}, "not both"),  # type: ignore[no-untyped-call]
        ({"api_key": ""}, "api_key must be"),
        ({"api_key": "a key\n"}, "api_key must be"),
        ({"api_key": b"a-key"}, "api_key must be"),
        ({"quota_project": "a project\n"}, "quota_project must be"),
        ({"credentials": "a-token"}, "not str$"),
        ({"credentials": AnonymousCredentials}, "not the class google.auth.credentials.AnonymousCredentials itself"),
        ({"credentials": StaticCredentials("a-token")}, "not google.auth.aio.credentials.StaticCredentials"),  # type: ignore[no-untyped-call]
    ],
)
def test_identities_that_are_refused(wrong: dict[str, Any], words: str, make_client: MakeClient) -> None:
    """Two identities, what cannot be sent, and google-auth's coroutines, which would send nothing, are refused when the client is made."""
    with pytest.raises(ConfigError, match=words):
        make_client(endpoint="localhost:1", **wrong)


@pytest.mark.parametrize("way", ["argument", "environment", "file"])
def test_quota_project(
    way: str,
    vision: Emulator,
    info: MakeInfo,
    default_credentials: Callable[..., Path],
    make_client: MakeClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The quota project of the argument, of GOOGLE_CLOUD_QUOTA_PROJECT or of the file goes out as x-goog-user-project."""
    default_credentials(info("authorized_user", **({"quota_project_id": "a-payer"} if way == "file" else {})))
    if way == "environment":
        monkeypatch.setenv("GOOGLE_CLOUD_QUOTA_PROJECT", "a-payer")
    list(make_client(**settings(vision, quota_project="a-payer" if way == "argument" else None)).list_operations())
    assert carried(vision, "x-goog-user-project") == ["a-payer"]


def test_quota_project_that_cannot_be_carried(vision: Emulator, make_client: MakeClient) -> None:
    """Credentials without a quota project of their own say so instead of leaving it out."""
    from google.auth.api_key import Credentials as Key

    with pytest.raises(AuthError, match="cannot carry a quota project"):
        list(make_client(**settings(vision, credentials=Key("k"), quota_project="a-payer")).list_operations())  # type: ignore[no-untyped-call]


def test_google_auth_api_key_credentials(vision: Emulator, make_client: MakeClient) -> None:
    """google-auth's own API key credentials work as credentials=."""
    from google.auth.api_key import Credentials as Key

    list(make_client(**settings(vision, credentials=Key("a-key"))).list_operations())  # type: ignore[no-untyped-call]
    assert carried(vision, "x-goog-api-key") == ["a-key"]


def test_anonymous_credentials_send_nothing(vision: Emulator, make_client: MakeClient) -> None:
    """AnonymousCredentials over TLS are allowed, and send nothing."""
    list(make_client(**settings(vision, credentials=AnonymousCredentials())).list_operations())  # type: ignore[no-untyped-call]
    assert carried(vision, "authorization") == []


def test_another_universe(
    vision: Emulator, info: MakeInfo, explicit: Callable[..., Any], keys: Keys, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Credentials of another universe than the client's are refused before a call; those of the same one are used."""
    foreign = info("service_account", universe_domain="example.org")
    with pytest.raises(AuthError, match=r"belong to universe 'example.org', the endpoint to 'googleapis.com'"):
        list(make_client(**settings(vision, credentials=explicit(foreign))).list_operations())
    monkeypatch.setenv("GOOGLE_CLOUD_UNIVERSE_DOMAIN", "example.org")
    list(make_client(**settings(vision, credentials=explicit(foreign))).list_operations())
    (token,) = carried(vision, "authorization")
    assert is_self_signed(str(token), keys)


def test_location_takes_the_project_of_the_credentials(
    vision: Emulator, info: MakeInfo, explicit: Callable[..., Any], make_client: MakeClient
) -> None:
    """location= becomes the parent of a request that names none, in the project that the credentials belong to."""
    client = make_client(**settings(vision, credentials=explicit(info("service_account")), location="eu"))
    request = v1.AnnotateImageRequest(
        image={"source": {"image_uri": "gs://photos/a.png"}}, features=[{"type": v1.Feature.Type.TEXT_DETECTION}]
    )
    client.async_batch_annotate([request], "gs://out/")
    assert vision.calls[-1].message.parent == "projects/a-project/locations/eu"
    assert carried(vision, "x-goog-request-params") == ["parent=projects/a-project/locations/eu"]


def test_location_of_credentials_without_a_project(vision: Emulator, make_client: MakeClient) -> None:
    """Where nobody names a project, a location is refused with the way out."""
    with pytest.raises(ConfigError, match="pass project= or parent="):
        make_client(**settings(vision, api_key="k", location="us")).async_batch_annotate(
            [{"image": {"source": {"image_uri": "gs://photos/a.png"}}, "features": [{"type": 5}]}], "gs://out/"
        )
    assert vision.calls == []


def test_no_credentials_anywhere(vision: Emulator, make_client: MakeClient) -> None:
    """Without credentials a call ends before it is sent, with what to do and google-auth's own error as the cause."""
    with pytest.raises(AuthError, match="gcloud auth application-default login") as caught:
        list(make_client(**settings(vision)).list_operations())
    assert isinstance(caught.value.__cause__, exceptions.DefaultCredentialsError)
    assert not caught.value.transient
    assert vision.calls == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "was not found"),
        ("{", "not a valid json file"),
        ('{"type": "authorized_user"}', "missing fields"),
        ('{"type": "a-bicycle"}', "does not have a valid type"),
    ],
)
def test_unusable_credentials_file(
    content: str | None, words: str, vision: Emulator, make_client: MakeClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is wrong with the file of GOOGLE_APPLICATION_CREDENTIALS is in the error's own words."""
    file = tmp_path / "credentials.json"
    if content is not None:
        file.write_text(content)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
    with pytest.raises(AuthError, match=words):
        list(make_client(**settings(vision)).list_operations())


REFUSED = Answer(400, json.dumps({"error": "invalid_grant", "error_description": "Token has been expired or revoked."}))
BUSY = Answer(503, json.dumps({"error": "temporarily_unavailable"}))
DENIED = Answer(403, json.dumps({"error": {"code": 403, "message": "Permission 'getAccessToken' denied on resource"}}))


@pytest.mark.parametrize(
    ("kind", "answers", "transient", "words"),
    [
        ("authorized_user", [REFUSED], False, "Token has been expired or revoked"),
        ("external_account", [REFUSED], False, "Token has been expired or revoked"),
        ("external_account", [Answer(503, "busy")], True, "token server was not reached or is busy"),
        ("impersonated", [Answer(200, '{"access_token": "x", "expires_in": 3600}'), DENIED], False, "'getAccessToken' denied"),
        ("impersonated", [Answer(200, '{"access_token": "x", "expires_in": 3600}'), Answer(500, "{}")], True, "impersonated"),
        ("authorized_user", [Answer(200, "<html>a proxy's page</html>")], False, "no access token from Credentials"),
        ("authorized_user", [Answer(200, "{}")], False, "No access token in response"),
        ("authorized_user", [Answer(200, '{"access_token": "line\\nbreak", "expires_in": 60}')], False, "cannot be sent"),
    ],
)
def test_token_server_says_no(
    kind: str,
    answers: list[Answer],
    transient: bool,
    words: str,
    vision: Emulator,
    token_server: TokenServer,
    info: MakeInfo,
    explicit: Callable[..., Any],
    make_client: MakeClient,
) -> None:
    """A failed exchange is an AuthError in the token server's words that says whether another try may help; nothing was sent."""
    token_server.answers[:] = answers
    with pytest.raises(AuthError) as caught:
        list(make_client(**settings(vision, credentials=explicit(info(kind)))).list_operations())
    assert words in str(caught.value)
    assert caught.value.transient is transient
    assert vision.calls == []


def test_busy_token_server(
    token_server: TokenServer, info: MakeInfo, explicit: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token server that stays busy over google-auth's own retries is a passing failure, with google-auth's error as its cause."""
    monkeypatch.setattr("google.auth._exponential_backoff.time.sleep", lambda _: None)
    token_server.answers[:] = [BUSY] * 3
    with pytest.raises(AuthError) as caught:
        Auth(explicit(info("authorized_user"))).headers()
    assert caught.value.transient
    assert isinstance(caught.value.__cause__, exceptions.RefreshError)
    assert caught.value.__cause__.retryable
    assert len(token_server.received) == 3


def test_unreachable_token_server(info: MakeInfo, explicit: Callable[..., Any], free_port: int) -> None:
    """A token server that nobody listens at is a passing failure."""
    with pytest.raises(AuthError, match="token server was not reached") as caught:
        Auth(explicit(info("authorized_user", f"http://127.0.0.1:{free_port}"))).headers()
    assert caught.value.transient
    assert isinstance(caught.value.__cause__, exceptions.TransportError)


@pytest.mark.parametrize(
    ("use", "kind"),
    [
        (lambda client: client.get_operation("operations/1", timeout=0.2), AuthError),
        (lambda client: client.async_batch_annotate([PHOTO], "gs://out/", timeout=0.2), AuthError),
        (lambda client: client.batch_annotate_images([PHOTO], timeout=0.2), AuthError),
        (lambda client: client.wait_operation("operations/1", timeout=1), WaitTimeout),
        (lambda client: list(client.wait_operations(["operations/1"], timeout=1)), WaitTimeout),
        (lambda client: list(client.wait_operations([f"operations/{n}" for n in range(5)], timeout=1)), WaitTimeout),
    ],
    ids=["get", "submit", "annotate", "wait", "wait for one of many", "wait for many"],
)
def test_stalled_token_server_keeps_to_the_call_timeout(
    use: Callable[[Client], Any],
    kind: type[Exception],
    vision: Emulator,
    token_server: TokenServer,
    info: MakeInfo,
    explicit: Callable[..., Any],
    make_client: MakeClient,
) -> None:
    """A token server that does not answer uses up the caller's own time and no more, also where it is asked for a project.

    Nothing was sent. A wait, which ends by its deadline, tells of the token.
    """
    token_server.gate.clear()
    client = make_client(**settings(vision, credentials=explicit(info("authorized_user")), location="eu"))
    began = time.monotonic()
    with pytest.raises(kind) as caught:
        use(client)
    failure = caught.value.last_error if isinstance(caught.value, WaitTimeout) else caught.value
    assert isinstance(failure, AuthError)
    assert failure.transient
    # Well before the 60 s after which this token server lets go by itself.
    assert time.monotonic() - began < 30
    assert vision.calls == []
    token_server.gate.set()


class Broken(AnonymousCredentials):
    """Credentials of a user's own, with a fault in them."""

    token = None

    def refresh(self, request: Any) -> None:
        raise LookupError("my vault is sealed")


def test_credentials_that_raise_anything(vision: Emulator, make_client: MakeClient) -> None:
    """Whatever a user's own credentials raise is an AuthError that names them and their words."""
    with pytest.raises(AuthError, match="no access token from Broken: LookupError: my vault is sealed"):
        list(make_client(**settings(vision, credentials=Broken())).list_operations())  # type: ignore[no-untyped-call]


def test_one_renewal_for_64_threads(token_server: TokenServer, info: MakeInfo, explicit: Callable[..., Any]) -> None:
    """64 threads that need a token at once cause one request for it."""
    auth = Auth(explicit(info("authorized_user")))
    token_server.gate.clear()
    with ThreadPoolExecutor(64) as pool:
        asked = [pool.submit(auth.headers) for _ in range(64)]
        token_server.arrived.wait()
        token_server.gate.set()
        assert {future.result() for future in asked} == {(("authorization", "Bearer a-token-1"),)}
    assert len(token_server.received) == 1


class Doorway:
    """A lock that tells when a number of threads have come to it."""

    def __init__(self, expected: int) -> None:
        self._lock = threading.Lock()
        self._counting = threading.Lock()
        self._expected = expected
        self.full = threading.Event()

    def acquire(self, **how: Any) -> bool:
        with self._counting:
            self._expected -= 1
            if not self._expected:
                self.full.set()
        return self._lock.acquire(**how)

    def release(self) -> None:
        self._lock.release()


def test_one_failure_for_64_threads(token_server: TokenServer, info: MakeInfo, explicit: Callable[..., Any]) -> None:
    """64 threads that wait for one renewal that fails all get its failure, and do not each wait for one of their own."""
    auth = Auth(explicit(info("authorized_user")))
    token_server.gate.clear()
    token_server.answers.append(REFUSED)
    doorway = auth._lock = Doorway(64)  # type: ignore[assignment]

    def ask() -> AuthError:
        with pytest.raises(AuthError, match="revoked") as caught:
            auth.headers()
        return caught.value

    with ThreadPoolExecutor(64) as pool:
        asked = [pool.submit(ask) for _ in range(64)]
        doorway.full.wait()
        token_server.gate.set()
        errors = [future.result() for future in asked]
    assert len(token_server.received) == 1
    assert len({id(error) for error in errors}) == 64
    assert auth.headers() == (("authorization", "Bearer a-token-1"),)


async def test_one_renewal_for_64_tasks_while_the_loop_runs(
    token_server: TokenServer, info: MakeInfo, explicit: Callable[..., Any]
) -> None:
    """64 tasks cause one request, and while the token server stalls the loop goes round."""
    auth = Auth(explicit(info("authorized_user")))
    token_server.gate.clear()
    tasks = [asyncio.create_task(auth.aheaders()) for _ in range(64)]
    # Were the loop blocked, nobody would get to open the gate, and the test would run into its time limit.
    await asyncio.to_thread(token_server.arrived.wait)
    for _ in range(100):
        await asyncio.sleep(0)
    assert not any(task.done() for task in tasks)
    token_server.gate.set()
    assert set(await asyncio.gather(*tasks)) == {(("authorization", "Bearer a-token-1"),)}
    assert len(token_server.received) == 1


async def test_client_leaves_the_loop_running(
    vision: Emulator, token_server: TokenServer, info: MakeInfo, explicit: Callable[..., Any]
) -> None:
    """A call of AsyncClient that waits for its token leaves the loop to others."""
    token_server.gate.clear()
    async with AsyncClient(**settings(vision, credentials=explicit(info("authorized_user")))) as client:
        call = asyncio.create_task(client.get_operation("operations/none"))
        await asyncio.to_thread(token_server.arrived.wait)
        assert not call.done()
        token_server.gate.set()
        with pytest.raises(CallError, match="NOT_FOUND"):
            await call


async def test_cancelled_caller_leaves_the_token_to_the_others(
    token_server: TokenServer, info: MakeInfo, explicit: Callable[..., Any]
) -> None:
    """A caller that is cancelled while it waits takes nothing from another who waits for the same token."""
    auth = Auth(explicit(info("authorized_user")))
    token_server.gate.clear()
    first, second = asyncio.create_task(auth.aheaders()), asyncio.create_task(auth.aheaders())
    await asyncio.to_thread(token_server.arrived.wait)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    token_server.gate.set()
    assert await second == (("authorization", "Bearer a-token-1"),)


async def test_failure_nobody_waits_for_is_not_logged(
    token_server: TokenServer, info: MakeInfo, explicit: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    """A renewal that fails after its only caller was cancelled leaves no 'exception was never retrieved' behind."""
    import gc

    auth = Auth(explicit(info("authorized_user")))
    token_server.gate.clear()
    token_server.answers.append(REFUSED)
    caller = asyncio.create_task(auth.aheaders())
    await asyncio.to_thread(token_server.arrived.wait)
    (renewal,) = auth._renewals.values()
    caller.cancel()
    token_server.gate.set()
    await asyncio.wait([caller, renewal])
    del caller, renewal
    gc.collect()
    assert "never retrieved" not in caplog.text


class Clock:
    """The time, moved by hand."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


async def headers(auth: Auth, way: str) -> str:
    """The bearer token, asked for in one of the two ways; the blocking one in a thread, as callers do."""
    found = await (auth.aheaders() if way == "async" else asyncio.to_thread(auth.headers))
    return dict(found)["authorization"]


@pytest.mark.parametrize("way", ["sync", "async"])
async def test_token_is_cached_until_shortly_before_its_expiry(
    way: str, token_server: TokenServer, info: MakeInfo, explicit: Callable[..., Any]
) -> None:
    """A token of an hour serves for 56 minutes and is renewed in the last four."""
    clock = Clock()
    auth = Auth(explicit(info("authorized_user")), clock=clock)
    assert await headers(auth, way) == "Bearer a-token-1"
    clock.ahead = 56 * 60
    assert await headers(auth, way) == "Bearer a-token-1"
    clock.ahead = 57 * 60
    assert await headers(auth, way) == "Bearer a-token-2"
    assert len(token_server.received) == 2


@pytest.mark.parametrize("way", ["sync", "async"])
async def test_good_token_outlives_a_passing_failure(
    way: str, token_server: TokenServer, info: MakeInfo, explicit: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """While renewal fails for a passing reason the old token is used, tried for again every ten seconds, and never past its expiry."""
    monkeypatch.setattr("google.auth._exponential_backoff.time.sleep", lambda _: None)
    clock = Clock()
    auth = Auth(explicit(info("authorized_user")), clock=clock)
    await headers(auth, way)
    clock.ahead = 58 * 60
    token_server.answers[:] = [BUSY] * 3
    assert await headers(auth, way) == "Bearer a-token-1"
    assert await headers(auth, way) == "Bearer a-token-1"
    assert len(token_server.received) == 4
    clock.ahead += 11
    token_server.answers[:] = [BUSY] * 3
    assert await headers(auth, way) == "Bearer a-token-1"
    assert len(token_server.received) == 7
    clock.ahead = 61 * 60
    token_server.answers[:] = [BUSY] * 3
    with pytest.raises(AuthError, match="busy"):
        await headers(auth, way)
    assert await headers(auth, way) == "Bearer a-token-2"


@pytest.mark.parametrize("way", ["sync", "async"])
async def test_others_go_on_with_the_good_token_while_one_renews(
    way: str, token_server: TokenServer, info: MakeInfo, explicit: Callable[..., Any]
) -> None:
    """While one caller renews a token that is still good, no other waits for it."""
    clock = Clock()
    auth = Auth(explicit(info("authorized_user")), clock=clock)
    await headers(auth, way)
    clock.ahead = 58 * 60
    token_server.gate.clear()
    token_server.arrived.clear()
    renewing = asyncio.create_task(headers(auth, way))
    await asyncio.to_thread(token_server.arrived.wait)
    assert await headers(auth, way) == "Bearer a-token-1"
    token_server.gate.set()
    assert await renewing == "Bearer a-token-2"


def test_token_that_the_credentials_already_hold(token_server: TokenServer, info: MakeInfo) -> None:
    """Credentials that come with a fresh token are not refreshed; with one that is about to expire they are, and it serves meanwhile."""
    fields = {key: info("authorized_user")[key] for key in ("token_uri", "client_id", "client_secret", "refresh_token")}
    soon = datetime.now(UTC).replace(tzinfo=None) + timedelta(seconds=100)
    fresh = Auth(Credentials("fresh", expiry=soon + timedelta(hours=1), **fields))  # type: ignore[no-untyped-call]
    assert fresh.headers() == (("authorization", "Bearer fresh"),)
    assert token_server.received == []
    with TokenServer() as gone:
        fields["token_uri"] = gone.url
    assert Auth(Credentials("stale", expiry=soon, **fields)).headers() == (("authorization", "Bearer stale"),)  # type: ignore[no-untyped-call]


def test_refused_token_is_renewed_once(
    vision: Emulator, token_server: TokenServer, info: MakeInfo, explicit: Callable[..., Any], make_client: MakeClient
) -> None:
    """After UNAUTHENTICATED the call is repeated once, with another token."""
    vision.faults.add(Fault.fail("GetOperation", grpc.StatusCode.UNAUTHENTICATED))
    client = make_client(**settings(vision, credentials=explicit(info("authorized_user"))))
    with pytest.raises(CallError, match="NOT_FOUND"):
        client.get_operation("operations/none")
    assert carried(vision, "authorization") == ["Bearer a-token-1", "Bearer a-token-2"]


def test_token_refused_twice(
    vision: Emulator, token_server: TokenServer, info: MakeInfo, explicit: Callable[..., Any], make_client: MakeClient
) -> None:
    """A service that refuses the new token as well is believed, in its own words."""
    vision.faults.add(Fault.fail("GetOperation", grpc.StatusCode.UNAUTHENTICATED, "go away", times=None))
    client = make_client(**settings(vision, credentials=explicit(info("authorized_user"))))
    with pytest.raises(CallError, match="UNAUTHENTICATED: go away"):
        client.get_operation("operations/none")
    assert len(token_server.received) == 2


def test_refused_token_that_cannot_be_renewed(vision: Emulator, make_client: MakeClient) -> None:
    """Credentials that are a token and nothing more say, once it is refused, that there is no other."""
    vision.faults.add(Fault.fail("GetOperation", grpc.StatusCode.UNAUTHENTICATED))
    client = make_client(**settings(vision, credentials=Credentials("only-this")))  # type: ignore[no-untyped-call]
    with pytest.raises(AuthError, match="the service refused the access token, and Credentials gave no other"):
        client.get_operation("operations/none")


def test_token_refused_to_many_is_renewed_once(token_server: TokenServer, info: MakeInfo, explicit: Callable[..., Any]) -> None:
    """Of many callers that were refused with the same token one fetches another, and the others go on with that one."""
    auth = Auth(explicit(info("authorized_user")))
    first = auth.headers()
    for _ in range(16):
        auth.forget(first)
        assert auth.headers() == (("authorization", "Bearer a-token-2"),)
    assert len(token_server.received) == 2


def test_wait_outlives_a_passing_failure_of_the_token_server(
    vision: Emulator,
    token_server: TokenServer,
    info: MakeInfo,
    explicit: Callable[..., Any],
    make_client: MakeClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A token server that is away for a while does not end a wait; one that says no does."""
    submitted = make_client(**settings(vision, api_key="k"))
    operation = submitted.async_batch_annotate(
        [{"image": {"source": {"image_uri": "gs://photos/a.png"}}, "features": [{"type": 5}]}], "gs://out/"
    )
    polling = Polling(initial=0.01, maximum=0.05)
    # Server trouble that google-auth does not retry itself, so that no time is lost.
    token_server.answers[:] = [Answer(503, "away"), Answer(503, "away")]
    client = make_client(**settings(vision, credentials=explicit(info("external_account")), polling=polling))
    assert client.wait_operation(operation.name, timeout=60).output_config.gcs_destination.uri == "gs://out/"
    assert len(token_server.received) == 3
    token_server.answers[:] = [Answer(400, REFUSED.body)]
    client = make_client(**settings(vision, credentials=explicit(info("external_account")), polling=polling))
    with pytest.raises(AuthError, match="revoked"):
        client.wait_operation(operation.name, timeout=60)


def test_several_loops_share_one_token(vision: Emulator, token_server: TokenServer, info: MakeInfo, explicit: Callable[..., Any]) -> None:
    """One AsyncClient on eight event loops, one after another and at once, fetches one token."""
    client = AsyncClient(**settings(vision, credentials=explicit(info("authorized_user"))))

    async def use() -> None:
        async for _ in client.list_operations():
            pass

    asyncio.run(use())
    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(asyncio.run, use()) for _ in range(8)]:
            done.result()
    assert len(token_server.received) == 1
    assert set(carried(vision, "authorization")) == {"Bearer a-token-1"}
