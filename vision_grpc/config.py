"""Where to call, how to retry and how to wait: frozen values, checked when they are made. No I/O here."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from vision_grpc.errors import ConfigError

__all__ = ["Polling", "Retry", "Target"]

LOCATIONS = ("asia", "eu", "us")
VERSIONS = ("v1", "v1p1beta1", "v1p4beta1")
DEFAULT_UNIVERSE = "googleapis.com"

_ADDRESS = re.compile(r"(?:dns:///)?(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)(?::(?P<port>\d{1,5}))?\Z")
_SERVICE = re.compile(r"(?:(?P<location>eu|us)-)?vision\.(?:mtls\.)?(?P<universe>.+):\d+\Z", re.IGNORECASE)


def address(text: str, *, default_port: int | None, where: str) -> str:
    """`text` as "host:port", or a ConfigError that says what it should look like."""
    example = "vision.googleapis.com or host:443" if default_port else "localhost:8681"
    match = _ADDRESS.match(text) if isinstance(text, str) else None
    port = int(match["port"]) if match and match["port"] else default_port
    if match is None or port is None or not 0 < port < 65536:
        hint = "; leave the scheme out" if isinstance(text, str) and "://" in text else ""
        raise ConfigError(f"{where} must look like {example}, not {text!r}{hint}")
    return f"{match['host']}:{port}"


LONGEST = 1e8
"""Seconds, three years, from which a limit is taken for none: somewhere beyond, the clocks and fields below overflow."""


def limit_of(timeout: object) -> float | None:
    """`timeout` as seconds, None where it is infinite or nearly so; a ConfigError for what is no time."""
    if timeout is None:
        return None
    # NaN is not at least 0 either.
    if not isinstance(timeout, int | float) or isinstance(timeout, bool) or not timeout >= 0:
        raise ConfigError(f"timeout must be a number of seconds, 0 or more, or None for no limit, not {timeout!r}")
    return None if timeout >= LONGEST else timeout


def is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _check_seconds(owner: object, **values: float) -> None:
    for name, value in values.items():
        if not (is_number(value) and 0 < value < LONGEST):
            raise ConfigError(f"{type(owner).__name__}.{name} must be a positive number of seconds below {LONGEST:,.0f}, not {value!r}")


def _check_multiplier(owner: object, multiplier: float) -> None:
    if not (is_number(multiplier) and multiplier >= 1):
        raise ConfigError(f"{type(owner).__name__}.multiplier must be a number of at least 1, not {multiplier!r}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """The server that a client talks to, and how.

    Attributes:
        address: "host:port".
        secure: TLS. Credentials are attached to secure targets only.
        location: "eu", "us" or "asia", set into requests that name no parent location of their own; None for global.
        mtls: A client certificate is presented.

    Endpoints: https://cloud.google.com/vision/docs/ocr#regionalization and https://google.aip.dev/auth/4114.
    """

    address: str
    secure: bool = True
    location: str | None = None
    mtls: bool = False

    @classmethod
    def resolve(
        cls,
        *,
        endpoint: str | None = None,
        emulator: str | None = None,
        location: str | None = None,
        universe_domain: str | None = None,
        client_certificate: bool = False,
        environ: Mapping[str, str],
    ) -> Target:
        """The target that the arguments and the environment name together; arguments win.

        ``VISION_EMULATOR_HOST`` ("host:port", no scheme) means an insecure channel without credentials, as Google's other
        emulator variables do. It counts only where no endpoint is given.

        Raises:
            ConfigError: A value is malformed, or two contradict each other.
        """
        if location is not None and location not in LOCATIONS:
            raise ConfigError(f"location must be one of {', '.join(LOCATIONS)}, not {location!r}")
        if emulator is not None and endpoint is not None:
            raise ConfigError("give endpoint= or emulator=, not both: an emulator is called without TLS and credentials")
        if emulator is None and endpoint is None:
            emulator = environ.get("VISION_EMULATOR_HOST") or None
            where = "VISION_EMULATOR_HOST"
        else:
            where = "emulator"
        if emulator is not None:
            return cls(address=address(emulator, default_port=None, where=where), secure=False, location=location)

        universe = universe_domain or environ.get("GOOGLE_CLOUD_UNIVERSE_DOMAIN") or DEFAULT_UNIVERSE
        if not isinstance(universe, str) or not re.fullmatch(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+", universe):
            raise ConfigError(f"universe_domain must be a domain as googleapis.com, not {universe!r}")
        mode = environ.get("GOOGLE_API_USE_MTLS_ENDPOINT", "auto").lower()
        if mode not in ("auto", "always", "never"):
            raise ConfigError(f"GOOGLE_API_USE_MTLS_ENDPOINT must be auto, always or never, not {mode!r}")
        mtls_endpoint = mode == "always" or (mode == "auto" and client_certificate)
        if endpoint is None:
            if mtls_endpoint and universe != DEFAULT_UNIVERSE:
                raise ConfigError(f"mutual TLS has no endpoint in universe {universe!r}: set GOOGLE_API_USE_MTLS_ENDPOINT=never")
            host = f"vision.mtls.{universe}" if mtls_endpoint else f"vision.{universe}"
            endpoint = f"{location}-{host}" if location in ("eu", "us") else host
        target = address(endpoint, default_port=443, where="endpoint")
        service = _SERVICE.match(target)
        region = service["location"].lower() if service and service["location"] else None
        # Of any other host, a private one say, nothing is known. There is no endpoint for asia alone.
        is_global = service is not None and region is None and service["universe"] == universe
        if (region and location not in (None, region)) or (is_global and location in ("eu", "us")):
            raise ConfigError(f"location {location!r} contradicts endpoint {endpoint!r}: data would leave its region; give one of them")
        return cls(address=target, location=location or region, mtls=client_certificate)

    def __str__(self) -> str:
        return self.address


@dataclass(frozen=True, kw_only=True, slots=True)
class Retry:
    """When and how often a failed call that may be repeated is sent again: exponential backoff with full jitter.

    Attributes:
        attempts: The most times a call is sent, 1 to never repeat it.
        initial: The first backoff's upper bound, in seconds.
        multiplier: What each further bound is multiplied by.
        maximum: The largest bound, in seconds. A server's RetryInfo is obeyed even beyond it, up to a day.
        connect: The longest time, in seconds, that a call which must not be sent blindly waits for its connection, each time it is sent.
    """

    attempts: int = 6
    initial: float = 0.5
    multiplier: float = 2.0
    maximum: float = 30.0
    connect: float = 20.0

    def __post_init__(self) -> None:
        if not is_number(self.attempts) or not isinstance(self.attempts, int) or self.attempts < 1:
            raise ConfigError(f"Retry.attempts must be a whole number of at least 1, not {self.attempts!r}")
        _check_seconds(self, initial=self.initial, maximum=self.maximum, connect=self.connect)
        _check_multiplier(self, self.multiplier)

    def bound(self, failures: int) -> float:
        """The upper bound, in seconds, of the backoff after this many failures in a row, from 1."""
        # The exponent is capped because a wait may see thousands of failed polls, and floats end at 1e308.
        return float(min(self.maximum, self.initial * self.multiplier ** min(failures - 1, 64)))


@dataclass(frozen=True, kw_only=True, slots=True)
class Polling:
    """How a wait asks for an operation's state.

    Attributes:
        initial: The first interval between two GetOperation calls, in seconds.
        multiplier: What each further interval is multiplied by.
        maximum: The longest interval, in seconds.
        jitter: The share of an interval that is random, 0 to 1, so that many waits do not beat in step.
        call_timeout: The deadline of one poll, in seconds; one that passes does not end the wait.
        server_wait: How long one WaitOperation call lets the server hold it, in seconds, where the server has that method.
    """

    initial: float = 3.0
    multiplier: float = 1.5
    maximum: float = 10.0
    jitter: float = 0.2
    call_timeout: float = 30.0
    server_wait: float = 20.0

    def __post_init__(self) -> None:
        _check_seconds(self, initial=self.initial, maximum=self.maximum, call_timeout=self.call_timeout, server_wait=self.server_wait)
        _check_multiplier(self, self.multiplier)
        if not (is_number(self.jitter) and 0 <= self.jitter <= 1):
            raise ConfigError(f"Polling.jitter must be between 0 and 1, not {self.jitter!r}")

    def interval(self, polls: int, random: float) -> float:
        """Seconds to the next poll after this many, with `random` in [0, 1) as the jitter's draw."""
        base = min(self.maximum, self.initial * self.multiplier ** min(polls - 1, 64))
        return float(base * (1 - self.jitter * random))
