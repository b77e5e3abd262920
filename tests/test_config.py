"""Targets, retries and polling intervals: what the settings mean, and every refusal. No server is needed."""

import math
from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest

from vision_grpc import ConfigError, Polling, Retry
from vision_grpc.config import Target


def resolve(environ: dict[str, str] | None = None, **arguments: Any) -> Target:
    return Target.resolve(environ=environ or {}, **arguments)


@pytest.mark.parametrize(
    ("environ", "arguments", "address"),
    [
        ({}, {}, "vision.googleapis.com:443"),
        ({}, {"location": "eu"}, "eu-vision.googleapis.com:443"),
        ({}, {"location": "us"}, "us-vision.googleapis.com:443"),
        ({}, {"location": "asia"}, "vision.googleapis.com:443"),
        ({}, {"universe_domain": "example.org"}, "vision.example.org:443"),
        ({}, {"universe_domain": "example.org", "location": "eu"}, "eu-vision.example.org:443"),
        ({"GOOGLE_CLOUD_UNIVERSE_DOMAIN": "example.org"}, {}, "vision.example.org:443"),
        ({"GOOGLE_CLOUD_UNIVERSE_DOMAIN": "example.org"}, {"universe_domain": "googleapis.com"}, "vision.googleapis.com:443"),
        ({}, {"client_certificate": True}, "vision.mtls.googleapis.com:443"),
        ({}, {"client_certificate": True, "location": "eu"}, "eu-vision.mtls.googleapis.com:443"),
        ({"GOOGLE_API_USE_MTLS_ENDPOINT": "never"}, {"client_certificate": True}, "vision.googleapis.com:443"),
        ({"GOOGLE_API_USE_MTLS_ENDPOINT": "always"}, {}, "vision.mtls.googleapis.com:443"),
        ({"GOOGLE_API_USE_MTLS_ENDPOINT": "AUTO"}, {}, "vision.googleapis.com:443"),
        (
            {"GOOGLE_API_USE_MTLS_ENDPOINT": "never"},
            {"client_certificate": True, "universe_domain": "example.org"},
            "vision.example.org:443",
        ),
        ({}, {"endpoint": "localhost"}, "localhost:443"),
        ({}, {"endpoint": "localhost:8443"}, "localhost:8443"),
        ({}, {"endpoint": "dns:///vision.googleapis.com:443"}, "vision.googleapis.com:443"),
        ({}, {"endpoint": "[::1]:8443"}, "[::1]:8443"),
        ({}, {"endpoint": "private-vision.internal", "location": "eu"}, "private-vision.internal:443"),
        ({}, {"emulator": "localhost:8681"}, "localhost:8681"),
        ({"VISION_EMULATOR_HOST": "localhost:8681"}, {}, "localhost:8681"),
        ({"VISION_EMULATOR_HOST": "localhost:8681"}, {"emulator": "localhost:9"}, "localhost:9"),
        ({"VISION_EMULATOR_HOST": "localhost:8681"}, {"endpoint": "localhost:9"}, "localhost:9"),
        ({"VISION_EMULATOR_HOST": ""}, {}, "vision.googleapis.com:443"),
    ],
)
def test_where_calls_go(environ: dict[str, str], arguments: dict[str, Any], address: str) -> None:
    """The address that arguments and environment name together; arguments win."""
    target = resolve(environ, **arguments)
    assert target.address == str(target) == address


def test_emulators_are_insecure_and_endpoints_are_not() -> None:
    """Only an emulator is called without TLS; a plain endpoint on localhost is not taken for one."""
    assert not resolve(emulator="localhost:1").secure
    assert not resolve({"VISION_EMULATOR_HOST": "localhost:1"}).secure
    assert resolve(endpoint="localhost:1").secure


def test_location_of_a_target() -> None:
    """A regional endpoint implies its location, an emulator keeps the one that is asked for, and the global endpoint has none."""
    assert resolve(endpoint="eu-vision.googleapis.com").location == "eu"
    assert resolve(endpoint="us-vision.mtls.googleapis.com:443").location == "us"
    assert resolve(emulator="localhost:1", location="asia").location == "asia"
    assert resolve().location is None


