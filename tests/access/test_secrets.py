"""A secret never appears: every kind of failure is provoked, and all that it leaves behind is searched for every secret."""

import io
import json
import logging
import pickle
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import grpc
import pytest
from google.auth import _helpers
from google.oauth2.credentials import Credentials

from vision_grpc import AsyncClient, AuthError, Client, ConfigError, VisionError
from vision_grpc.auth import Auth
from vision_grpc.emulator import Emulator, Fault

from .conftest import KINDS
from .tokens import Answer, Keys, TokenServer

MakeInfo = Callable[..., dict[str, Any]]
MakeClient = Callable[..., Client]

SECRETS = [
    *("the-client-secret-5b1f", "1//the-refresh-token/9c2e", "the-subject-token-77aa", "the-access-token-d00d"),
    *("the-id-token-beef", "AIza-the-api-key-4a4a"),
]


class Everything(logging.Handler):
    """Keeps all that any logger says at DEBUG, with whatever is attached to its records."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.text = io.StringIO()

    def emit(self, record: logging.LogRecord) -> None:
        exception = "".join(traceback.format_exception(*record.exc_info)) if record.exc_info else ""
        print(record.name, record.getMessage(), record.__dict__, exception, file=self.text)


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[Everything]:
    """All loggers at DEBUG, google-auth's own logging of requests switched on by configuring its base logger."""
    handler = Everything()
    monkeypatch.setattr(_helpers, "_LOGGING_INITIALIZED", False)
    root, base = logging.getLogger(), logging.getLogger("google")
    # google-auth turns this off for good at its first request in a process that has not configured its logger.
    monkeypatch.setattr(base, "propagate", True)
    before = root.level, base.level
    root.setLevel(logging.DEBUG)
    base.setLevel(logging.DEBUG)
    root.addHandler(handler)
    yield handler
    root.removeHandler(handler)
    root.setLevel(before[0])
    base.setLevel(before[1])


def family(error: BaseException | None) -> Iterator[BaseException]:
    """An error with all that caused it or was under way, suppressed or not, and the exceptions that are arguments of one."""
    pending, seen = [error], set()
    while pending:
        one = pending.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        pending += [one.__cause__, one.__context__, *(argument for argument in one.args if isinstance(argument, BaseException))]


def left_behind(error: BaseException, *objects: object) -> str:
    """All text that an error and some objects show to whoever prints, formats or pickles them."""
    parts = [repr(item) + str(item) for item in objects]
    parts += ["".join(traceback.format_exception(error))]
    for one in family(error):
        if isinstance(one, VisionError) or one.__class__.__module__.startswith(("google", "requests", "urllib3", "json", "builtins")):
            parts += [repr(one), str(one), repr(one.args), repr(vars(one)), "".join(traceback.format_exception(one))]
    if isinstance(error, VisionError):
        parts.append(repr(pickle.dumps(error)))
    return "\n".join(parts)


def assert_silent(text: str, keys: Keys | None = None) -> None:
    lines = [line for line in keys.pem.splitlines() if len(line) > 40] if keys else []
    found = [secret for secret in [*SECRETS, *lines] if secret in text or quote_plus(secret) in text]
    assert not found, text


# What token servers, and proxies before them, say: the request echoed as JSON's words, as a page and as junk; tokens without an access
# token among them; an exchange that goes through.
FAILURES = [
    [Answer(400, "you sent: ", echo=True)],
    [Answer(400, "<html>bad request</html>\n", echo=True)],
    [Answer(400, json.dumps({"error": "invalid_grant", "error_description": "you sent %s"}))],
    [Answer(403, json.dumps({"error": {"code": 403, "message": "no: %s"}}))],
    [Answer(400, json.dumps({"access_token": SECRETS[3], "id_token": SECRETS[4]}))],
    [Answer(200, json.dumps({"id_token": SECRETS[4], "refresh_token": SECRETS[1], "client_secret": SECRETS[0]}))],
    [Answer(200, "the token is ", echo=True)],
    [Answer(200, json.dumps({"access_token": SECRETS[3], "expires_in": "soon", "accessToken": SECRETS[3], "expireTime": "soon"}))],
    [Answer(200, json.dumps({"access_token": SECRETS[3] + "\n", "expires_in": 60, "accessToken": SECRETS[3] + "\n"}))],
    [Answer(200, json.dumps({"access_token": SECRETS[3], "expires_in": 3600})), Answer(403, "denied ", echo=True)],
    [Answer(503, "busy ", echo=True)] * 3,
    [Answer(302, "elsewhere ", echo=True)],
]


