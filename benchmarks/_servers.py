"""The servers that benchmarks call, each in a process of its own. What they answer costs next to nothing and is always the same.

`Server` starts one; run as a program, this module is one: gRPC with a fixed reply to every submit, operations that finish on a
schedule, and over HTTP the REST submit and Cloud Storage's JSON interface over a folder of output objects.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import random
import re
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import google_crc32c
import grpc

from vision_grpc import v1
from vision_grpc._gen.google.longrunning import operations_pb2 as longrunning
from vision_grpc.emulator.tls import Tls

_NAME = "projects/benchmarks/operations/0123456789abcdef"
_OPTIONS = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.so_reuseport", 0),
    # By default calls beyond a thousand that wait to be read are cancelled: 4,000 first polls come at the same moment.
    ("grpc.server.max_pending_requests", 100_000),
    ("grpc.server.max_pending_requests_hard_limit", 100_000),
]


class Server:
    """A server in a process of its own, as a context manager.

    Attributes:
        target: "127.0.0.1:port" of gRPC.
        rest: "http://127.0.0.1:port" of REST and storage.
        root: The PEM that clients must trust; empty without TLS.
    """

    def __init__(self, *, tls: bool = False, objects: Path | None = None) -> None:
        self._arguments = [*(["--tls"] if tls else []), *(["--objects", str(objects)] if objects else [])]
        self.target = self.rest = ""
        self.root = b""

    def __enter__(self) -> Server:
        command = [sys.executable, "-m", "benchmarks._servers", *self._arguments]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).resolve().parent.parent)
        assert self._process.stdout
        said = json.loads(self._process.stdout.readline())
        self.target, self.rest, self.root = said["target"], said["rest"], said["root"].encode()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()
        assert self._process.stdout
        self._process.stdout.close()

    def control(self, **command: Any) -> Any:
        """Has the server perform a command of `Schedules`."""
        with grpc.insecure_channel(self.target, [("grpc.max_receive_message_length", -1)]) as channel:
            call: Any = channel.unary_unary("/benchmarks.Benchmarks/Control")
            return json.loads(call(json.dumps(command).encode(), timeout=60))


class Schedules:
    """Operations that finish at set times: each run is a project of its own, and what it calls is counted."""

    def __init__(self, *, echo: bool) -> None:
        """With `echo`, a submit's operation names the request's destination; without, the request is not even parsed."""
        self._runs: dict[str, dict[str, Any]] = {}
        self._echo = echo
        self._outputs: dict[str, v1.OutputConfig] = {}
        self._submitted = longrunning.Operation(name=_NAME).SerializeToString()

    async def submit(self, request: bytes, context: grpc.aio.ServicerContext[Any, Any]) -> bytes:
        if not self._echo:
            return self._submitted
        name = f"projects/jobs/operations/{len(self._outputs):016x}"
        self._outputs[name] = v1.AsyncBatchAnnotateImagesRequest.FromString(request).output_config
        wire: bytes = longrunning.Operation(name=name).SerializeToString()
        return wire

    def control(self, command: bytes) -> bytes:
        """``start`` makes a run's operations; ``ends`` tells when each finishes (CLOCK_MONOTONIC, which all processes share),
        and ``report`` which calls it took."""
        asked = json.loads(command)
        if asked["do"] == "report":
            return json.dumps(self._runs[asked["run"]]["calls"]).encode()
        if asked["do"] == "ends":
            return json.dumps(self._runs[asked["run"]]["ends"]).encode()
        count, seconds = asked["count"], asked["seconds"]
        places = list(range(count))
        random.Random(6).shuffle(places)
        begin = asked["begin"]
        project = f"projects/{asked['run']}"
        ends = {f"{project}/operations/{index}": begin + seconds * (place + 0.5) / count for index, place in enumerate(places)}
        self._runs[asked["run"]] = {"ends": ends, "lists": asked["lists"], "calls": {}}
        return b"{}"

    async def get(self, request: bytes, context: grpc.aio.ServicerContext[Any, Any]) -> bytes:
        name = longrunning.GetOperationRequest.FromString(request).name
        run = self._runs.get(name.split("/")[1])
        if run is not None:
            self._count(run, "GetOperation")
        done = run is None or time.monotonic() >= run["ends"][name]
        wire: bytes = _operation(name, done, self._outputs.get(name)).SerializeToString()
        return wire

    async def list(self, request: bytes, context: grpc.aio.ServicerContext[Any, Any]) -> bytes:
        asked = longrunning.ListOperationsRequest.FromString(request)
        run = self._runs[asked.name.split("/")[1]]
        self._count(run, "ListOperations")
        if not run["lists"]:
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, "Method not found.")
        now = time.monotonic()
        running = [name for name, end in run["ends"].items() if now < end or "done=false" not in asked.filter]
        start = int(asked.page_token or 0)
        page = running[start : start + min(asked.page_size or 100, 1000)]
        reply = longrunning.ListOperationsResponse(operations=[_operation(name, now >= run["ends"][name]) for name in page])
        if start + len(page) < len(running):
            reply.next_page_token = str(start + len(page))
        return reply.SerializeToString()

    def _count(self, run: dict[str, Any], method: str) -> None:
        run["calls"][method] = run["calls"].get(method, 0) + 1


def _operation(name: str, done: bool, output: v1.OutputConfig | None = None) -> Any:
    operation = longrunning.Operation(name=name, done=done)
    State = v1.OperationMetadata.State  # noqa: N806 - an enum
    operation.metadata.Pack(v1.OperationMetadata(state=State.DONE if done else State.RUNNING))
    if done:
        output = output or v1.OutputConfig(gcs_destination=v1.GcsDestination(uri="gs://out/"), batch_size=20)
        operation.response.Pack(v1.AsyncBatchAnnotateImagesResponse(output_config=output))
    return operation


class _Doors(grpc.GenericRpcHandler):
    """Every method by its path; messages stay bytes where nobody must read them."""

    def __init__(self, schedules: Schedules) -> None:
        async def control(command: bytes, _: Any) -> bytes:
            return schedules.control(command)

        self._methods = {
            "AsyncBatchAnnotateImages": schedules.submit,
            "Control": control,
            "GetOperation": schedules.get,
            "ListOperations": schedules.list,
        }

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        method = self._methods.get(details.method.rpartition("/")[2])
        return method and grpc.unary_unary_rpc_method_handler(method)


class _Storage(BaseHTTPRequestHandler):
    """Cloud Storage's JSON interface, to list and to download: any prefix ends in the same objects, and `{run}` in their text is
    the prefix's last folder. And the REST submit, whose reply is fixed."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet: apart, the second would wait for the first one's acknowledgement
    objects: dict[str, bytes] = {}  # noqa: RUF012 - set once, before serving

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = parse_qs(parts.query)
        if match := re.fullmatch(r"/storage/v1/b/([^/]+)/o", parts.path):
            prefix = query["prefix"][0]
            folder = prefix[: prefix.rfind("/") + 1]
            found = [folder + name for name in sorted(self.objects) if (folder + name).startswith(prefix)]
            items = [{"kind": "storage#object", "bucket": match[1], "name": name, "size": str(len(self._content(name)))} for name in found]
            self._answer(json.dumps({"kind": "storage#objects", "items": items}).encode(), {"Content-Type": "application/json"})
        elif match := re.fullmatch(r"/download/storage/v1/b/[^/]+/o/([^/]+)", parts.path):
            content = self._content(unquote(match[1]))
            checksum = base64.b64encode(google_crc32c.value(content).to_bytes(4, "big")).decode()
            self._answer(content, {"Content-Type": "application/json", "X-Goog-Hash": f"crc32c={checksum}"})
        else:
            self.send_error(404)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(json.dumps({"name": _NAME}).encode(), {"Content-Type": "application/json"})

    def log_message(self, *_: object) -> None:
        pass

    def _content(self, name: str) -> bytes:
        folder, _, shard = name.rpartition("/")
        return self.objects[shard].replace(b"{run}", folder.rpartition("/")[2].encode())

    def _answer(self, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(200)
        for key, value in (headers | {"Content-Length": str(len(body))}).items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(body)


async def _serve(arguments: argparse.Namespace) -> None:
    if arguments.objects:
        _Storage.objects = {path.name: path.read_bytes() for path in arguments.objects.iterdir()}
    web = ThreadingHTTPServer(("127.0.0.1", 0), _Storage)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    server = grpc.aio.server(options=_OPTIONS)
    server.add_generic_rpc_handlers((_Doors(Schedules(echo=arguments.objects is not None)),))
    root = ""
    if arguments.tls:
        tls = Tls.self_signed(["127.0.0.1", "localhost"])
        root = tls.root.decode()
        port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(tls.key, tls.certificate)]))
    else:
        port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    said = {"target": f"127.0.0.1:{port}", "rest": f"http://127.0.0.1:{web.server_port}", "root": root}
    print(json.dumps(said), flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--tls", action="store_true")
    parser.add_argument("--objects", type=Path)
    asyncio.run(_serve(parser.parse_args()))
