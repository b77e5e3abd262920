"""A job's surroundings in other processes: a server that may be killed, a client that is, and what they leave to compare."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.ports import held_port
from vision_grpc.ledger import LedgerReader

HERE = Path(__file__).parent


class World:
    """A server process and a client process around one directory.

    Args:
        images: Pictures 0.jpg and so on in gs://photos, each holding its own number.
        state: Keep the server's operations on disk.
        seconds: How long each operation runs at least.
    """

    def __init__(self, root: Path, images: int, *, state: bool = False, seconds: float = 0.0) -> None:
        self.root = root
        self.images = images
        self._seconds = seconds
        self._state = str(root / "operations.db") if state else ""
        for bucket in ("photos", "out"):
            (root / bucket).mkdir()
        for index in range(images):
            (root / "photos" / f"{index}.jpg").write_bytes(b"%d" % index)
        self._held = ExitStack()
        self._port = self._held.enter_context(held_port())
        self._server = self._start_server()
        self._driver = _process("job_driver.py")

    def live(self, name: str = "job", **order: Any) -> dict[str, Any]:
        """One life of the job `name`; returns how it ended."""
        settings = {"target": f"127.0.0.1:{self._port}", "root": str(self.root), "images": self.images, "size": 3}
        files = {"ledger": str(self.root / f"{name}.db"), "sink": str(self.root / f"{name}.results")}
        return _ask(self._driver, json.dumps({**settings, **files, **order}))  # type: ignore[no-any-return]

    def begin_life(self, name: str = "job", **order: Any) -> None:
        """Begins a life without waiting for its end, which `end_life` returns."""
        settings = {"target": f"127.0.0.1:{self._port}", "root": str(self.root), "images": self.images, "size": 3}
        files = {"ledger": str(self.root / f"{name}.db"), "sink": str(self.root / f"{name}.results")}
        assert self._driver.stdin
        self._driver.stdin.write(json.dumps({**settings, **files, **order}) + "\n")
        self._driver.stdin.flush()

    def end_life(self) -> dict[str, Any]:
        assert self._driver.stdout
        return json.loads(self._driver.stdout.readline())  # type: ignore[no-any-return]

    def kill_server(self) -> None:
        self._server.send_signal(signal.SIGKILL)
        self._server.wait()
        _close(self._server)

    def restart_server(self) -> None:
        self.kill_server()
        self._server = self._start_server()

    def submits(self) -> list[tuple[str, list[str]]]:
        """What the server recorded: destination and images of every AsyncBatchAnnotateImages call it received."""
        return [(destination, images) for destination, images in _ask(self._server, "")]

    def close(self) -> None:
        for process in (self._server, self._driver):
            process.kill()
            process.wait()
            _close(process)
        self._held.close()

    def results(self, name: str = "job") -> Counter[str]:
        """The lines that the consumer wrote, each result with how often it came."""
        sink = self.root / f"{name}.results"
        return Counter(sink.read_text().splitlines()) if sink.exists() else Counter()

    def check(self, name: str = "job", *, sent: list[str] | None = None) -> None:
        """Every image was sent to the server once, has one result, its own, and the ledger agrees.

        Args:
            sent: The images that the server received, by default as its recorded calls of this job tell.
        """
        every = [f"gs://photos/{index}.jpg" for index in range(self.images)]
        with LedgerReader(self.root / f"{name}.db") as ledger:
            job = ledger.job
            tallies = ledger.tallies()
        if sent is None:
            sent = [image for destination, images in self.submits() if f"/{job}/" in destination for image in images]
        doubled = {image: count for image, count in Counter(sent).items() if count > 1}
        assert not doubled, f"sent more than once: {doubled}"
        assert sorted(sent) == sorted(every)
        assert set(self.results(name)) == {f"{index} {uri} ok" for index, uri in enumerate(every)}
        assert sum(tally.ok for tally in tallies) == self.images
        assert not sum(tally.failed for tally in tallies)

    def _start_server(self) -> subprocess.Popen[str]:
        server = _process("job_server.py", str(self.root), str(self._port), self._state, str(self._seconds))
        assert server.stdout
        assert server.stdout.readline().strip(), "the server did not start"
        return server


def _process(script: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, str(HERE / script), *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _ask(process: subprocess.Popen[str], line: str) -> Any:
    assert process.stdin
    assert process.stdout
    process.stdin.write(line + "\n")
    process.stdin.flush()
    answer = process.stdout.readline()
    assert answer, "the process died"
    return json.loads(answer)


def _close(process: subprocess.Popen[str]) -> None:
    for stream in (process.stdin, process.stdout):
        if stream:
            stream.close()
