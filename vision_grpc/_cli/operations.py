"""Operations of the command line without a job: start and leave them (--no-wait), or take them up by name (--wait)."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any, TypeVar

from vision_grpc import v1
from vision_grpc._calls import GET, connected, run
from vision_grpc._cli.command import Order, Voice, check_readable, client_settings, objects
from vision_grpc._cli.names import new_run
from vision_grpc._cli.output import Publisher, row
from vision_grpc._cli.progress import Bar
from vision_grpc._cli.summary import count
from vision_grpc._json.encode import dumps
from vision_grpc._objects.whole_file import whole_file
from vision_grpc.client import Client
from vision_grpc.errors import CallError, OperationFailed, VisionError, WaitTimeout
from vision_grpc.requests import image_requests, split_requests
from vision_grpc.results import ImageResult, read_results

if TYPE_CHECKING:
    from vision_grpc._operations import ImagesResponse
    from vision_grpc.objects import Objects

T = TypeVar("T")


def _aside(work: Callable[[], T]) -> T:
    """Does the work in a thread of its own while this one waits, so that a signal's exception never meets gRPC with its locks taken."""
    outcome: Future[T] = Future()

    def do() -> None:
        try:
            outcome.set_result(work())
        except BaseException as error:
            outcome.set_exception(error)

    Thread(target=do, daemon=True).start()
    return outcome.result()


