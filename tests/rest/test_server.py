"""The HTTP side of the server as an object and as a program: starting, stopping, TLS, tokens."""

import json
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.until import until
from vision_grpc.emulator import Authority, Emulator, Fault, Tls

from .conftest import Http, batch

PROGRAM = [sys.executable, "-m", "vision_grpc.emulator"]
Serve = Callable[..., Emulator]
Connect = Callable[..., Http]


def test_start_and_stop(serve: Serve, connect: Connect, free_port: int) -> None:
    """It has an address from start to stop, can be started again, and leaves no thread and no listener behind."""
    server = serve(rest_port=free_port)
    for _ in range(2):
        http = connect(server)
        assert http.get("/v1/operations").status == 200
        server.stop()
        with pytest.raises(RuntimeError, match="before start"):
            _ = server.rest_url
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", free_port), timeout=60)
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("vision-emulator")]
        server.start()


def test_a_given_port(serve: Serve, connect: Connect, free_port: int) -> None:
    """The port asked for is the one; where it is taken the start fails, and leaves nothing running."""
    with socket.create_server(("127.0.0.1", free_port)), pytest.raises(OSError, match=f"127.0.0.1:{free_port} cannot be bound for REST"):
        serve(rest_port=free_port)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("vision-emulator")]
    assert serve(rest_port=free_port).rest_url == f"http://127.0.0.1:{free_port}"


def test_stop_ends_calls_in_flight(serve: Serve, connect: Connect) -> None:
    """Whoever still waits, or still sends, is told UNAVAILABLE, and the stop takes no longer than that."""
    server = serve(rest_port=0, faults=[Fault.hang("GetOperation")])
    waiting, sending, idle = connect(server), connect(server), connect(server)
    idle.get("/v1/operations")
    replies = []
    caller = threading.Thread(target=lambda: replies.append(waiting.get("/v1/operations/x")))
    caller.start()
    sending.connection.request("POST", "/v1/images:annotate", None, {"content-length": "10", "expect": "100-continue"})
    # So the server says that it has begun to wait for the body.
    assert sending.connection.sock.recv(25, socket.MSG_WAITALL) == b"HTTP/1.1 100 Continue\r\n\r\n"
    until(lambda: len(server.calls) == 2, "the call that hangs")
    begun = time.monotonic()
    server.stop()
    # Well before the clients' own 60 s, which is what would end their calls otherwise.
    assert time.monotonic() - begun < 30
    caller.join()
    assert replies[0].error == {"code": 503, "message": "The server is shutting down.", "status": "UNAVAILABLE"}
    assert sending.connection.getresponse().status == 503


def test_tls(serve: Serve, connect: Connect) -> None:
    """With tls both sides show the same certificate, which a client of its root trusts and another does not."""
    server = serve(rest_port=0, tls=True)
    assert server.rest_url.startswith("https://127.0.0.1:")
    context = ssl.create_default_context(cadata=server.root_certificate.decode())
    assert connect(server, context).get("/v1/operations").status == 200
    with pytest.raises(ssl.SSLCertVerificationError):
        connect(server, ssl.create_default_context()).get("/v1/operations")
    document = connect(server, context).get("/$discovery/rest").json
    assert document["rootUrl"] == server.rest_url + "/"


def test_mutual_tls(serve: Serve, connect: Connect, tmp_path: Path) -> None:
    """With a client root, a client without a certificate is not served, one with a certificate is."""
    authority = Authority()
    server = serve(rest_port=0, tls=authority.server(mutual=True))
    context = ssl.create_default_context(cadata=authority.root.decode())
    with pytest.raises(OSError):
        connect(server, context).get("/v1/operations")
    certificate, key = authority.client()
    (tmp_path / "client.pem").write_bytes(certificate + key)
    context.load_cert_chain(tmp_path / "client.pem")
    assert connect(server, context).get("/v1/operations").status == 200


def test_a_foreign_key_is_one_sentence(serve: Serve) -> None:
    """A key that is not the certificate's is refused at the start."""
    one, other = Tls.self_signed(["127.0.0.1"]), Tls.self_signed(["127.0.0.1"])
    with pytest.raises(OSError, match="key is not the certificate's"):
        serve(rest_port=0, tls=Tls(certificate=one.certificate, key=other.key, root=one.root))


