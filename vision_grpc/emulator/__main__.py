"""``python -m vision_grpc.emulator``: the embedded server as a program. This module alone reads argv, prints and exits."""

import argparse
import contextlib
import dataclasses
import json
import logging
import os
import re
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from vision_grpc.emulator import Tls

_EPILOG = """\
The first line on standard output is

  VISION_EMULATOR_HOST=127.0.0.1:43210

with the real address, printed once calls are served. With --rest-port a second line follows:

  VISION_EMULATOR_REST_URL=http://127.0.0.1:43211

The last line names the buckets' directories, quoted for a shell, so that clients on this machine read gs:// URIs there:

  VISION_EMULATOR_BUCKETS='{"photos":"/home/me/photos","out":"/home/me/out"}'

Everything else goes to standard error. The server needs no credentials and checks none. SIGTERM or Ctrl-C ends it
with exit code 0; wrong arguments are exit code 2, a standard output that cannot be written 8.

examples:
  python -m vision_grpc.emulator --bucket photos=./photos --bucket out=./out --port 8085
  python -m vision_grpc.emulator --bucket photos=./photos --bucket out=./out > emulator.env &
  until grep -qs BUCKETS emulator.env; do sleep 0.1; kill -0 $! || break; done; export $(cat emulator.env)
  python -m vision_grpc.emulator --bucket photos=/data --tls --root-certificate root.pem --state operations.db
"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the server until it is told to stop; returns the exit code."""
    # An Event must not be set by a handler that interrupts the very thread that waits for it: both take its lock. A SimpleQueue may.
    stopped: SimpleQueue[int] = SimpleQueue()
    # Before anything that takes time, the import of gRPC and of the server above all: a signal that comes early still ends it cleanly.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: stopped.put(number))
    parser = _parser()
    options = parser.parse_args(argv)
    logging.basicConfig(stream=sys.stderr, level=options.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    from vision_grpc.emulator import Emulator

    try:
        server = Emulator(
            buckets=_buckets(options.bucket),
            host=options.host,
            port=options.port,
            rest_port=options.rest_port,
            tls=_tls(options),
            state=options.state,
            workers=options.workers,
            operation_seconds=options.operation_seconds,
            record=False,
        )
        server.start()
        if options.root_certificate:
            options.root_certificate.write_bytes(server.root_certificate)
    except (ValueError, OSError, ImportError) as error:
        parser.error(str(error))
    try:
        try:
            rest = [f"VISION_EMULATOR_REST_URL={server.rest_url}"] if options.rest_port is not None else []
            lines = [f"VISION_EMULATOR_HOST={server.target}", *rest, f"VISION_EMULATOR_BUCKETS={_quoted(_buckets(options.bucket))}"]
            # In one piece: who sees one line of them in a file sees all.
            print("\n".join(lines), flush=True)
        except OSError as error:
            # What its buffer still holds would fail once more when Python ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            parser.exit(8, f"{parser.prog}: standard output cannot be written: {error.strerror}\n")
        # A handler runs when this thread next gets a turn, which a signal that another thread received does not give it.
        told = False
        while not told:
            with contextlib.suppress(Empty):
                told = bool(stopped.get(timeout=1.0))
    finally:
        server.stop(grace=1.0)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m vision_grpc.emulator",
        description="A server on this machine that speaks Google Cloud Vision's gRPC contract, for development and tests.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--bucket", action="append", metavar="NAME=DIRECTORY", required=True, help="serve gs://NAME/ from a directory; repeat"
    )
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (%(default)s); any other than loopback is open to its network"
    )
    parser.add_argument("--port", type=int, default=0, help="port to listen on; 0 takes a free one (default)")
    parser.add_argument("--rest-port", type=int, metavar="N", help="serve REST/JSON too, on this port; 0 takes a free one")
    parser.add_argument("--tls", action="store_true", help="serve TLS with a certificate made on the spot")
    parser.add_argument("--tls-certificate", type=Path, metavar="PEM", help="serve TLS with this certificate chain")
    parser.add_argument("--tls-key", type=Path, metavar="PEM", help="the private key of --tls-certificate")
    parser.add_argument("--client-root", type=Path, metavar="PEM", help="serve only clients with a certificate under this root")
    parser.add_argument("--root-certificate", type=Path, metavar="PEM", help="write here the certificate that clients must trust")
    parser.add_argument("--state", type=Path, metavar="FILE", help="keep operations in this file over a restart")
    parser.add_argument("--workers", type=int, metavar="N", help="images annotated at the same time (default: one a core)")
    parser.add_argument(
        "--operation-seconds", type=float, default=0.0, metavar="S", help="how long each operation runs at least (default 0)"
    )
    parser.add_argument("--log-level", default="warning", choices=["debug", "info", "warning", "error"], help="default: %(default)s")
    return parser


def _tls(options: argparse.Namespace) -> "Tls | None":
    from vision_grpc.emulator import Tls

    if bool(options.tls_certificate) != bool(options.tls_key):
        raise ValueError("--tls-certificate and --tls-key go together: give both.")
    if options.tls_certificate and options.tls:
        raise ValueError("--tls makes a certificate of its own: give it, or --tls-certificate and --tls-key.")
    tls = None
    if options.tls:
        tls = Tls.self_signed([options.host])
    elif options.tls_certificate:
        tls = Tls.from_files(options.tls_certificate, options.tls_key)
    if tls is None and (options.root_certificate or options.client_root):
        raise ValueError("--root-certificate and --client-root are for TLS: add --tls, or --tls-certificate and --tls-key.")
    if tls is not None and options.client_root:
        tls = dataclasses.replace(tls, client_root=options.client_root.read_bytes())
    return tls


def _buckets(pairs: Sequence[str]) -> dict[str, Path]:
    buckets: dict[str, Path] = {}
    for pair in pairs:
        name, equals, directory = pair.partition("=")
        if not (name and equals and directory) or "/" in name:
            raise ValueError(f"--bucket {pair}: give NAME=DIRECTORY, as in photos=./photos.")
        if name in buckets:
            raise ValueError(f"--bucket {pair}: the bucket {name} is given twice.")
        if not Path(directory).is_dir():
            raise ValueError(f"--bucket {pair}: {directory} is not a directory; make it first.")
        buckets[name] = Path(directory)
    return buckets


def _quoted(buckets: dict[str, Path]) -> str:
    """The buckets as JSON that a shell takes for one word, by ``eval`` and ``.`` as well as by ``export $(…)``, which leaves the quotes."""
    text = json.dumps({name: str(directory.resolve()) for name, directory in buckets.items()}, separators=(",", ":"))
    # What would split the word, match files or end the quotes is written as JSON's escape.
    return "'" + re.sub(r"[\s'*?\[\]]", lambda found: f"\\u{ord(found[0]):04x}", text) + "'"


if __name__ == "__main__":
    sys.exit(main())