class Operations:
    """Starts operations, or waits for them.

    Attributes:
        names: Those that were started or named.
        submitting: A request is being sent at this moment.
    """

    def __init__(self, options: argparse.Namespace, order: Order, voice: Voice) -> None:
        self.names: list[str] = list(dict.fromkeys(options.wait or ()))
        self.submitting = False
        self._ended = False
        self._options = options
        self._order = order
        self._voice = voice

    def start(self) -> int:
        """Starts an operation for each 2,000 images and prints its name; returns the exit code."""
        order, options = self._order, self._options
        prefix = f"{order.output}{new_run()}/"
        with Client(**self._settings()) as client:
            self._voice.say(f"starting {count(len(order.inputs), 'image')} on {client.target}")
            for number, uris in enumerate(split_requests(order.inputs.uris), 1):
                requests = image_requests(uris, order.features, order.context)
                output = v1.OutputConfig(batch_size=options.batch_size or 0)
                output.gcs_destination.uri = f"{prefix}{number}/"
                self.submitting = True
                try:
                    operation = client.async_batch_annotate(requests, output, labels=dict(options.label or ()))
                except VisionError as error:
                    self.submitting = isinstance(error, CallError) and error.ambiguous
                    raise
                self.submitting = False
                self.names.append(operation.name)
                self._voice.data((json.dumps({"operation": operation.name}) if options.json else operation.name) + "\n")
        self._voice.say(f"resume with: {self.resume_line()}")
        return 0

    def wait(self) -> int:
        """Waits for the operations, and writes and shows the results of those that ended well; returns the exit code.

        Raises:
            WaitTimeout: --timeout passed.
            OperationFailed, CallError: One of them did not end well; the last of several, after the others were said.
        """
        # Whether the results can be read is found out before, not after, the wait.
        remote = self._order.output.startswith("gs://")
        # The operations wrote to buckets, wherever the results go from there.
        found = objects(self._options, self._order.output if remote else "gs://")
        if remote:
            check_readable(found, self._order.output)
        with Client(**self._settings()) as client:

            def follow() -> tuple[list[str], list[VisionError]]:
                # Polls outlive any failure: a server that was never there would be waited for without a word.
                run(connected(GET, client._context.retry.connect), client._transport.perform)
                return self._destinations(client)

            destinations, problems = _aside(follow)
        code = self._publish(destinations, found) if destinations else 0
        for problem in problems[:-1]:
            self._voice.warn(str(problem))
        if problems:
            raise problems[-1]
        return code

    def _publish(self, destinations: Sequence[str], found: Objects) -> int:
        publisher = Publisher(self._order.output or destinations[0], self._options.format, found, self._voice, self._options.api_version)
        with tempfile.TemporaryDirectory() as folder:
            lines = Path(folder) / "results.jsonl"
            with whole_file(lines) as file:
                for result in self._results(destinations, found):
                    line = dumps(row(result, keep_context=True)) + b"\n"
                    file.write(line)
                    if self._options.json:
                        self._voice.data(line.decode())
                    publisher.show(result)
            return publisher.publish(lines, found.read)

    def _results(self, destinations: Iterable[str], found: Objects) -> Iterator[ImageResult]:
        version = "v1p4beta1" if self._options.api_version == "v1p4beta1" else "v1"
        results = (result for destination in destinations for result in read_results(destination, objects=found, version=version))
        return (replace(result, index=index) for index, result in enumerate(results))

    def _destinations(self, client: Client) -> tuple[list[str], list[VisionError]]:
        """Where those that ended well wrote to, each place once, in the order of the names; and what became of the others."""
        destinations: dict[str, str] = {}
        problems: list[VisionError] = []
        with Bar(len(self.names), "operations", enabled=not self._voice.quiet) as bar:
            try:
                for name, outcome in self._outcomes(client):
                    if isinstance(outcome, VisionError):
                        problems.append(outcome)
                    else:
                        destinations[name] = outcome.output_config.gcs_destination.uri
                    bar.advance()
            except (OperationFailed, CallError, WaitTimeout) as error:
                problems.append(error)
        self._ended = bool(destinations) and not any(isinstance(problem, WaitTimeout) for problem in problems)
        # One operation may be named in several of the four shapes.
        return list(dict.fromkeys(destinations[name] for name in self.names if name in destinations)), problems

    def _outcomes(self, client: Client) -> Iterable[tuple[str, ImagesResponse | VisionError]]:
        timeout = self._options.timeout
        if len(self.names) == 1:
            # One operation can be waited for by the server itself, without polls.
            return [(self.names[0], client.wait_operation(self.names[0], timeout=timeout))]
        return client.wait_operations(self.names, timeout=timeout)

    def _settings(self) -> dict[str, Any]:
        return client_settings(self._options)

    def resume_line(self) -> str:
        """The command that takes these operations up."""
        words = [part for name in self.names for part in ("--wait", name)]
        for option in ("output", "location", "endpoint", "quota_project"):
            if value := getattr(self._options, option):
                words += [f"--{option.replace('_', '-')}", value]
        for name, folder in self._options.bucket or ():
            words += ["--bucket", f"{name}={folder}"]
        told = os.environ.get("STORAGE_EMULATOR_HOST") or os.environ.get("VISION_EMULATOR_BUCKETS")
        elsewhere = self._options.endpoint or told or not os.environ.get("VISION_EMULATOR_HOST")
        if not (self._options.bucket or elsewhere) and (bucket := self._order.output.removeprefix("gs://").partition("/")[0]):
            # The emulator's results are found by that option alone; which folder is the bucket is known to who started it.
            words += ["--bucket", f"{bucket}=FOLDER"]
        return "python -m vision_grpc.submit " + shlex.join(words)

    def how_to_go_on(self) -> str:
        """The words for an end that leaves operations running."""
        words = []
        if self.submitting:
            words.append("a request was being sent: the service may have accepted it; look for it before sending it again")
        if self._ended:
            noun = "this operation is done" if len(self.names) == 1 else f"these {len(self.names)} operations have ended"
            words.append(f"{noun}; read the results again by: {self.resume_line()}")
        elif self.names:
            noun = "this operation is" if len(self.names) == 1 else f"these {len(self.names)} operations are"
            # Those that were named may not exist.
            on = "" if self._options.wait else " not stopped by that, and"
            words.append(f"{noun}{on} taken up again by: {self.resume_line()}")
        return "; ".join(words)
