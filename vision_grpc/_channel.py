"""What a channel is made from, and what a call may carry besides its request. No I/O here."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import google.protobuf
import grpc

from vision_grpc._version import __version__
from vision_grpc.config import Target, is_number
from vision_grpc.errors import AuthError, ConfigError

ClientCertificate = Callable[[], tuple[bytes, bytes]]


def api_client_header(user_agent: str | None) -> tuple[str, str]:
    """x-goog-api-client, by which Google tells clients apart."""
    if user_agent is not None and not (isinstance(user_agent, str) and _TEXT.match(user_agent)):
        raise ConfigError("user_agent must be printable ASCII text")
    python = sys.version.partition(" ")[0].rstrip("+")  # as platform.python_version(), whose module takes 3 ms to load
    words = f"gl-python/{python} grpc/{grpc.__version__} gccl/{__version__} pb/{google.protobuf.__version__}"
    return ("x-goog-api-client", f"{user_agent} {words}" if user_agent else words)


def _are_arguments(options: object) -> bool:
    if not isinstance(options, list | tuple):
        return False
    return all(isinstance(pair, list | tuple) and list(map(type, pair)) in ([str, int], [str, str], [str, bytes]) for pair in options)


_RULES: tuple[tuple[str, str, Callable[[Any], bool]], ...] = (
    ("root_certificates", "PEM as bytes", lambda value: isinstance(value, bytes)),
    ("client_certificate", "a function that returns a certificate and its private key", callable),
    ("keepalive", "seconds from 0.001 to 2,147,483, or None for no pings", lambda value: is_number(value) and 0.001 <= value <= 2_147_483),
    ("max_message", "bytes from 1 to 2,147,483,647, or None for no limit", lambda value: type(value) is int and 0 < value < 2**31),
    ("compression", "one of grpc.Compression", lambda value: isinstance(value, grpc.Compression)),
    (
        "options",
        "a list of pairs of a name and an int or string",
        _are_arguments,
    ),
)
"""What each setting must be where it is not None. gRPC itself says so in a traceback, at the first call, or not at all."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ChannelSettings:
    """All that a channel is made from; a ConfigError for what no channel can be made from.

    Attributes:
        keepalive: Seconds between pings on an idle connection, which NAT gateways and load balancers would drop; None for none.
            Servers of gRPC's own kind refuse more than one ping in five minutes.
        max_message: The largest message in bytes that is received or sent; None for no limit.
        options: Further gRPC channel arguments; they win.
    """

    target: Target
    root_certificates: bytes | None = None
    client_certificate: ClientCertificate | None = field(default=None, repr=False)
    keepalive: float | None = 300.0
    max_message: int | None = None
    compression: grpc.Compression | None = None
    options: Sequence[tuple[str, Any]] = ()

    def __post_init__(self) -> None:
        for name, kind, holds in _RULES:
            value = getattr(self, name)
            if value is not None and not holds(value):
                raise ConfigError(f"{name} must be {kind}" + (f", not {value!r}" if isinstance(value, int | float) else ""))

    def arguments(self) -> list[tuple[str, Any]]:
        limit = -1 if self.max_message is None else self.max_message
        arguments: list[tuple[str, Any]] = [
            ("grpc.max_receive_message_length", limit),
            ("grpc.max_send_message_length", limit),
            # A subchannel shared with another client of the process would outlive close() and mix their settings.
            ("grpc.use_local_subchannel_pool", 1),
            # Retries are this package's: core's own, configurable from DNS, would repeat a submit blindly.
            ("grpc.enable_retries", 0),
        ]
        if not self.target.secure:
            # An emulator is near. A proxy of the environment, which gRPC would take even to 127.0.0.1, does not lead to it.
            arguments.append(("grpc.enable_http_proxy", 0))
        if self.keepalive is not None:
            arguments += [
                ("grpc.keepalive_time_ms", int(self.keepalive * 1000)),
                ("grpc.keepalive_timeout_ms", 20_000),
                ("grpc.keepalive_permit_without_calls", 1),
            ]
        return [*arguments, *self.options]

    def credentials(self) -> grpc.ChannelCredentials:
        certificate, key = _identity(self.client_certificate) if self.client_certificate else (None, None)
        return grpc.ssl_channel_credentials(self.root_certificates, key, certificate)


def _identity(client_certificate: ClientCertificate) -> tuple[bytes, bytes]:
    failure = None
    try:
        identity: Any = client_certificate()
    except Exception as error:
        from vision_grpc._exchange import without_secrets

        failure = f"{type(error).__name__}: {without_secrets(str(error))}"
    if failure is not None:
        # Not caused by what was raised, nor raised while that was handled: it may quote the key.
        raise AuthError(f"the client certificate was not to be had: {failure}")
    match identity:
        case (bytes(certificate), bytes(key)) if b"-----BEGIN CERTIFICATE" in certificate and b"PRIVATE KEY-----" in key:
            return certificate, key
    # gRPC would only say that it failed to create a handshaker.
    raise AuthError("client_certificate must return a certificate and its private key, both as bytes of PEM")


_KEY = re.compile(r"[0-9a-z_.-]+\Z")
_RESERVED = re.compile(r"(?:grpc-.*|te|content-type|user-agent|host)\Z")
_TEXT = re.compile(r"[ -~]*\Z")


def check_metadata(metadata: Sequence[tuple[str, str | bytes]]) -> None:
    """Refuses what gRPC would refuse: its own error quotes the whole metadata, with the token in it. Refuses what it would drop too."""
    pairs = isinstance(metadata, Collection) and not isinstance(metadata, str | bytes | Mapping)
    if not pairs or not all(isinstance(pair, tuple | list) and len(pair) == 2 for pair in metadata):
        raise ConfigError('metadata must be a list of pairs of key and value, as [("x-trace", "1")]')
    for key, value in metadata:
        if isinstance(key, str) and _RESERVED.match(key):
            raise ConfigError(f"metadata key {key!r} is gRPC's own: leave it out, or see timeout=, user_agent= and compression=")
        if not isinstance(key, str) or not _KEY.match(key):
            raise ConfigError(f"metadata key {key!r} cannot be sent: use lower-case letters, digits, '_', '-' and '.'")
        if key.endswith("-bin"):
            if not isinstance(value, bytes):
                raise ConfigError(f"metadata {key!r} must be bytes, as every key that ends in -bin, not {type(value).__name__}")
        elif not isinstance(value, str) or not _TEXT.match(value):
            raise ConfigError(f"metadata {key!r} must be printable ASCII text; for anything else let its key end in -bin and send bytes")
