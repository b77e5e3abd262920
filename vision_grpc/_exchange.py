"""The requests by which google-auth fetches a token, and what of them may be told. Nothing of this package's service is here."""

from __future__ import annotations

import json
import logging
import re
import threading
import time
from typing import Any
from urllib.parse import parse_qsl, quote_plus

_LONGEST = 300
"""Characters of another's words that go into an error."""


def words_of(error: Exception) -> str:
    """google-auth's own words, and of the answer that it passes along only what a server says about its error."""
    first, *further = error.args or (str(error),)
    words = [str(first)]
    for more in further:
        try:
            said = json.loads(more)["error"] if isinstance(more, str) else None
        except (ValueError, KeyError, TypeError):
            continue
        if isinstance(said, dict) and isinstance(said.get("message"), str):
            words.append(said["message"])
        elif isinstance(more, Exception):
            words.append(str(more))
    return ": ".join(" ".join(part.split()).rstrip(".") for part in words if part.strip())


def is_passing(error: Exception, exchange: Exchange) -> bool:
    """Whether the same renewal may succeed a little later."""
    from google.auth import exceptions

    if getattr(error, "retryable", False) or exchange.status in (408, 429, 500, 502, 503, 504):
        return True
    # A certificate that is not trusted, or a URL that is none, will be the same at the next try.
    origin = error.args[0] if error.args else None
    lasting = isinstance(origin, ValueError) or "CERTIFICATE_VERIFY_FAILED" in str(origin)
    return isinstance(error, exceptions.TransportError) and not lasting


_PUBLIC = frozenset(
    {
        *("audience", "client_id", "grant_type", "issued_token_type", "lifetime", "requested_token_type", "scope"),
        *("subject_token_type", "token_type", "expireTime", "message"),
    }
)
_SHAPES = re.compile(
    r"-----BEGIN [^-]*PRIVATE KEY-----.*?(?:-----END [^-]*-----|\Z)|\beyJ[\w-]+\.[\w-]+\.?[\w-]*|\bya29\.[\w.-]+|\bBearer +\S+", re.DOTALL
)


def without_secrets(words: str) -> str:
    """`words` without what looks like a secret, and not too long."""
    words = _SHAPES.sub("[secret]", words)
    return words if len(words) <= _LONGEST else words[:_LONGEST] + "…"


class Exchange:
    """google-auth's HTTP transport, with one time limit for all requests of a renewal; knows the secrets that went over it.

    Args:
        limit: Seconds from now.

    Attributes:
        status: The last HTTP status; 0 where there was no answer.
    """

    def __init__(self, limit: float) -> None:
        self.status = 0
        self._deadline = time.monotonic() + limit
        self._secrets: set[str] = set()
        self._session: Any = None

    def __enter__(self) -> None:
        logging.getLogger("google.auth.transport.requests").addFilter(_discreet)
        _discreet.here.fetching = True

    def __exit__(self, *_: object) -> None:
        _discreet.here.fetching = False
        if self._session is not None:
            self._session.close()

    def __call__(self, url: str, method: str = "GET", body: Any = None, headers: Any = None, timeout: Any = None, **more: Any) -> Any:
        from google.auth import exceptions
        from google.auth.transport.requests import Request

        left = self._deadline - time.monotonic()
        self.status = 0
        if left <= 0:
            raise exceptions.TransportError(f"no answer from {url} in time")  # type: ignore[no-untyped-call]
        if self._session is None:
            import requests

            self._session = requests.Session()
        self._learn(body, form=True)
        for key, value in (headers or {}).items():
            if key.lower() == "authorization":
                self._secrets.update(str(value).split())
        limit = min(timeout, left) if isinstance(timeout, int | float) else left
        response = Request(self._session)(url, method=method, body=body, headers=headers, timeout=limit, **more)
        self.status = response.status
        self._learn(response.data, form=False)
        return response

    def strike(self, words: str) -> str:
        """`words` without any secret that was sent or received, nor what looks like one, and not too long."""
        for secret in sorted(self._secrets, key=len, reverse=True):
            if len(secret) >= 6:
                words = words.replace(secret, "[secret]")
        return without_secrets(words)

    def _learn(self, content: Any, *, form: bool) -> None:
        text = content.decode("utf-8", "replace") if isinstance(content, bytes) else str(content or "")
        try:
            fields = json.loads(text)
        except ValueError:
            fields = dict(parse_qsl(text)) if form else {}
        if not isinstance(fields, dict):
            return
        for key, value in fields.items():
            if isinstance(value, str) and key not in _PUBLIC and not key.startswith("error"):
                self._secrets.update((value, quote_plus(value)))


class _Discreet(logging.Filter):
    """At DEBUG google-auth attaches whole requests, assertions and all, to its log records; ours go without.

    Only records of a thread that is fetching a token for this package are touched.
    """

    def __init__(self) -> None:
        super().__init__()
        self.here = threading.local()

    def filter(self, record: logging.LogRecord) -> bool:
        if getattr(self.here, "fetching", False):
            request = record.__dict__.pop("httpRequest", None)
            record.__dict__.pop("httpResponse", None)
            if isinstance(request, dict):
                record.__dict__["httpRequest"] = {key: request.get(key) for key in ("method", "url")}
        return True


_discreet = _Discreet()
