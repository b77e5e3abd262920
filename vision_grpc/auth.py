"""google-auth credentials in, request metadata out: fetched before a call, cached, renewed by one caller at a time.

A secret is held here and nowhere else; no repr, error or log of this package contains one. google-auth's own exceptions do:
they carry the token server's answers, and the requests that were sent. An AuthError is therefore caused by a copy of
google-auth's exception, of the same class, with its words alone and every secret of the exchange struck from them.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from datetime import UTC
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, NamedTuple

from vision_grpc.config import DEFAULT_UNIVERSE
from vision_grpc.errors import AuthError, ConfigError

if TYPE_CHECKING:
    from google.auth.credentials import Credentials

    from vision_grpc._exchange import Exchange

SCOPES = ("https://www.googleapis.com/auth/cloud-platform", "https://www.googleapis.com/auth/cloud-vision")

_EARLY = 225.0
"""Seconds before its expiry from which a token is renewed; Google's metadata server hands out no newer one before."""
_AGAIN = 10.0
"""Seconds between two tries to renew a token that is still good."""
_UNDATED = 3600.0
"""Seconds after which credentials whose token has no expiry are asked again."""
_LIMIT = 30.0
"""Seconds that fetching a token may take; google-auth's own limit of 120 for each of three tries would hide a dead server."""

_WAY_OUT = (
    "run `gcloud auth application-default login`, point GOOGLE_APPLICATION_CREDENTIALS at a key or configuration file, "
    "or pass credentials=; to work without an account set VISION_EMULATOR_HOST or pass emulator="
)

Headers = tuple[tuple[str, str], ...]


class _Grant(NamedTuple):
    """What calls carry, and until when. Replaced whole, so that no thread sees half of a new one."""

    headers: Headers
    renew_at: float
    expires_at: float


_NOTHING_YET = _Grant((), 0.0, 0.0)


