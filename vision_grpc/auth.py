"""google-auth credentials in, request metadata out: fetched before a call, cached, renewed by one caller at a time.

A secret is held here and nowhere else; no repr, error or log of this package contains one.
"""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING, Any

from vision_grpc.config import DEFAULT_UNIVERSE
from vision_grpc.errors import AuthError, ConfigError

if TYPE_CHECKING:
    from google.auth.credentials import Credentials

SCOPES = ("https://www.googleapis.com/auth/cloud-platform", "https://www.googleapis.com/auth/cloud-vision")

_EARLY = 225.0
"""Seconds before its expiry from which a token is renewed; Google's metadata server hands out no newer one before."""
_AGAIN = 10.0
"""Seconds between two tries to renew a token that is still good."""

_WAY_OUT = (
    "run `gcloud auth application-default login`, point GOOGLE_APPLICATION_CREDENTIALS at a key or configuration file, "
    "or pass credentials=; to work without an account set VISION_EMULATOR_HOST or pass emulator="
)

Headers = tuple[tuple[str, str], ...]


class Auth:
    """The metadata that authenticates calls: a bearer token, an API key, or nothing.

    Args:
        credentials: Any google-auth credentials; None with no API key means Application Default Credentials, which are looked up
            at the first call, not here.
        api_key: Sent as ``x-goog-api-key`` instead of credentials.
        quota_project: The project that quota and billing are counted against, ``x-goog-user-project``.
        universe_domain: The universe that credentials must belong to; None does not check.
        anonymous: Send nothing, as emulators want it.

    Raises:
        ConfigError: Both credentials and an API key are given, or credentials of another library.
    """

    def __init__(
        self,
        credentials: Credentials | None = None,
        *,
        api_key: str | None = None,
        quota_project: str | None = None,
        universe_domain: str | None = None,
        anonymous: bool = False,
    ) -> None:
        if api_key is not None and credentials is not None:
            raise ConfigError("give credentials= or api_key=, not both: the service refuses a call with two identities")
        if api_key is not None and (not api_key.isascii() or not api_key.isprintable() or not api_key.strip()):
            raise ConfigError("api_key must be the key's printable characters")
        if credentials is not None and not (hasattr(credentials, "apply") and hasattr(credentials, "refresh")):
            raise ConfigError(f"credentials must be google.auth.credentials.Credentials, not {type(credentials).__name__}")
        self._credentials = credentials
        self._quota_project = quota_project
        self._universe = universe_domain
        self._prepared = False
        self._lock = threading.Lock()
        self._renewals: dict[asyncio.AbstractEventLoop, asyncio.Task[None]] = {}
        self._headers: Headers = ()
        self._renew_at = 0.0
        self._expires_at = 0.0
        self.project: str | None = None
        if anonymous or api_key is not None:
            self._renew_at = self._expires_at = float("inf")
            if api_key is not None:
                quota = (("x-goog-user-project", quota_project),) if quota_project else ()
                self._headers = (("x-goog-api-key", api_key), *quota)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} by {type(self._credentials).__name__ if self._credentials else 'default or key'}>"

    def headers(self) -> Headers:
        """The metadata for a call made now; blocks while a token is fetched.

        Raises:
            AuthError: There are no usable credentials.
        """
        if time.time() >= self._renew_at:
            self._renew()
        return self._headers

    async def aheaders(self) -> Headers:
        """As `headers`, with the token fetched in a thread: an event loop is never blocked."""
        if time.time() >= self._renew_at:
            loop = asyncio.get_running_loop()
            task = self._renewals.get(loop)
            if task is None:
                task = self._renewals[loop] = loop.create_task(asyncio.to_thread(self._renew))
                task.add_done_callback(lambda _: self._renewals.pop(loop, None))
            # Shielded: a caller that is cancelled does not take the token from the others who wait for it.
            await asyncio.shield(task)
        return self._headers

    def forget(self) -> None:
        """Drops the cached token, so that the next call fetches another."""
        if self._renew_at != float("inf"):
            self._renew_at = self._expires_at = 0.0

    def _renew(self) -> None:
        # While the old token is good, one caller renews it and the others go on with it.
        usable = time.time() < self._expires_at
        if not self._lock.acquire(blocking=not usable):
            return
        try:
            if time.time() < self._renew_at:
                return
            self._fetch()
        except AuthError as error:
            if not (usable and error.transient):
                raise
            self._renew_at = time.time() + _AGAIN
        finally:
            self._lock.release()

    def _fetch(self) -> None:
        from google.auth import exceptions

        try:
            if not self._prepared:
                self._prepare()
            credentials: Any = self._credentials
            if type(credentials).__name__ == "AnonymousCredentials":
                self._headers, self._renew_at, self._expires_at = (), float("inf"), float("inf")
                return
            if self._renew_at == 0.0 and self._expires_at == 0.0 and self._headers:
                fresh = False  # forget() was called: the token that google-auth still holds was refused
            else:
                state = getattr(credentials, "token_state", None)
                fresh = getattr(state, "name", None) == "FRESH"
            if not fresh:
                from google.auth.transport.requests import Request

                credentials.refresh(Request())  # type: ignore[no-untyped-call]
            applied: dict[str, str] = {}
            credentials.apply(applied)
        except exceptions.GoogleAuthError as error:
            raise self._explain(error) from error
        except ImportError as error:
            raise AuthError(f"google-auth cannot fetch a token here: {error}; pip install 'google-auth[requests]'") from error
        expiry = credentials.expiry
        if expiry is None:
            self._expires_at = self._renew_at = time.time() + 3600.0
        else:
            # google-auth's expiry is a naive datetime in UTC.
            from datetime import UTC

            self._expires_at = expiry.replace(tzinfo=UTC).timestamp()
            self._renew_at = max(self._expires_at - _EARLY, min(self._expires_at, time.time() + _AGAIN))
        self._headers = tuple((key.lower(), value) for key, value in applied.items())

    def _prepare(self) -> None:
        """Looks up Application Default Credentials where none were given, and gives them scopes and the quota project."""
        import google.auth
        from google.auth.credentials import with_scopes_if_required

        credentials: Any = self._credentials
        if credentials is None:
            credentials, self.project = google.auth.default(scopes=SCOPES, quota_project_id=self._quota_project)
        else:
            credentials = with_scopes_if_required(credentials, SCOPES)
            self.project = getattr(credentials, "project_id", None)
            if self._quota_project:
                if not hasattr(credentials, "with_quota_project"):
                    raise AuthError(f"{type(credentials).__name__} cannot carry a quota project; leave quota_project out")
                credentials = credentials.with_quota_project(self._quota_project)
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

    def _explain(self, error: Exception) -> AuthError:
        from google.auth import exceptions

        if isinstance(error, exceptions.DefaultCredentialsError):
            return AuthError(f"no usable Google credentials were found ({_first_sentence(error)}): {_WAY_OUT}")
        transient = bool(getattr(error, "retryable", False)) or isinstance(error, exceptions.TransportError)
        kind = type(self._credentials).__name__
        if transient:
            return AuthError(
                f"no access token from {kind}, the token server was not reached or is busy: {_first_sentence(error)}", transient=True
            )
        return AuthError(f"no access token from {kind}: {_first_sentence(error)}; check that the credentials are current, or {_WAY_OUT}")


def _first_sentence(error: Exception) -> str:
    """google-auth's own words, without the response body that it passes along as a second argument."""
    return str(error.args[0] if error.args else error).strip().rstrip(".").split("\n")[0]
