"""What a call over a channel needs, blocking or not: its metadata, its time, and words for a connection that did not come. No I/O here."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import grpc

from vision_grpc._calls import Call, Metadata
from vision_grpc._channel import ChannelSettings, api_client_header, check_metadata
from vision_grpc.auth import Auth, Headers
from vision_grpc.config import Target
from vision_grpc.errors import ConfigError


def rest(timeout: float | None, since: float) -> float | None:
    """What is left of a call's time after its token was fetched."""
    return None if timeout is None else max(0.0, timeout - (time.monotonic() - since))


FRESH = 0.005
"""Seconds for which a connection that was seen to stand is taken to stand, unless a call fails. To look costs some percent of a
call's CPU time, and a connection may break between the look and the call anyway."""


class TransportBase:
    """What both transports share: the metadata of a call."""

    channel_kinds: tuple[type[Any], type[Any]]
    """The kind of channel that is taken, beside what only behaves like one, and the other kind."""
    interceptor_kinds: tuple[type[Any], ...]

    def __init__(self, settings: ChannelSettings, auth: Auth, channel: Any, interceptors: Sequence[Any], user_agent: str | None) -> None:
        self.settings = settings
        self.auth = auth
        self.closed = False
        kind, other = self.channel_kinds
        if channel is not None and (isinstance(channel, other) or not hasattr(channel, "unary_unary")):
            what = f"{type(channel).__module__}.{type(channel).__qualname__}".removeprefix("builtins.")
            raise ConfigError(f"channel must be a {kind.__module__.partition('._')[0]}.Channel, not {what}")
        self._given = channel
        several = isinstance(interceptors, list | tuple)
        if not several or not all(isinstance(interceptor, self.interceptor_kinds) for interceptor in interceptors):
            raise ConfigError(
                f"interceptors must be a list of {self.interceptor_kinds[0].__module__.partition('._')[0]}'s client interceptors"
            )
        self._interceptors = list(interceptors)
        self._fixed = (api_client_header(user_agent),)
        self._refused: Headers | None = None
        self._standing: tuple[Headers | None, Metadata] = (None, ())

    def fresh(self) -> bool:
        """Whether the connection was seen to stand a moment ago, and no call has failed since."""
        return False

    def close_with(self, owner: object) -> None:
        """Closes what is open once `owner` is garbage, or the process ends, where leaving it to the interpreter would not do."""

    def _metadata(self, call: Call, authentication: Headers) -> list[tuple[str, str | bytes]]:
        known, standing = self._standing
        if known is not authentication:
            standing = (*self._fixed, *authentication)
            check_metadata(standing)
            self._standing = (authentication, standing)
        metadata = list(standing)
        routing = call.method.routing
        if routing is not None and (value := getattr(call.request, routing, "")):
            from urllib.parse import quote  # 3 ms at import, for calls that a program may not make

            metadata.append(("x-goog-request-params", f"{routing}={quote(value, safe='/')}"))
        if call.metadata:
            check_metadata(call.metadata)
            metadata.extend(call.metadata)
        return metadata

    def _note(self, error: grpc.RpcError, authentication: Headers) -> None:
        """Remembers which token was refused: of many callers that meet the same refusal only one is to fetch another."""
        if error.code() is grpc.StatusCode.UNAUTHENTICATED:
            self._refused = authentication

    def _check_open(self) -> None:
        if self.closed:
            raise ConfigError("the client is closed: make another one")


def connection_words(target: Target, timeout: float) -> str:
    return f"no connection to {target.address} within {timeout:.3g} s"