class Auth:
    """The metadata that authenticates calls: a bearer token, an API key, or nothing.

    Args:
        credentials: Any google-auth credentials; None with no API key means Application Default Credentials, which are looked up
            at the first call, not here.
        api_key: Sent as ``x-goog-api-key`` instead of credentials.
        quota_project: The project that quota and billing are counted against, ``x-goog-user-project``.
        universe_domain: The universe that credentials must belong to; None does not check.
        anonymous: Send nothing, as emulators want it.
        clock: The time in seconds since 1970.

    Raises:
        ConfigError: Both credentials and an API key are given, or something that cannot be sent.
    """

    def __init__(
        self,
        credentials: Credentials | None = None,
        *,
        api_key: str | None = None,
        quota_project: str | None = None,
        universe_domain: str | None = None,
        anonymous: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if api_key is not None and credentials is not None:
            raise ConfigError("give credentials= or api_key=, not both: the service refuses a call with two identities")
        if api_key is not None and not _sendable(api_key):
            raise ConfigError("api_key must be the key's printable ASCII characters, without spaces")
        if quota_project is not None and not _sendable(quota_project):
            raise ConfigError(f"quota_project must be a project's ID or number, not {quota_project!r}")
        if credentials is not None and not _are_credentials(credentials):
            kind = credentials if isinstance(credentials, type) else type(credentials)
            name = f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins.")
            what = f"the class {name} itself" if kind is credentials else name
            raise ConfigError(f"credentials must be google.auth.credentials.Credentials, not {what}")
        self.project: str | None = None
        self._credentials = credentials
        self._quota_project = quota_project
        self._universe = universe_domain
        self._clock = clock
        self._prepared = False
        self._lock = threading.Lock()
        self._renewals: dict[asyncio.AbstractEventLoop, asyncio.Task[None]] = {}
        self._failure: tuple[float, AuthError] | None = None
        self._refused: Headers | None = None
        self._grant = _NOTHING_YET
        self._identity = type(credentials).__name__ if credentials is not None else "Application Default Credentials"
        if anonymous or type(credentials).__name__ == "AnonymousCredentials":
            self._identity = "nobody"
            self._grant = _Grant((), float("inf"), float("inf"))
        elif api_key is not None:
            self._identity = "API key"
            quota = (("x-goog-user-project", quota_project),) if quota_project else ()
            self._grant = _Grant((("x-goog-api-key", api_key), *quota), float("inf"), float("inf"))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} as {self._identity}>"

    def headers(self, timeout: float | None = None) -> Headers:
        """The metadata for a call made now; blocks while a token is fetched, at most `timeout` seconds.

        Raises:
            AuthError: There are no usable credentials.
        """
        if self._clock() >= self._grant.renew_at:
            came = time.monotonic()
            self._renew(timeout)
            if timeout is not None and time.monotonic() - came >= timeout:
                raise self._late(timeout)
        return self._grant.headers

    async def aheaders(self, timeout: float | None = None) -> Headers:
        """As `headers`, with the token fetched in a thread: an event loop is never blocked."""
        grant, now = self._grant, self._clock()
        if now < grant.renew_at:
            return grant.headers
        loop = asyncio.get_running_loop()
        task = self._renewals.get(loop)
        if task is None:
            task = self._renewals[loop] = loop.create_task(asyncio.to_thread(self._renew, None))
            task.add_done_callback(lambda done: self._renewed(loop, done))
        elif now < grant.expires_at:
            return grant.headers
        failure: AuthError
        try:
            async with asyncio.timeout(timeout):
                # Shielded: a caller that is cancelled does not take the token from the others who wait for it.
                await asyncio.shield(task)
            return self._grant.headers
        except TimeoutError:
            if self._clock() < self._grant.expires_at:
                return self._grant.headers
            failure = self._late(timeout)
        except AuthError as error:
            failure = _again(error)
        raise failure

    def forget(self, refused: Headers | None = None) -> None:
        """Drops the token that a call carried and the service refused, so that the next call fetches another.

        Args:
            refused: What that call carried; a token that has replaced it since is kept. None drops the present one.
        """
        grant = self._grant
        if grant.renew_at != float("inf") and refused in (None, grant.headers):
            self._refused = grant.headers
            self._grant = _Grant(grant.headers, 0.0, 0.0)

    def _renewed(self, loop: asyncio.AbstractEventLoop, task: asyncio.Task[None]) -> None:
        self._renewals.pop(loop, None)
        if not task.cancelled():
            # Taken even where every caller was cancelled meanwhile; asyncio would log it as never retrieved.
            task.exception()

    def _renew(self, timeout: float | None) -> None:
        came = time.monotonic()
        # While the old token is good, one caller renews it and the others go on with it.
        usable = self._clock() < self._grant.expires_at
        if not (self._lock.acquire(blocking=False) if usable else self._lock.acquire(timeout=-1 if timeout is None else timeout)):
            if usable:
                return
            raise self._late(timeout)
        try:
            if self._clock() < self._grant.renew_at:
                return
            if self._failure is not None and self._failure[0] >= came:
                # The others who waited for a try that failed do not each wait for one of their own.
                raise _again(self._failure[1])
            limit = _LIMIT if timeout is None else min(_LIMIT, timeout - (time.monotonic() - came))
            try:
                self._fetch(limit)
            except AuthError as error:
                if limit == _LIMIT:
                    self._failure = (time.monotonic(), _again(error))
                raise
            self._failure = None
        finally:
            self._lock.release()

    def _fetch(self, limit: float) -> None:
        """Replaces the grant; a token that is still good outlives a renewal that fails for a passing reason."""
        # Here, as google-auth itself: a client that never fetches a token does not load what that takes.
        from vision_grpc._exchange import Exchange

        exchange = Exchange(limit)
        failure = None
        old = self._grant
        try:
            with exchange:
                if not self._prepared:
                    self._prepare(exchange)
                credentials: Any = self._credentials
                if type(credentials).__name__ == "AnonymousCredentials":
                    self._grant = _Grant((), float("inf"), float("inf"))
                    return
                # The credentials may be shared, and hold a token that is newer than ours.
                held = self._held(credentials)
                if held is not None and held.headers == self._refused:
                    held = None
                old = held or old
                if held is None or self._clock() >= held.renew_at:
                    credentials.refresh(exchange)
                    held = self._held(credentials)
        except AuthError:
            raise
        except Exception as error:
            # Credentials come in many kinds, from files and from users; whatever one raises means that there is no token.
            failure = self._explain(error, exchange)
        else:
            if held is None:
                raise AuthError(f"{self._identity} gave no token; check that the credentials are current, or {_WAY_OUT}")
        now = self._clock()
        if failure is None and held is not None:
            self._refused = None
            old = held
        elif failure is not None and not (failure.transient and now < old.expires_at):
            raise failure
        self._grant = old._replace(renew_at=max(old.renew_at, min(old.expires_at, now + _AGAIN)))

    def _held(self, credentials: Any) -> _Grant | None:
        """The grant that the credentials hold now, None without a token."""
        if not getattr(credentials, "token", None):
            return None
        applied: dict[str, str] = {}
        credentials.apply(applied)
        headers = tuple((key.lower(), value) for key, value in applied.items())
        if not all(isinstance(value, str) and _sendable(value, " ") for _, value in headers):
            raise AuthError(f"{self._identity} gave a token that cannot be sent in a header: it holds line breaks or the like")
        expiry = getattr(credentials, "expiry", None)
        if expiry is None:
            return _Grant(headers, self._clock() + _UNDATED, self._clock() + _UNDATED)
        # google-auth's expiry is a naive datetime in UTC.
        expires_at = (expiry if expiry.tzinfo else expiry.replace(tzinfo=UTC)).timestamp()
        return _Grant(headers, expires_at - _EARLY, expires_at)

    def _prepare(self, exchange: Exchange) -> None:
        """Looks up Application Default Credentials where none were given, and gives them scopes and the quota project."""
        import google.auth
        from google.auth.credentials import with_scopes_if_required

        credentials: Any = self._credentials
        if credentials is None:
            # Without scopes here: with them google-auth would ask the Resource Manager for the project of an external account.
            transport: Any = exchange
            credentials, self.project = google.auth.default(request=transport, quota_project_id=self._quota_project)
            self._identity = type(credentials).__name__
        else:
            self.project = getattr(credentials, "project_id", None)
            if self._quota_project:
                if not hasattr(credentials, "with_quota_project"):
                    raise AuthError(f"{self._identity} cannot carry a quota project; leave quota_project out")
                credentials = credentials.with_quota_project(self._quota_project)
        credentials = with_scopes_if_required(credentials, SCOPES)  # type: ignore[no-untyped-call]
        if hasattr(credentials, "with_always_use_jwt_access"):
            # A service account's own signature is a token: no round trip to a token server. https://google.aip.dev/auth/4111
            credentials = credentials.with_always_use_jwt_access(True)
        universe = getattr(credentials, "universe_domain", DEFAULT_UNIVERSE)
        if self._universe is not None and universe != self._universe:
            raise AuthError(
                f"the credentials belong to universe {universe!r}, the endpoint to {self._universe!r}; use those of one universe"
            )
        self._credentials = credentials
        self._prepared = True

    def _late(self, timeout: float | None) -> AuthError:
        return AuthError(f"no access token from {self._identity} within {timeout or 0.0:.3g} s; nothing was sent", transient=True)

    def _explain(self, error: Exception, exchange: Exchange) -> AuthError:
        """The AuthError for what google-auth raised, with no reference to it: even its traceback holds secrets."""
        from google.auth import exceptions

        from vision_grpc._exchange import is_passing, words_of

        words = exchange.strike(words_of(error))
        transient = is_passing(error, exchange)
        if isinstance(error, exceptions.GoogleAuthError):
            cause: Exception = type(error).__new__(type(error))
            cause.args = (words,)
            cause._retryable = transient  # type: ignore[attr-defined]
        else:
            words = f"{type(error).__name__}: {words}"
            cause = exceptions.RefreshError(words, retryable=transient)  # type: ignore[no-untyped-call]
        if isinstance(error, ImportError):
            sentence = f"google-auth cannot fetch a token here: {words}; pip install 'google-auth[requests]'"
        elif isinstance(error, exceptions.DefaultCredentialsError) and not self._prepared:
            sentence = f"no usable Google credentials were found ({words}): {_WAY_OUT}"
        elif transient:
            sentence = f"no access token from {self._identity}, the token server was not reached or is busy: {words}"
        elif self._refused:
            sentence = f"the service refused the access token, and {self._identity} gave no other: {words}; {_WAY_OUT}"
        else:
            sentence = f"no access token from {self._identity}: {words}; check that the credentials are current, or {_WAY_OUT}"
        failure = AuthError(sentence, transient=transient)
        failure.__cause__ = cause
        return failure


def _are_credentials(value: object) -> bool:
    """Whether `value` has what google-auth's credentials have. Those of google.auth.aio, whose methods are coroutines, have not."""
    methods = [getattr(value, name, None) for name in ("apply", "refresh")]
    return not isinstance(value, type) and all(callable(method) and not iscoroutinefunction(method) for method in methods)


def _sendable(text: object, also: str = "") -> bool:
    return isinstance(text, str) and bool(text) and all("!" <= character <= "~" or character in also for character in text)


def _again(error: AuthError) -> AuthError:
    """A copy to raise elsewhere: one exception raised in several threads would mix their tracebacks."""
    copy = AuthError(str(error), transient=error.transient)
    copy.__cause__ = error.__cause__
    return copy
