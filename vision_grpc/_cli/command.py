"""What ``python -m vision_grpc.submit`` is asked to do, checked before anything is opened, sent or paid for."""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from io import TextIOWrapper
from pathlib import Path
from typing import TextIO

from vision_grpc import v1
from vision_grpc._cli.inputs import Inputs, check_object, collect, expand, has_pattern, named, pictures, repeated, stage
from vision_grpc._cli.lists import read_list
from vision_grpc._cli.names import FILES
from vision_grpc._cli.progress import Bar
from vision_grpc._cli.summary import count
from vision_grpc._operations import operation_name
from vision_grpc.config import Polling, Retry
from vision_grpc.errors import ConfigError, VisionError
from vision_grpc.objects import LocalObjects, Objects, open_objects
from vision_grpc.requests import FEATURE_NAMES, MAX_BATCH_SIZE, check_destination, check_labels, feature


class Unwritable(VisionError):
    """What a machine was to read cannot be written to standard output."""


@dataclass(frozen=True, slots=True)
class Voice:
    """Where words go: results and names to standard output where `machine` reads it, what is for a person then to standard error.

    A stream is None where the shell closed it. Words that nobody can read are left unsaid; data that cannot be written end the work.
    """

    out: TextIO | None
    err: TextIO | None
    machine: bool
    quiet: bool

    @classmethod
    def of(cls, options: argparse.Namespace) -> Voice:
        machine = options.json or options.no_wait
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, TextIOWrapper):
                # Names and found text may be in letters that a terminal's encoding lacks; JSON is UTF-8 wherever it goes.
                stream.reconfigure(errors="backslashreplace", encoding="utf-8" if machine and stream is sys.stdout else None)
        return cls(sys.stdout, sys.stderr, machine, options.quiet)

    def say(self, text: str) -> None:
        """Words for a person."""
        if not self.quiet:
            _words(text, self.err if self.machine else self.out)

    def warn(self, text: str) -> None:
        """Words about what went wrong, also for who asked for quiet."""
        _words(text, self.err)

    def data(self, text: str) -> None:
        """A line for a machine.

        Raises:
            Unwritable: It cannot be written. A reader that goes away, as head does, ends the reading and not the work.
        """
        if self.out is None:
            raise Unwritable("standard output cannot be written: it is closed")
        try:
            self.out.write(text)
            self.out.flush()
        except OSError as error:
            _silence(self.out)
            if not isinstance(error, BrokenPipeError):
                raise Unwritable(f"standard output cannot be written: {error.strerror}") from error


def _words(text: str, stream: TextIO | None) -> None:
    if stream is None:
        return
    try:
        stream.write(text + "\n")
        stream.flush()
    except OSError:
        _silence(stream)


def _silence(stream: TextIO) -> None:
    # What its buffer still holds would fail once more when Python ends.
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


@dataclass(frozen=True, slots=True)
class Order:
    """What shall be annotated, how, and where the results go.

    Attributes:
        output: The folder or gs:// prefix, with its final slash where it is a prefix.
    """

    inputs: Inputs = field(default_factory=Inputs)
    features: Sequence[v1.Feature] = ()
    context: v1.ImageContext | None = None
    output: str = ""


def prepare(options: argparse.Namespace, voice: Voice) -> Order:
    """Collects and checks everything that the options name.

    Raises:
        ConfigError: Something is wrong; the sentence says what and what to do.
        OSError: A bucket that a pattern or --stage names cannot be used.
    """
    _check_mode(options)
    if voice.machine and voice.out is None:
        raise Unwritable("standard output cannot be written: it is closed")
    if options.job and Path(options.job).is_dir():
        raise ConfigError(f"--job {options.job} is a folder: name a file")
    if options.wait or options.status:
        return Order(output=_place(options.output) if options.output else "")
    if not options.inputs and not options.uris_from:
        raise ConfigError("no input: name pictures, folders or gs:// URIs")
    if not options.features:
        raise ConfigError("no features: say what to look for, as --features text,faces")
    if not options.output:
        raise ConfigError("no output: name a folder (or for gs:// URIs a prefix gs://bucket/folder/) with --output")
    if options.batch_size is not None and options.batch_size > MAX_BATCH_SIZE:
        raise ConfigError(f"--batch-size {options.batch_size} is more than {MAX_BATCH_SIZE}")
    features = [feature(name, where="--features") for name in options.features]
    for wanted in features:
        wanted.max_results = options.max_results or 0
        wanted.model = options.model or ""
    context = v1.ImageContext(language_hints=options.language or ())
    if options.aspect_ratio:
        context.crop_hints_params.aspect_ratios.extend(options.aspect_ratio)
    if options.stage:
        words = list(_listed(options))
        output = _checked_output(options, Inputs())
        inputs = _staged(options, words, voice)
    else:
        inputs = collect(_listed(options), voice.say)
        if not inputs:
            raise ConfigError(f"no input: --uris-from {options.uris_from} names no image")
        output = _checked_output(options, inputs)
    return Order(inputs, features, context if context.ByteSize() else None, output)