def test_ipv6(serve: Serve, connect: Connect) -> None:
    """An address with colons is in brackets in the URL."""
    server = serve(rest_port=0, host="::1")
    assert server.rest_url.startswith("http://[::1]:")
    assert connect(server).get("/v1/operations").status == 200


def test_many_at_once(server: Emulator, connect: Connect) -> None:
    """Sixteen connections submit side by side, and each operation is there once."""
    names: list[str] = []

    def submit() -> None:
        http = connect(server)
        names.extend(http.post("/v1/images:asyncBatchAnnotate", batch(output=f"gs://out/{len(names)}/")).json["name"] for _ in range(5))

    threads = [threading.Thread(target=submit) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    listed = connect(server).get("/v1/operations?pageSize=1000&fields=operations/name").json["operations"]
    assert sorted(each["name"] for each in listed) == sorted(names)
    assert len(set(names)) == 80


def test_replies_are_not_held_back(http_: Http) -> None:
    """A reply on an open connection comes at once, and not after the 40 ms that TCP waits for more by default."""

    def seconds() -> float:
        begun = time.perf_counter()
        http_.get("/v1/operations")
        return time.perf_counter() - begun

    until(lambda: seconds() < 0.03, "a reply within 30 ms, of those to all requests of a minute")


def test_a_token_for_programs_that_insist_on_one(http_: Http) -> None:
    """The metadata server's pages that Google's libraries ask for are served, to those who name its flavor."""
    account = "/computeMetadata/v1/instance/service-accounts/default"
    flavor = {"metadata_flavor": "Google"}
    assert http_.get("/").headers["metadata-flavor"] == "Google"
    token = http_.get(f"{account}/token?scopes=a", **flavor)
    assert token.json == {"access_token": "vision-emulator", "expires_in": 3600, "token_type": "Bearer"}
    assert http_.get(f"{account}/?recursive=true", **flavor).json["aliases"] == ["default"]
    assert http_.get(f"{account}/email", **flavor).body.endswith(b".iam.gserviceaccount.com")
    assert http_.get("/computeMetadata/v1/project/project-id", **flavor).body == b"vision-emulator"
    assert http_.get(f"{account}/token").status == 403
    assert http_.get(f"{account}/identity", **flavor).status == 404


def test_the_program_prints_a_second_line(buckets: dict[str, Path], connect: Connect) -> None:
    """--rest-port adds a line with the URL after the first, and nothing of a request reaches the log."""
    arguments = [*PROGRAM, *(f"--bucket={name}={path}" for name, path in buckets.items()), "--rest-port", "0", "--log-level", "debug"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().startswith("VISION_EMULATOR_HOST=127.0.0.1:")
            name, _, url = process.stdout.readline().strip().partition("=")
            assert name == "VISION_EMULATOR_REST_URL"
            assert process.stdout.readline().startswith("VISION_EMULATOR_BUCKETS=")
            http = Http(url)
            assert http.get("/v1/operations?key=open-sesame", authorization="Bearer open-sesame").status == 200
            assert http.get("/v1/nope?key=open-sesame").status == 404
            http.connection.close()
        finally:
            process.send_signal(signal.SIGTERM)
        stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stdout) == (0, "")
    assert "open-sesame" not in stderr
    assert "Traceback" not in stderr


def test_a_missing_package_is_one_sentence(tmp_path: Path) -> None:
    """Without starlette or uvicorn, --rest-port ends in a sentence that names the extra; the rest works without them."""
    code = f"""
import sys, json
sys.modules["uvicorn"] = None
from vision_grpc.emulator import Emulator
Emulator(buckets={{"out": {str(tmp_path)!r}}}, annotator=lambda *_: b"")
try:
    Emulator(buckets={{"out": {str(tmp_path)!r}}}, rest_port=0, annotator=lambda *_: b"")
except ImportError as error:
    print(json.dumps(str(error)))
"""
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert json.loads(answer) == "REST needs packages that are not installed: pip install 'vision-grpc[rest]'."