@pytest.mark.parametrize(
    ("environ", "arguments", "words"),
    [
        ({}, {"location": "mars"}, "location must be one of asia, eu, us, not 'mars'"),
        ({}, {"location": "EU"}, "location must be one of"),
        ({}, {"endpoint": "localhost:1", "emulator": "localhost:2"}, "not both"),
        ({}, {"endpoint": "https://vision.googleapis.com"}, "endpoint must look like .*leave the scheme out"),
        ({}, {"endpoint": ""}, "endpoint must look like"),
        ({}, {"endpoint": "vision googleapis com"}, "endpoint must look like"),
        ({}, {"endpoint": "localhost:0"}, "endpoint must look like"),
        ({}, {"endpoint": "localhost:65536"}, "endpoint must look like"),
        ({}, {"endpoint": "localhost:443/path"}, "endpoint must look like"),
        ({}, {"endpoint": "localhost:443\n"}, "endpoint must look like"),
        ({}, {"endpoint": 443}, "endpoint must look like"),
        ({}, {"emulator": "localhost"}, "emulator must look like localhost:8681, not 'localhost'"),
        ({}, {"emulator": "http://localhost:1"}, "emulator must look like .*leave the scheme out"),
        ({"VISION_EMULATOR_HOST": "http://localhost:1"}, {}, "VISION_EMULATOR_HOST must look like"),
        ({}, {"universe_domain": "example"}, "universe_domain must be a domain"),
        ({"GOOGLE_CLOUD_UNIVERSE_DOMAIN": "https://example.org"}, {}, "universe_domain must be a domain"),
        ({"GOOGLE_API_USE_MTLS_ENDPOINT": "yes"}, {}, "must be auto, always or never, not 'yes'"),
        ({}, {"client_certificate": True, "universe_domain": "example.org"}, "mutual TLS has no endpoint in universe"),
        ({}, {"endpoint": "eu-vision.googleapis.com", "location": "us"}, "location 'us' contradicts endpoint"),
        ({}, {"endpoint": "us-vision.googleapis.com:443", "location": "asia"}, "data would leave its region"),
        ({}, {"endpoint": "EU-Vision.googleapis.com", "location": "us"}, "contradicts endpoint"),
        ({}, {"endpoint": "vision.googleapis.com", "location": "eu"}, "location 'eu' contradicts endpoint 'vision.googleapis.com'"),
        ({}, {"endpoint": "vision.mtls.googleapis.com:443", "location": "us"}, "location 'us' contradicts endpoint"),
    ],
)
def test_targets_that_are_refused(environ: dict[str, str], arguments: dict[str, Any], words: str) -> None:
    """What is malformed or contradicts itself is refused in one sentence that names the setting."""
    with pytest.raises(ConfigError, match=words):
        resolve(environ, **arguments)


@pytest.mark.parametrize("name", ["initial", "maximum", "connect"])
@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf, "1", None, True])
def test_retry_wants_positive_seconds(name: str, value: Any) -> None:
    """Each duration of a Retry is a positive number."""
    with pytest.raises(ConfigError, match=rf"Retry\.{name} must be a positive number of seconds"):
        Retry(**{name: value})


@pytest.mark.parametrize("name", ["initial", "maximum", "call_timeout", "server_wait"])
@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf, "1", None, True])
def test_polling_wants_positive_seconds(name: str, value: Any) -> None:
    """Each duration of a Polling is a positive number."""
    with pytest.raises(ConfigError, match=rf"Polling\.{name} must be a positive number of seconds"):
        Polling(**{name: value})


@pytest.mark.parametrize("attempts", [0, -1, 1.5, "3", None, True])
def test_retry_wants_whole_attempts(attempts: Any) -> None:
    """A call is sent a whole number of times, once at least."""
    with pytest.raises(ConfigError, match=r"Retry\.attempts must be a whole number"):
        Retry(attempts=attempts)


@pytest.mark.parametrize("kind", [Retry, Polling])
@pytest.mark.parametrize("multiplier", [0.9, -2, math.nan, math.inf, "2", None])
def test_multipliers_that_are_refused(kind: Any, multiplier: Any) -> None:
    """Intervals do not shrink."""
    with pytest.raises(ConfigError, match=rf"{kind.__name__}\.multiplier must be"):
        kind(multiplier=multiplier)


@pytest.mark.parametrize("jitter", [-0.1, 1.1, math.nan, "0.5", None])
def test_jitters_that_are_refused(jitter: Any) -> None:
    """Jitter is a share."""
    with pytest.raises(ConfigError, match=r"Polling\.jitter must be"):
        Polling(jitter=jitter)


def test_backoff_bounds() -> None:
    """A backoff's bound grows by its factor up to its maximum, and thousands of failures do not overflow it."""
    retry = Retry(initial=1.0, multiplier=2.0, maximum=10.0)
    assert [retry.bound(failures) for failures in range(1, 7)] == [1, 2, 4, 8, 10, 10]
    assert retry.bound(100_000) == 10
    assert Retry(initial=50.0, maximum=10.0).bound(1) == 10


def test_polling_intervals() -> None:
    """An interval grows up to its maximum, and jitter takes off up to its share."""
    polling = Polling(initial=1.0, multiplier=2.0, maximum=5.0, jitter=0.5)
    assert [polling.interval(polls, 0.0) for polls in range(1, 5)] == [1, 2, 4, 5]
    assert polling.interval(1, 1.0) == 0.5
    assert polling.interval(100_000, 0.0) == 5


def test_settings_are_frozen_values() -> None:
    """Settings are compared by value, cannot be changed, and a changed copy is checked as well."""
    assert Retry() == Retry()
    with pytest.raises(FrozenInstanceError):
        Retry().attempts = 2  # type: ignore[misc]
    with pytest.raises(ConfigError):
        replace(Polling(), initial=-1)