_CLOUD = frozenset({"location", "project", "quota_project", "endpoint", "bucket"})
_ASKED = frozenset({"inputs", "uris_from", "uri_column", "features", "stage", "max_results", "model", "language", "aspect_ratio"})
_MODES = (
    ("status", frozenset({"json", "quiet"}), "only looks at a job"),
    ("wait", _CLOUD | {"output", "timeout", "format", "json", "quiet"}, "takes up operations that run already"),
    (
        "no_wait",
        _CLOUD | _ASKED | {"output", "batch_size", "label", "json", "quiet"},
        "starts operations and neither follows nor repeats them",
    ),
)
"""What each mode that is not a job takes besides --api-version; anything else would be ignored, and may be meant to limit what is paid."""


def _check_mode(options: argparse.Namespace) -> None:
    # Python hands over bytes that are no UTF-8 as lone surrogates. Local paths may hold them, what is sent to the service may not.
    for name in ("language", "model", "label", "project", "quota_project", "stage"):
        values = getattr(options, name) or ()
        texts = (
            [values] if isinstance(values, str) else [text for value in values for text in ([value] if isinstance(value, str) else value)]
        )
        if not all(text.isprintable() for text in texts):  # a surrogate is not
            raise ConfigError(f"--{name.replace('_', '-')} holds something that is not text: write it in printable characters")
    check_labels(dict(options.label or ()))
    for mode, taken, words in _MODES:
        if getattr(options, mode):
            given = [
                name for name, value in vars(options).items() if value and name not in taken and name != mode and name != "api_version"
            ]
            if given:
                name = "inputs" if given[0] == "inputs" else f"--{given[0].replace('_', '-')}"
                raise ConfigError(f"--{mode.replace('_', '-')} {words}: leave {name} out")
    if options.max_cost is not None and not options.price:
        raise ConfigError("--max-cost needs prices: say what a thousand images cost, as --price text=1.50")
    # The names in `wait` are checked here because a look at an operation begins with credentials.
    for name in options.wait or ():
        operation_name(name)
    priced = set()
    for name, _ in options.price or ():
        if name.lower().replace("-", "_") not in FEATURE_NAMES:
            raise ConfigError(f"--price {name}: there is no such feature")
        priced.add(feature(name).type)
    for name in options.features or ():
        if options.max_cost is not None and feature(name, where="--features").type not in priced:
            raise ConfigError(f"--max-cost: there is no price of {name}: say what a thousand cost, as --price {name}=1.50, or =0")
    if options.price and options.max_cost is None:
        raise ConfigError("--price is for --max-cost: say what may be spent, as --max-cost 20, or leave it out")
    if options.uri_column and not options.uris_from:
        raise ConfigError("--uri-column is for --uris-from: name the list, or leave it out")
    if "parquet" in options.format and importlib.util.find_spec("pyarrow") is None:
        raise ConfigError("--format parquet needs pyarrow: pip install 'vision-grpc[parquet]'")


def _listed(options: argparse.Namespace) -> Iterator[str]:
    """What the command names as its inputs, a gs:// pattern as the objects that match, then what the list names, as it is read."""
    found = None
    for index, word in enumerate(options.inputs):
        if has_pattern(word):
            found = found or objects(options, word)
            yield from expand(word, found)
        else:
            if word.startswith("gs://"):
                check_object(word, f"input {index + 1}")
            yield word
    if options.uris_from:
        yield from read_list(options.uris_from, options.uri_column)