@pytest.mark.parametrize("kind", ["authorized_user", "external_account", "impersonated"])
@pytest.mark.parametrize("answers", FAILURES, ids=range(len(FAILURES)))
def test_failed_exchange(
    kind: str,
    answers: list[Answer],
    token_server: TokenServer,
    info: MakeInfo,
    explicit: Callable[..., Any],
    log: Everything,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever a token server answers, no secret of the exchange is in the error, in what caused it, in its pickle or in a log."""
    monkeypatch.setattr("google.auth._exponential_backoff.time.sleep", lambda _: None)
    token_server.prefix = SECRETS[3]
    auth = Auth(explicit(info(kind)))
    # The last answer is repeated, so that an exchange in two steps fails at its second as well.
    token_server.answers[:] = [*answers, *[answers[-1]] * 3]
    try:
        auth.headers()
    except AuthError as error:
        assert_silent(left_behind(error, auth) + log.text.getvalue())
    else:
        assert_silent(repr(auth) + log.text.getvalue())
    assert token_server.received
    assert "Making request" in log.text.getvalue()


@pytest.mark.parametrize("kind", ["authorized_user", "external_account", "impersonated"])
@pytest.mark.parametrize("trouble", ["nobody", "stalled"])
def test_token_server_that_does_not_answer(
    kind: str, trouble: str, free_port: int, token_server: TokenServer, info: MakeInfo, explicit: Callable[..., Any], log: Everything
) -> None:
    """A transport error of requests holds the whole request that it failed to send; ours holds none of it."""
    token_server.gate.clear()
    auth = Auth(explicit(info(kind, f"http://127.0.0.1:{free_port}" if trouble == "nobody" else None)))
    with pytest.raises(AuthError) as caught:
        auth.headers(timeout=60.0 if trouble == "nobody" else 0.1)
    assert_silent(left_behind(caught.value, auth) + log.text.getvalue())
    assert caught.value.__cause__ is not None
    assert caught.value.__cause__.args
    assert all(isinstance(argument, str) for argument in caught.value.__cause__.args)


@pytest.mark.parametrize("damage", ["cut off", "broken key", "unknown type", "missing field", "not an object"])
def test_damaged_credentials_file(
    damage: str, info: MakeInfo, keys: Keys, default_credentials: Callable[..., Path], log: Everything
) -> None:
    """A file that cannot be read as credentials is described, and not quoted."""
    content = info("service_account")
    file = default_credentials(content)
    if damage == "cut off":
        file.write_text(json.dumps(content)[:-40])
    elif damage == "broken key":
        file.write_text(json.dumps({**content, "private_key": keys.pem.replace("A", "B")}))
    elif damage == "unknown type":
        file.write_text(json.dumps({**content, "type": "robot"}))
    elif damage == "missing field":
        file.write_text(json.dumps({key: value for key, value in content.items() if key != "client_email"}))
    else:
        file.write_text(json.dumps([content]))
    auth = Auth()
    with pytest.raises(AuthError) as caught:
        auth.headers()
    assert_silent(left_behind(caught.value, auth) + log.text.getvalue(), keys)


@pytest.mark.parametrize("kind", [*KINDS, "api_key"])
def test_calls_and_clients(
    kind: str,
    vision: Emulator,
    token_server: TokenServer,
    info: MakeInfo,
    keys: Keys,
    explicit: Callable[..., Any],
    make_client: MakeClient,
    log: Everything,
) -> None:
    """Calls that succeed, fail for good, fail for a while and are refused leave no secret in errors, clients or logs."""
    token_server.prefix = SECRETS[3]
    identity = {"api_key": SECRETS[5]} if kind == "api_key" else {"credentials": explicit(info(kind))}
    client = make_client(endpoint=vision.target, root_certificates=vision.root_certificate, quota_project=None, **identity)
    list(client.list_operations())
    errors: list[VisionError] = []
    for code in (grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.INTERNAL):
        vision.faults.add(Fault.fail("GetOperation", code, times=8))
        with pytest.raises(VisionError) as caught:
            client.get_operation("operations/none")
        errors.append(caught.value)
        vision.faults.clear()
    unsendable: list[Any] = [("UPPER", "x"), ("a", "line\nbreak"), ("a-bin", "text"), ("a", 5)]
    for pair in unsendable:
        with pytest.raises(ConfigError) as refused:
            client.get_operation("operations/none", metadata=[pair])
        errors.append(refused.value)
    token = next(str(value) for key, value in vision.calls[0].metadata if key in ("authorization", "x-goog-api-key"))
    for error in errors:
        text = left_behind(error, client, client._transport.auth, client._transport.settings) + log.text.getvalue()
        assert token.removeprefix("Bearer ") not in text
        assert_silent(text, keys)


@pytest.mark.parametrize("client_class", [Client, AsyncClient])
@pytest.mark.parametrize("wrong", [{"api_key": SECRETS[5]}, {"credentials": Credentials(SECRETS[3])}])  # type: ignore[no-untyped-call]
@pytest.mark.parametrize("where", ["emulator", "channel"])
def test_no_secret_over_an_insecure_channel(
    where: str, wrong: dict[str, Any], client_class: type[Client] | type[AsyncClient], log: Everything
) -> None:
    """A secret beside an emulator, or beside a channel that brings its own identity, is refused without being quoted."""
    with grpc.insecure_channel("localhost:1") as channel, pytest.raises(ConfigError) as caught:
        client_class(**{"emulator": "localhost:1"} if where == "emulator" else {"channel": channel}, **wrong)
    assert_silent(left_behind(caught.value) + log.text.getvalue())


def test_emulator_of_the_environment_sees_no_secret(
    serve: Callable[..., Emulator], make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """VISION_EMULATOR_HOST turns a program with credentials to an emulator, and leaves the credentials at home."""
    server = serve()
    monkeypatch.setenv("VISION_EMULATOR_HOST", server.target)
    list(make_client(api_key=SECRETS[5]).list_operations())
    list(make_client(credentials=Credentials(SECRETS[3])).list_operations())  # type: ignore[no-untyped-call]
    assert len(server.calls) == 2
    assert not any(secret in repr(call.metadata) for call in server.calls for secret in SECRETS)


def test_clients_do_not_pickle() -> None:
    """What holds a secret refuses to be pickled."""
    for held in (Auth(api_key=SECRETS[5]), Client(endpoint="localhost:1", api_key=SECRETS[5])):
        with pytest.raises(TypeError):
            pickle.dumps(held)


def test_another_library_keeps_its_own_log(
    token_server: TokenServer, info: MakeInfo, explicit: Callable[..., Any], log: Everything
) -> None:
    """google-auth's log of requests that other code makes, in other threads and later in this one, is left as it is."""
    from google.auth.transport.requests import Request

    Auth(explicit(info("authorized_user"))).headers()
    theirs = explicit(info("external_account"))
    theirs.refresh(Request())
    with ThreadPoolExecutor(1) as pool:
        pool.submit(explicit(info("external_account")).refresh, Request()).result()
    assert log.text.getvalue().count("the-subject-token-77aa") == 2
