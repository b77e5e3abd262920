"""``python -m vision_grpc.submit``: annotates pictures from the command line. This module alone reads argv, prints and exits."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vision_grpc._cli.command import Voice

PROG = "python -m vision_grpc.submit"

OK, IMAGES_FAILED, USAGE, SERVICE, CREDENTIALS, RUNNING, UNWRITABLE, INTERRUPTED, TERMINATED = 0, 1, 2, 3, 4, 5, 8, 130, 143

_DESCRIPTION = """\
Annotates pictures with Google Cloud Vision's asynchronous method.

Local pictures and folders are annotated on this machine by the embedded server: no account, nothing leaves the machine. gs://
URIs are annotated by Google Cloud, or by the emulator in VISION_EMULATOR_HOST, and the results are written below a gs:// prefix.

OUTPUT/results.jsonl holds one line an image, in the order of the inputs: {"index": 0, "uri": ..., "response": {...},
"error": {...}}, with "error" only where there is one. What the service itself wrote lies in a folder of its own beside it.

Every run keeps a ledger until it is complete, so that the same command, run again, goes on where it stopped and sends nothing
twice. Ctrl-C once lets what runs end, twice stops at once; SIGTERM waits 25 seconds for it.
"""

_EPILOG = """\
features:
  text, document_text, faces, labels, landmarks, logos, objects, properties, crops, safe_search, web, products
  (the embedded server computes text, document_text, faces, properties and crops; for any other it says so in each image's error)

exit codes:
  0  every image was annotated           5  still running when --timeout passed
  1  some images have an error           6  it is not known of some requests whether the service accepted them
  2  wrong usage                         7  --max-images or --max-cost was reached
  3  the service refused or failed       8  standard output, where --json or --no-wait writes, cannot be written
  4  no usable credentials               130  interrupted (Ctrl-C), 143 terminated (SIGTERM)

examples:
  python -m vision_grpc.submit photos/ --features text,faces,properties --output out/ --format html
  python -m vision_grpc.submit gs://bucket/a.jpg gs://bucket/b.jpg --features labels --output gs://bucket/results/
  python -m vision_grpc.submit 'gs://bucket/photos/**.jpg' --features labels --output gs://bucket/results/
  python -m vision_grpc.submit photos/ --stage gs://bucket/photos/ --features labels --output gs://bucket/results/
  python -m vision_grpc.submit --uris-from uris.txt --features labels,web --output gs://bucket/results/ --no-wait
  python -m vision_grpc.submit --uris-from million.txt --features text --output gs://bucket/results/ --job nightly.db
  python -m vision_grpc.submit --status nightly.db
  python -m vision_grpc.submit --wait projects/my-project/operations/0123456789abcdef
  VISION_EMULATOR_HOST=localhost:8681 python -m vision_grpc.submit gs://photos/a.jpg --features text \\
      --output gs://out/run/ --bucket photos=./photos --bucket out=./out
"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(USAGE, f"{self.prog}: {message} (--help shows examples)\n")


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise argparse.ArgumentTypeError("names no feature; for instance text,faces")
    return names


def _formats(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise argparse.ArgumentTypeError("names no format; there are jsonl, html and parquet")
    if wrong := [name for name in names if name not in ("jsonl", "html", "parquet")]:
        raise argparse.ArgumentTypeError(f"there is no format {wrong[0]!r}; there are jsonl, html and parquet")
    return names


def _pair(text: str, form: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form {form}")
    return key, value


def _label(text: str) -> tuple[str, str]:
    return _pair(text, "KEY=VALUE")


def _bucket(text: str) -> tuple[str, str]:
    return _pair(text, "NAME=FOLDER")


def _price(text: str) -> tuple[str, float]:
    name, amount = _pair(text, "FEATURE=AMOUNT")
    return name, 0.0 if _number(amount) == 0 else _positive(amount)


def _ratio(text: str) -> float:
    width, sign, height = text.replace(":", "/").partition("/")
    return _positive(width) / _positive(height) if sign else _positive(text)


def _positive(text: str) -> float:
    number = _number(text)
    if number is None or not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number")
    return number


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _whole(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or not 0 < int(text) < 2**31:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive whole number")
    return int(text)


def parser() -> argparse.ArgumentParser:
    """The command line's grammar."""
    command = _Parser(prog=PROG, description=_DESCRIPTION, epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter)
    command.add_argument(
        "inputs",
        nargs="*",
        metavar="INPUT",
        help="pictures, folders of pictures, gs://bucket/object URIs, or patterns of URIs as gs://bucket/**.jpg",
    )
    command.add_argument(
        "--uris-from",
        metavar="FILE",
        help="read further inputs, any number, from a file (one a line, JSON Lines or CSV); - reads standard input, also in a resume",
    )
    command.add_argument("--uri-column", metavar="NAME", help="the column of --uris-from that names the images (default: uri)")
    command.add_argument("--features", type=_names, metavar="LIST", help="what to look for, separated by commas (see below)")
    command.add_argument(
        "--output", metavar="PLACE", help="a folder for local pictures, gs://bucket/prefix/ for gs:// URIs; with --wait either"
    )
    command.add_argument("--stage", metavar="PREFIX", help="upload local pictures below gs://bucket/prefix/ first, and annotate them there")
    asking = command.add_argument_group("what is asked for")
    asking.add_argument("--max-results", type=_whole, metavar="N", help="at most N annotations of each feature")
    asking.add_argument(
        "--model",
        metavar="NAME",
        choices=["builtin/stable", "builtin/latest", "builtin/weekly"],
        help="builtin/stable (default), builtin/latest or builtin/weekly",
    )
    asking.add_argument("--language", action="append", metavar="CODE", help="a language that the text may be in; repeat")
    asking.add_argument("--aspect-ratio", action="append", type=_ratio, metavar="W/H", help="of crop hints, as 16/9 or 1.7778; repeat")
    asking.add_argument(
        "--batch-size", type=_whole, metavar="N", help="responses in each of the service's output objects (1-100, default 20)"
    )
    asking.add_argument("--label", action="append", type=_label, metavar="KEY=VALUE", help="a label for billing reports; repeat")
    waiting = command.add_argument_group("waiting")
    waiting.add_argument("--no-wait", action="store_true", help="print the operation's name and do not wait (gs:// only)")
    waiting.add_argument("--wait", action="append", metavar="NAME", help="wait for an operation that runs already; repeat for several")
    waiting.add_argument("--timeout", type=_positive, metavar="SECONDS", help="give up waiting, not the operation, after this long")
    job = command.add_argument_group("jobs")
    job.add_argument("--job", metavar="FILE", help="keep the job's ledger here, its results beside it; the same command again resumes it")
    job.add_argument("--status", metavar="FILE", help="show how the job with this ledger stands, without disturbing it")
    job.add_argument("--attempts", type=_whole, metavar="N", help="how often an image that fails for a passing reason is sent (default 3)")
    job.add_argument(
        "--images-in-flight",
        type=_whole,
        metavar="N",
        help="images at the service at the same time (default 8000, its quota); below 2000, requests are as small; "
        "local pictures go ten in a request, and some dozens are annotated at the same time",
    )
    job.add_argument(
        "--requests-per-minute", type=_whole, metavar="N", help="requests sent in a minute (default 1800, the service's quota)"
    )
    job.add_argument(
        "--max-images", type=_whole, metavar="N", help="send no more images than this, repetitions included; whole requests only"
    )
    job.add_argument("--max-cost", type=_positive, metavar="AMOUNT", help="spend no more than this, by --price")
    job.add_argument(
        "--price", action="append", type=_price, metavar="FEATURE=AMOUNT", help="what a thousand images cost, for each feature; repeat"
    )
    job.add_argument(
        "--resubmit-unknown", action="store_true", help="send again what the service was proved, as far as that goes, not to have accepted"
    )
    cloud = command.add_argument_group("Google Cloud")
    cloud.add_argument("--api-version", default="v1", choices=["v1", "v1p4beta1", "v1p1beta1"], help="default: %(default)s")
    cloud.add_argument("--location", choices=["eu", "us", "asia"], help="keep the images in this region")
    cloud.add_argument("--project", metavar="ID", help="the project that --location belongs to (default: the credentials')")
    cloud.add_argument("--quota-project", metavar="ID", help="the project that quota is counted against")
    cloud.add_argument("--endpoint", metavar="HOST", help="instead of vision.googleapis.com")
    cloud.add_argument(
        "--bucket",
        action="append",
        type=_bucket,
        metavar="NAME=FOLDER",
        help="read the results of gs://NAME/ from a folder (for emulators)",
    )
    shown = command.add_argument_group("what is written and shown")
    shown.add_argument(
        "--format",
        type=_formats,
        default=[],
        metavar="LIST",
        help="besides results.jsonl: html (report.html, to look at) and parquet (results.parquet), separated by commas",
    )
    shown.add_argument(
        "--json",
        action="store_true",
        help="print to standard output each line of results.jsonl that this run brings (with --no-wait, the operations)",
    )
    shown.add_argument("--quiet", action="store_true", help="print nothing but errors, and what --json asks for")
    return command


class _Terminated(BaseException):
    """SIGTERM came."""


def _terminate(*_: object) -> None:
    raise _Terminated


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line and returns its exit code."""
    try:
        return _main(argv)
    except KeyboardInterrupt:  # while modules were loaded
        sys.stderr.write("\ninterrupted.\n")
        return INTERRUPTED


def _main(argv: Sequence[str] | None) -> int:
    # Where the shell closed a standard stream, the next file that is opened would take its place, and get what others write there.
    while (descriptor := os.open(os.devnull, os.O_RDWR)) < 3:
        pass
    os.close(descriptor)
    command = parser()
    words = list(sys.argv[1:] if argv is None else argv)
    # Inputs may stand between and behind options, as argparse has it only without a "--".
    end = words.index("--") if "--" in words else len(words)
    options = command.parse_intermixed_args(words[:end])
    options.inputs = [*options.inputs, *words[end + 1 :]]
    import logging
    import signal

    from vision_grpc._cli.command import Unwritable, Voice, prepare
    from vision_grpc.errors import AuthError, CallError, ConfigError, LedgerError, OperationFailed, VisionError, WaitTimeout

    # What the library logs is said here in words; without a handler Python would print it a second time.
    logging.getLogger("vision_grpc").addHandler(logging.NullHandler())
    voice = Voice.of(options)
    go_on: Callable[[], str] = str
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        try:
            order = prepare(options, voice)
        except ConfigError as error:
            command.error(str(error))
        if options.status:
            return _status(options, voice)
        if options.wait or options.no_wait:
            from vision_grpc._cli.operations import Operations

            operations = Operations(options, order, voice)
            go_on = operations.how_to_go_on
            return operations.wait() if options.wait else operations.start()
        from vision_grpc._cli.job import JobCommand

        job = JobCommand(options, order, voice)
        go_on = job.how_to_go_on
        return job.run()
    except KeyboardInterrupt:
        voice.warn(f"\ninterrupted. {go_on()}".rstrip())
        return INTERRUPTED
    except _Terminated:
        voice.warn(f"terminated. {go_on()}".rstrip())
        return TERMINATED
    except WaitTimeout as error:
        voice.warn(f"still running after {options.timeout:g} s; nothing is lost: {go_on() or error}")
        return RUNNING
    except (VisionError, OSError, ImportError) as error:
        voice.warn(f"{PROG}: {error}")
        if isinstance(error, ConfigError) or (isinstance(error, LedgerError) and type(error.__cause__).__name__ != "OperationalError"):
            return USAGE
        gone = isinstance(error, OperationFailed) or (options.wait and isinstance(error, CallError) and not error.transient)
        if not gone and (more := go_on()):
            voice.warn(more)
        if isinstance(error, Unwritable):
            return UNWRITABLE
        # google-auth's own errors reach here from the objects in Cloud Storage.
        return CREDENTIALS if isinstance(error, AuthError) or _of_google_auth(error.__cause__) else SERVICE
    finally:
        signal.signal(signal.SIGTERM, before or signal.SIG_DFL)


def _of_google_auth(error: BaseException | None) -> bool:
    return error is not None and type(error).__module__.startswith("google.auth.")


def _status(options: argparse.Namespace, voice: Voice) -> int:
    from pathlib import Path

    from vision_grpc._cli.names import server_state
    from vision_grpc._cli.status import as_json, table
    from vision_grpc.job import read_standing

    standing = read_standing(options.status)
    local = server_state(Path(options.status)).exists()
    voice.data((as_json(standing) if options.json else table(standing, local=local)) + "\n")
    return OK


if __name__ == "__main__":
    sys.exit(main())