def _staged(options: argparse.Namespace, words: Sequence[str], voice: Voice) -> Inputs:
    """The inputs, each once and in the order named, with the local ones uploaded below --stage."""
    prefix = options.stage if options.stage.endswith("/") else f"{options.stage}/"
    check_destination(prefix, "--stage")
    found = [name for word in words for name in ([word] if word.startswith("gs://") else pictures([word], voice.say))]
    chosen = list(dict.fromkeys(found))
    if len(chosen) < len(found):
        voice.say(repeated(len(found) - len(chosen)))
    paths = named(name for name in chosen if not name.startswith("gs://"))
    if not paths:
        raise ConfigError("--stage uploads local pictures, and none is named: leave it out")
    with Bar(len(paths), "uploads", enabled=not voice.quiet) as bar:
        uris, uploaded = stage(list(paths.values()), prefix, objects(options, prefix), bar.advance)
    voice.say(f"uploaded {uploaded:,} of {count(len(paths), 'picture')} to {prefix}; the others lay there already")
    staged = {path: (name, uri) for (name, path), uri in zip(paths.items(), uris, strict=True)}
    pairs = [staged.get(name, (name, name)) for name in chosen]
    return Inputs([uri for _, uri in pairs], [name for name, _ in pairs], paths=paths)


def _checked_output(options: argparse.Namespace, inputs: Inputs) -> str:
    output: str = options.output
    if "://" in output and not output.startswith("gs://"):
        raise ConfigError(f"--output {output} is neither a folder nor gs://bucket/folder/")
    if not inputs.local and "://" not in output:
        raise ConfigError(
            f"--output {output} is a local folder, but the service writes the results of gs:// images to a bucket: "
            "give gs://bucket/folder/ (--json prints them here too)"
        )
    if inputs.local and "://" in output:
        raise ConfigError(
            f"--output {output} lies in Cloud Storage, but {inputs.names[0]} on this machine: give a local folder, "
            "or upload the pictures with --stage gs://bucket/folder/"
        )
    if inputs.local and (cloud := [name for name in sorted(_CLOUD) if getattr(options, name)]):
        raise ConfigError(f"--{cloud[0].replace('_', '-')} is for gs:// images: local pictures never leave this machine; leave it out")
    if inputs.local and options.no_wait:
        raise ConfigError("--no-wait needs a server that goes on: the embedded one for local pictures ends with this command")
    return _place(output)


def _place(output: str) -> str:
    """The prefix, with its final slash, or the folder."""
    if "://" in output:
        prefix = output if output.endswith("/") else f"{output}/"
        check_destination(prefix, "--output")
        return prefix
    if os.path.exists(output) and not os.path.isdir(output):  # noqa: PTH110, PTH112 - False, not an error, for a name that is too long
        raise ConfigError(f"--output {output} is a file: name a folder")
    for name in FILES.values():
        if os.path.isdir(Path(output) / name):  # noqa: PTH112
            raise ConfigError(f"--output {output}: {Path(output) / name} is a folder, where that file will be written: move it away")
    return output


def objects(options: argparse.Namespace, place: str) -> Objects:
    """What serves the gs:// buckets: the folders of --bucket, a storage emulator, or Cloud Storage.

    Raises:
        ConfigError: The buckets are an emulator's, and nothing says where they lie.
    """
    if options.bucket:
        for name, folder in options.bucket:
            if not os.path.isdir(folder):  # noqa: PTH112 - False, not an error, for a name that is too long
                raise ConfigError(f"--bucket {name}={folder}: there is no such folder")
        return LocalObjects(dict(options.bucket))
    told = os.environ.get("STORAGE_EMULATOR_HOST") or os.environ.get("VISION_EMULATOR_BUCKETS")
    if os.environ.get("VISION_EMULATOR_HOST") and not told:
        raise ConfigError(
            f"{place if place != 'gs://' else 'the output'} lies with an emulator: "
            "say which folder that bucket is with --bucket NAME=FOLDER, export the VISION_EMULATOR_BUCKETS that the emulator printed, "
            "or name a storage emulator in STORAGE_EMULATOR_HOST"
        )
    return open_objects(place)[0]


def check_readable(found: Objects, output: str) -> None:
    """Notices before anything is sent, and paid for, that what the service would write to `output` could not be read.

    Raises:
        ConfigError: There is no such bucket.
        OSError: It cannot be listed.
    """
    try:
        next(iter(found.list(output)), None)
    except FileNotFoundError as error:
        raise ConfigError(f"--output {output} could not be read: {error}") from error


NEARBY = Polling(initial=0.2)
"""For a server on this machine, whose operations may take less than the first interval for the service, and that has no quota."""


def client_settings(options: argparse.Namespace) -> dict[str, object]:
    """The settings of a Client or AsyncClient for Google Cloud, or the emulator in the environment."""
    return {
        "version": options.api_version,
        "endpoint": options.endpoint,
        "location": options.location,
        "project": options.project,
        "quota_project": options.quota_project,
        "retry": Retry(connect=10.0),
        "polling": NEARBY if os.environ.get("VISION_EMULATOR_HOST") else None,
    }
