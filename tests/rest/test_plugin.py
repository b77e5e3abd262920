"""The pytest plugin, in test suites of its own."""

import subprocess
import sys
from importlib.metadata import entry_points

import pytest

# Before a suite runs in this process: what it imports is forgotten after it, and cryptography cannot be loaded a second time.
from cryptography.hazmat.primitives.asymmetric import ec as _ec  # noqa: F401

pytest_plugins = ["pytester"]

PLUGIN = "vision_grpc.pytest_plugin"

SUITE = """
import os
import pytest
from vision_grpc import Client
from vision_grpc.requests import image_requests

def test_mine(vision_emulator, vision_buckets):
    (vision_buckets["photos"] / "a.png").write_bytes(b"no picture")
    with Client() as client:
        operation = client.async_batch_annotate(image_requests(["gs://photos/a.png"], ["CROP_HINTS"]), "gs://out/run/")
        client.wait_operation(operation.name, timeout=60)
    assert vision_emulator.target == os.environ["VISION_EMULATOR_HOST"]
    assert "VISION_EMULATOR_REST_URL" not in os.environ
    assert [path.name for path in (vision_buckets["out"] / "run").iterdir()] == ["output-1-to-1.json"]
    assert vision_emulator.calls

def test_fresh(vision_emulator, vision_buckets):
    assert not vision_emulator.calls
    assert not list(vision_buckets["out"].iterdir())

def test_nothing_left():
    assert "VISION_EMULATOR_HOST" not in os.environ
"""
RESULTS = """
import asyncio
import os
import pytest
from vision_grpc import AsyncClient, Client, ConfigError, read_results
from vision_grpc.job import AnnotationJob
from vision_grpc.requests import image_requests

def annotate():
    with Client() as client:
        operation = client.async_batch_annotate(image_requests(["gs://photos/a.png"], ["CROP_HINTS"]), "gs://out/run/")
        return client.wait_operation(operation, timeout=20)

def test_results(vision_emulator, vision_buckets):
    assert [result.uri for result in read_results(annotate())] == ["gs://photos/a.png"]

def test_a_job(vision_emulator, vision_buckets, tmp_path):
    async def work():
        async with AsyncClient() as client:
            job = AnnotationJob(
                ["gs://photos/a.png"], features="CROP_HINTS", output="gs://out/job/", client=client, ledger=tmp_path / "ledger"
            )
            return [result.uri async for result in job]
    assert asyncio.run(work()) == ["gs://photos/a.png"]

def test_other_buckets_are_not_looked_for_elsewhere(vision_emulator):
    with pytest.raises(Exception, match="gs://real"):
        list(read_results("gs://real/run/"))

def test_without_directories(vision_emulator, monkeypatch):
    monkeypatch.delenv("VISION_EMULATOR_BUCKETS")
    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
    with pytest.raises(ConfigError, match="are not in Google Cloud Storage: pass objects="):
        read_results(annotate())
"""
TLS = """
import os
import pytest
from google.auth.credentials import AnonymousCredentials
from vision_grpc import Client

@pytest.fixture
def vision_emulator_options():
    return {"tls": True, "annotator": lambda content, request: b""}

def test_tls(vision_emulator):
    assert "VISION_EMULATOR_HOST" not in os.environ
    trust = vision_emulator.root_certificate
    with Client(endpoint=vision_emulator.target, root_certificates=trust, credentials=AnonymousCredentials()) as client:
        assert not list(client.list_operations())
"""
OVERRIDDEN = """
import os
import urllib.request
import pytest

@pytest.fixture
def vision_buckets(tmp_path):
    return {"photos": tmp_path}

@pytest.fixture
def vision_emulator_options():
    return {"rest_port": 0, "annotator": lambda content, request: b""}

def test_rest(vision_emulator, vision_buckets):
    assert list(vision_buckets) == ["photos"]
    assert os.environ["VISION_EMULATOR_REST_URL"] == vision_emulator.rest_url
    with urllib.request.urlopen(vision_emulator.rest_url + "/v1/operations") as reply:
        assert reply.status == 200
"""

WRONG = """
import pytest

@pytest.fixture
def vision_buckets(tmp_path):
    return {"Bad_Name": tmp_path}

@pytest.fixture
def vision_emulator_options(request):
    return {"annotator": lambda content, request: b""} if request.node.name == "test_bucket" else None

def test_bucket(vision_emulator):
    pass

def test_options(vision_emulator):
    pass
"""


def run(pytester: pytest.Pytester, suite: str) -> pytest.RunResult:
    """Runs a test suite with the plugin loaded, by its entry point where the installed package has one."""
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    pytester.makepyfile(suite)
    by_itself = any(entry.value == PLUGIN for entry in entry_points(group="pytest11"))
    return pytester.runpytest_inprocess(*([] if by_itself else ["-p", PLUGIN]), "-p", "no:randomly", "-q")


def test_one_line(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that names the fixture has a server of its own, found by the environment; the next has a new one, or none."""
    monkeypatch.delenv("VISION_EMULATOR_HOST", raising=False)
    run(pytester, SUITE).assert_outcomes(passed=3)


def test_results_need_no_word(pytester: pytest.Pytester) -> None:
    """Results are read from the server's directories by plain read_results and jobs, and never looked for in Cloud Storage."""
    run(pytester, RESULTS).assert_outcomes(passed=4)


def test_tls(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server with TLS is not named in VISION_EMULATOR_HOST, which means plain text; the test tells its client."""
    monkeypatch.setenv("VISION_EMULATOR_HOST", "127.0.0.1:1")
    run(pytester, TLS).assert_outcomes(passed=1)


def test_overridden(pytester: pytest.Pytester) -> None:
    """Buckets and options are fixtures that a suite overrides: REST, an annotator of its own."""
    run(pytester, OVERRIDDEN).assert_outcomes(passed=1)


def test_wrong_settings_are_sentences(pytester: pytest.Pytester) -> None:
    """A fixture that gives what no server can be made of is told so in a sentence that names it."""
    result = run(pytester, WRONG)
    result.assert_outcomes(errors=2)
    said = str(result.stdout)
    assert "ValueError: buckets names 'Bad_Name'; give bare names" in said
    assert "ValueError: vision_emulator_options gives None; give a mapping" in said


def test_loading_it_costs_nothing() -> None:
    """pytest loads the plugin in every run, and with it neither gRPC nor protobuf."""
    code = "import sys, vision_grpc.pytest_plugin; print(sorted({'grpc', 'google.protobuf', 'starlette'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
