"""The server as a program: its lines on stdout, its exit codes, its sentences."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest

from .raw import Raw, batch, metadata_of

PROGRAM = [sys.executable, "-m", "vision_grpc.emulator"]


@contextmanager
def running(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The program, and the address that it printed."""
    process = subprocess.Popen([*PROGRAM, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("VISION_EMULATOR_HOST="), process.communicate()
        yield process, line.strip().partition("=")[2]
    finally:
        process.kill()
        process.communicate()


def refused(*arguments: str) -> str:
    """The one sentence that the program ends in with exit code 2."""
    result = subprocess.run([*PROGRAM, *arguments], capture_output=True, text=True, timeout=250, check=False)
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert "Traceback" not in result.stderr
    return result.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_prints_its_address_serves_and_stops(inputs: Path, outputs: Path, number: signal.Signals) -> None:
    """Two lines on stdout; the operation's image is annotated by the real annotators; a signal ends it with exit code 0."""
    with running("--bucket", f"pics={inputs}", "--bucket", f"out={outputs}", "--port", "0") as (process, target):
        with grpc.insecure_channel(target) as channel:
            raw = Raw(channel)
            operation = raw.wait(raw.submit(batch(["gs://pics/a.png"])).name)
        assert operation.WhichOneof("result") == "response"
        assert '"code": 3' in (outputs / "output-1-to-1.json").read_text(), "a.png holds no picture"
        assert process.stdout is not None
        assert process.stdout.readline() == f"""VISION_EMULATOR_BUCKETS='{{"pics":"{inputs}","out":"{outputs}"}}'\n"""
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=250)
    assert (process.returncode, stdout) == (0, "")
    assert "Traceback" not in stderr


@pytest.mark.parametrize(
    "shell", ["export $(cat emulator.env)", "set -a; . ./emulator.env", 'eval "$(cat emulator.env)"; export VISION_EMULATOR_BUCKETS']
)
def test_a_shell_takes_its_lines(shell: str, tmp_path: Path) -> None:
    """Whatever a directory is called, a program reads gs:// there after any of a shell's ways to take the server's lines."""
    folder = tmp_path / """it's [a-z]* of "many" $HOME \\ {b,c} ü"""
    folder.mkdir()
    (folder / "a.txt").write_text("found")
    with running("--bucket", f"out={folder}") as (process, target):
        assert process.stdout is not None
        (tmp_path / "emulator.env").write_text(f"VISION_EMULATOR_HOST={target}\n{process.stdout.readline()}")
    code = "from vision_grpc.objects import open_objects; print(open_objects('gs://out/')[0].read('gs://out/a.txt').decode())"
    done = subprocess.run(["sh", "-c", f'{shell}; {sys.executable} -c "{code}"'], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("found\n", "")


def test_tls_state_and_root_certificate(inputs: Path, outputs: Path, tmp_path: Path) -> None:
    """--tls with --root-certificate lets clients in that read that file; --state keeps operations over a restart."""
    arguments = [
        "--bucket", f"pics={inputs}", "--bucket", f"out={outputs}", "--tls", "--root-certificate", str(tmp_path / "root.pem"),
        "--state", str(tmp_path / "operations.db"), "--operation-seconds", "3600",
    ]  # fmt: skip
    names: list[str] = []
    for _ in range(2):
        with running(*arguments) as (process, target):
            with grpc.secure_channel(target, grpc.ssl_channel_credentials((tmp_path / "root.pem").read_bytes())) as channel:
                raw = Raw(channel)
                names.append(names[0] if names else raw.submit(batch(["gs://pics/a.png"])).name)
                assert metadata_of(raw.get(names[-1])).create_time.seconds > 0
            process.terminate()
            process.communicate(timeout=250)
        assert process.returncode == 0


def test_secrets_are_not_logged(inputs: Path, outputs: Path) -> None:
    """Not even at its most talkative does the program write what a client sent as credentials."""
    with running("--bucket", f"pics={inputs}", "--bucket", f"out={outputs}", "--log-level", "debug") as (process, target):
        with grpc.insecure_channel(target) as channel:
            secret = (("authorization", "Bearer open-sesame"), ("x-goog-api-key", "open-sesame"))
            raw = Raw(channel)
            raw.wait(raw.submit(batch(["gs://pics/a.png"]), metadata=secret).name, metadata=secret)
            with pytest.raises(grpc.RpcError):
                raw.submit(batch([]), metadata=secret)
        process.terminate()
        _, stderr = process.communicate(timeout=250)
    assert "requests is empty" in stderr, "the log shows refusals"
    assert "open-sesame" not in stderr


def test_wrong_arguments_are_one_sentence(inputs: Path, tmp_path: Path) -> None:
    """Each mistake is named with its way out, and nothing is started."""
    bucket = ("--bucket", f"pics={inputs}")
    (tmp_path / "text").write_text("no certificate, no database " * 50)
    assert "--bucket" in refused()
    assert "NAME=DIRECTORY" in refused("--bucket", "in")
    assert "not a directory" in refused("--bucket", f"pics={tmp_path / 'none'}")
    assert "buckets names 'B'" in refused("--bucket", f"B={inputs}")
    assert "given twice" in refused(*bucket, *bucket)
    assert "port" in refused(*bucket, "--port", "70000")
    text = str(tmp_path / "text")
    assert "--tls-key" in refused(*bucket, "--tls-certificate", text)
    assert "not PEM" in refused(*bucket, "--tls-certificate", text, "--tls-key", text)
    assert "--tls makes a certificate of its own" in refused(*bucket, "--tls", "--tls-certificate", text, "--tls-key", text)
    assert "are for TLS" in refused(*bucket, "--root-certificate", str(tmp_path / "root.pem"))
    assert "cannot hold the operations" in refused(*bucket, "--state", text)
    assert [path.name for path in inputs.iterdir()] == ["a.png"]


def test_an_address_that_cannot_be_bound_is_one_sentence(inputs: Path) -> None:
    """The program says what is wrong with the address, and gRPC writes no lines of its own before that."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        said = refused("--bucket", f"pics={inputs}", "--port", str(taken.getsockname()[1]))
    assert said.endswith(" cannot be bound: Address already in use.\n")
    assert "'nonsense..' is no address" in refused("--bucket", f"pics={inputs}", "--host", "nonsense..")


def test_a_signal_while_it_still_imports_ends_it(inputs: Path, tmp_path: Path) -> None:
    """Ctrl-C during the import of gRPC, which takes most of its start, ends the program with exit code 0 and without a traceback."""
    # Stands before the real module on the path: it interrupts the program that imports it, then makes way.
    (tmp_path / "grpc.py").write_text(
        "import os, signal, sys\n"
        "os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.path.remove(os.environ['PYTHONPATH'])\n"
        "del sys.modules['grpc']\n"
        "import grpc\n"
    )
    command = [*PROGRAM, "--bucket", f"pics={inputs}"]
    result = subprocess.run(
        command, env=os.environ | {"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, timeout=250, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("VISION_EMULATOR_HOST=")


def test_help_names_the_line_on_stdout() -> None:
    """--help says which line a script has to read."""
    result = subprocess.run([*PROGRAM, "--help"], capture_output=True, text=True, timeout=250, check=True)
    assert "VISION_EMULATOR_HOST=127.0.0.1:" in result.stdout


@pytest.mark.parametrize(("place", "why"), [("pipe", "Broken pipe"), ("/dev/full", "No space left on device")])
def test_address_that_cannot_be_printed(place: str, why: str, inputs: Path) -> None:
    """A standard output that cannot be written is one sentence and exit code 8."""
    if place == "pipe":
        reader, writer = os.pipe()
        os.close(reader)
    else:
        writer = os.open(place, os.O_WRONLY)
    command = [*PROGRAM, "--bucket", f"pics={inputs}"]
    result = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    os.close(writer)
    assert result.returncode == 8, result.stderr
    assert result.stderr == f"python -m vision_grpc.emulator: standard output cannot be written: {why}\n"
