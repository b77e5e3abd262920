"""What ``python -m vision_grpc.submit`` does with its options: collects inputs, submits, waits, and writes results."""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import os
import secrets
import shlex
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from vision_grpc import v1
from vision_grpc._encode import dumps
from vision_grpc._inputs import OUTPUT, Inputs, PictureObjects, collect, expand, has_pattern, pictures, read_list, stage
from vision_grpc._output import CONTENT_TYPES, FILES, row, write_format
from vision_grpc._progress import Progress
from vision_grpc._summary import count, describe_result
from vision_grpc._whole_file import whole_file
from vision_grpc.client import Client
from vision_grpc.config import Retry
from vision_grpc.errors import ConfigError, VisionError
from vision_grpc.objects import LocalFiles, LocalObjects, Objects, open_objects
from vision_grpc.requests import MAX_BATCH_SIZE, check_destination, feature, image_requests, split_requests
from vision_grpc.results import ImageResult, read_results

if TYPE_CHECKING:
    from vision_grpc._operations import ImagesResponse
    from vision_grpc.emulator import Emulator

_SHOWN = 100
"""Images that get a line of their own in the summary; beyond it only those that failed do."""


class Command:
    """One run of the command: `prepare` refuses what is wrong before anything is opened, `run` does the work."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.inputs = Inputs()
        self.operations: list[str] = []
        self.submitting = False
        self._requests: list[v1.AnnotateImageRequest] = []
        self._run = f"run-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{secrets.token_hex(2)}"
        self._stdout: TextIO = sys.stdout

    def prepare(self) -> None:
        """Collects and checks everything that the options name.

        Raises:
            ConfigError: Something is wrong; the sentence says what and what to do.
        """
        options = self.options
        if options.wait:
            if options.inputs or options.uris_from or options.no_wait:
                raise ConfigError("--wait takes up operations that run already: leave inputs, --uris-from and --no-wait out")
            return
        words = [*options.inputs, *(read_list(options.uris_from, options.uri_column) if options.uris_from else ())]
        if not words:
            raise ConfigError("no input: name pictures, folders or gs:// URIs")
        if not options.features:
            raise ConfigError("no features: say what to look for, as --features text,faces")
        if not options.output:
            raise ConfigError("no output: name a folder (or for gs:// URIs a prefix gs://bucket/folder/) with --output")
        if options.batch_size is not None and options.batch_size > MAX_BATCH_SIZE:
            raise ConfigError(f"--batch-size {options.batch_size} is more than {MAX_BATCH_SIZE}")
        if "parquet" in options.format and importlib.util.find_spec("pyarrow") is None:
            raise ConfigError("--format parquet needs pyarrow: pip install 'vision-grpc[parquet]'")
        patterns = [word for word in options.inputs if has_pattern(word)]
        if patterns:
            objects = self._objects(patterns[0])
            words = [uri for word in words for uri in (expand(word, objects) if word in patterns else [word])]
        self.inputs = self._staged(words) if options.stage else collect(words)
        self._check_output()
        features = [feature(name, where="--features") for name in options.features]
        for wanted in features:
            wanted.max_results = options.max_results or 0
            wanted.model = options.model or ""
        context = v1.ImageContext(language_hints=options.language or ())
        context.crop_hints_params.aspect_ratios.extend(options.aspect_ratio or ())
        self._requests = image_requests(self.inputs.uris, features, context if context.ByteSize() else None)

    def _staged(self, words: Sequence[str]) -> Inputs:
        """The inputs with the local ones uploaded below --stage."""
        prefix = self.options.stage if self.options.stage.endswith("/") else f"{self.options.stage}/"
        check_destination(prefix, "--stage")
        here = pictures(word for word in words if not word.startswith("gs://"))
        if not here:
            raise ConfigError("--stage uploads local pictures, and none is named: leave it out")
        with Progress(len(here), "uploads", enabled=not self.options.quiet) as progress:
            uris, uploaded = stage(here, prefix, self._objects(prefix), progress.advance)
        self._say(f"uploaded {uploaded:,} of {len(here):,} pictures to {prefix}; the others lay there already")
        there = [word for word in words if word.startswith("gs://")]
        return Inputs([*here, *there], [*uris, *there])

    def _check_output(self) -> None:
        output = self.options.output
        if not self.inputs.local:
            if not output.startswith("gs://"):
                raise ConfigError(
                    f"--output {output} is a local folder, but the service writes the results of gs:// images to a bucket: "
                    "give gs://bucket/folder/ (--json prints them here too)"
                )
            check_destination(output if output.endswith("/") else f"{output}/", "--output")
            return
        if "://" in output:
            raise ConfigError(
                f"--output {output} lies in Cloud Storage, but {self.inputs.names[0]} on this machine: give a local folder, "
                "or copy the pictures to a bucket and name them by gs:// URIs"
            )
        if self.options.no_wait:
            raise ConfigError("--no-wait needs a server that goes on: the embedded one for local pictures ends with this command")
        if Path(output).exists() and not Path(output).is_dir():
            raise ConfigError(f"--output {output} is a file: name a folder")

    def run(self) -> int:
        """Does the work and returns the exit code.

        Raises:
            VisionError, OSError, ImportError: What stopped it.
        """
        if self.inputs.local:
            return self._run_local()
        options = self.options
        client = Client(
            version=options.api_version,
            endpoint=options.endpoint,
            location=options.location,
            project=options.project,
            quota_project=options.quota_project,
            retry=Retry(connect=10.0),
        )
        with client:
            if options.wait:
                self.operations = list(options.wait)
                output = options.output or ""
            else:
                output = options.output if options.output.endswith("/") else f"{options.output}/"
                self._say(f"annotating {count(len(self.inputs), 'image')} on {client.target}")
                self._submit(client, f"{output}{self._run}/")
                if options.no_wait:
                    return self._print_operations()
            destinations = self._wait(client)
            return self._finish(destinations, self._objects(destinations[0]), output or destinations[0])

    def _run_local(self) -> int:
        from vision_grpc.emulator import Emulator
        from vision_grpc.emulator.annotators import annotate_bytes, check_available

        check_available({wanted.type for wanted in self._requests[0].features})
        output = Path(self.options.output)
        output.mkdir(parents=True, exist_ok=True)
        objects = PictureObjects(self.inputs, output)
        done = _Counter()

        def annotator(content: bytes, request: bytes) -> bytes:
            try:
                return annotate_bytes(content, request)
            finally:
                done.add()

        server: Emulator
        with Emulator(objects=objects, annotator=annotator) as server, Client(emulator=server.target) as client:
            pictures_ = count(len(self.inputs), "picture")
            self._say(f"annotating {pictures_} with the embedded server on {server.target}; nothing leaves this machine")
            self._submit(client, f"gs://{OUTPUT}/{self._run}/")
            destinations = self._wait(client, done)
            return self._finish(destinations, objects, self.options.output)

    def _submit(self, client: Client, prefix: str) -> None:
        """Starts one operation for each 2,000 images, each with a prefix of its own."""
        for number, part in enumerate(split_requests(self._requests), 1):
            self.submitting = True
            output = v1.OutputConfig(batch_size=self.options.batch_size or 0)
            output.gcs_destination.uri = f"{prefix}{number}/"
            operation = client.async_batch_annotate(part, output, labels=dict(self.options.label or ()))
            self.submitting = False
            self.operations.append(operation.name)

    def _wait(self, client: Client, done: _Counter | None = None) -> list[str]:
        """The destination of each operation, in the order of the operations."""
        total = len(self.inputs) if done else len(self.operations)
        destinations: dict[str, str] = {}
        with Progress(total, "images" if done else "operations", enabled=not self.options.quiet) as progress:
            if done:
                done.tell = progress.advance
            for name, outcome in self._outcomes(client):
                if isinstance(outcome, VisionError):
                    raise outcome
                destinations[name] = outcome.output_config.gcs_destination.uri
                if not done:
                    progress.advance()
        return [destinations[name] for name in self.operations]

    def _outcomes(self, client: Client) -> Iterable[tuple[str, ImagesResponse | VisionError]]:
        timeout = self.options.timeout
        if len(self.operations) == 1:
            # One operation can be waited for by the server itself, without polls.
            return [(self.operations[0], client.wait_operation(self.operations[0], timeout=timeout))]
        return client.wait_operations(self.operations, timeout=timeout)

    def _objects(self, place: str) -> Objects:
        """What serves the gs:// buckets: the folders of --bucket, a storage emulator, or Cloud Storage."""
        if self.options.bucket:
            return LocalObjects(dict(self.options.bucket))
        if os.environ.get("VISION_EMULATOR_HOST") and not os.environ.get("STORAGE_EMULATOR_HOST"):
            raise ConfigError(
                f"{place} lies with an emulator: say which folder that bucket is with --bucket NAME=FOLDER, "
                "or name a storage emulator in STORAGE_EMULATOR_HOST"
            )
        return open_objects(place)[0]

    def _finish(self, destinations: Sequence[str], objects: Objects, output: str) -> int:
        """Writes the results in each format, every file whole or not at all, and prints the summary."""
        failed: Counter[str] = Counter()
        total = 0
        with contextlib.ExitStack() as stack:
            remote = "://" in output
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory())) if remote else Path(output)
            with whole_file(folder / "results.jsonl") as lines:
                for result in self._results(destinations, objects):
                    line = dumps(row(result, keep_context=not self.inputs.local)) + b"\n"
                    lines.write(line)
                    if self.options.json:
                        self._stdout.write(line.decode())
                    total += 1
                    failed[result.error.message if result.error else ""] += 1
                    if result.error is not None or total <= _SHOWN:
                        self._say(describe_result(result))
            for name in ("parquet", "html"):
                if name in self.options.format:
                    write_format(name, self._results(destinations, objects), folder, self._picture(objects))
            if remote:
                for path in sorted(folder.iterdir()):
                    objects.write(f"{output.rstrip('/')}/{path.name}", path.read_bytes(), CONTENT_TYPES[path.suffix])
        good = failed.pop("", 0)
        place = f"{output.rstrip('/')}/results.jsonl"
        if total > _SHOWN:
            self._say(f"… and {total - _SHOWN:,} more images in {place}")
        pages = [f"{output.rstrip('/')}/{FILES[name]}" for name in self.options.format if name != "jsonl"]
        self._say(f"{good:,} of {count(total, 'image')} annotated, {total - good:,} failed: {', '.join([place, *pages])}")
        return 1 if failed else 0

    def _picture(self, objects: Objects) -> Callable[[str], bytes | None]:
        """What loads an image for the report's thumbnails."""
        return LocalFiles().read if self.inputs.local else objects.read

    def _results(self, destinations: Sequence[str], objects: Objects) -> Iterator[ImageResult]:
        """Every image's result in the order of the inputs, by the name that the user gave it."""
        if self.options.wait:
            found = (result for destination in destinations for result in read_results(destination, objects=objects))
            yield from (replace(result, index=index) for index, result in enumerate(found))
            return
        start = 0
        for destination, part in zip(destinations, split_requests(self._requests), strict=True):
            for result in read_results(destination, requests=part, objects=objects):
                index = start + result.index
                yield replace(result, index=index, uri=self.inputs.names[index])
            start += len(part)

    def _print_operations(self) -> int:
        for name in self.operations:
            print(json.dumps({"operation": name}) if self.options.json else name, file=self._stdout)
        self._say(f"resume with: {self._resume_line()}")
        return 0

    def _say(self, text: str) -> None:
        """Words for a person: to standard output, or to standard error where that is for machines."""
        if not self.options.quiet:
            machine = self.options.json or self.options.no_wait
            print(text, file=sys.stderr if machine else self._stdout)

    def _resume_line(self) -> str:
        words = [part for name in self.operations for part in ("--wait", name)]
        for option in ("output", "location", "endpoint", "quota_project"):
            if value := getattr(self.options, option):
                words += [f"--{option.replace('_', '-')}", value]
        for name, folder in self.options.bucket or ():
            words += ["--bucket", f"{name}={folder}"]
        return "python -m vision_grpc.submit " + shlex.join(words)

    def resumable(self) -> str | None:
        """How to go on with operations that were started; None where none was, or they ended with the embedded server."""
        if not self.operations or self.inputs.local:
            return None
        noun = "this operation was" if len(self.operations) == 1 else f"these {len(self.operations)} operations were"
        return f"{noun} started, and {'is' if len(self.operations) == 1 else 'are'} taken up again by: {self._resume_line()}"

    def still_running(self) -> str:
        """The words for a deadline that passed."""
        if self.inputs.local:
            return f"not finished after {self.options.timeout:g} s; the embedded server ends with this command, so nothing goes on running"
        return f"still running after {self.options.timeout:g} s; nothing is lost: {self._resume_line()}"

    def interrupted(self) -> str:
        """The words for Ctrl-C."""
        words = []
        if self.submitting and not self.inputs.local:
            words.append(
                "interrupted while a request was being sent: the service may have accepted it; look for it before sending it again"
            )
        if more := self.resumable():
            words.append(more)
        return "; ".join(words) or "interrupted; nothing goes on running"


class _Counter:
    """Counts annotated pictures from the server's threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.tell: Any = None

    def add(self) -> None:
        with self._lock:
            if self.tell is not None:
                self.tell()
