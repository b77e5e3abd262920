"""A job of the command line: on the embedded server for local pictures, on Google Cloud for gs:// URIs; resumed by its ledger."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import math
import os
import shlex
import tempfile
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vision_grpc import v1
from vision_grpc._cli.command import Order, Voice, check_readable, client_settings, objects
from vision_grpc._cli.inputs import PictureObjects
from vision_grpc._cli.names import own_ledger, server_state
from vision_grpc._cli.output import Publisher
from vision_grpc._cli.progress import JobBar
from vision_grpc._cli.session import Session
from vision_grpc._cli.summary import count
from vision_grpc._ledger.lock import WriterLock
from vision_grpc._ledger.rows import State
from vision_grpc.aio import AsyncClient
from vision_grpc.config import Polling
from vision_grpc.errors import ConfigError, ImageError, LedgerError
from vision_grpc.job import AnnotationJob, ImageResult, Summary
from vision_grpc.ledger import LedgerReader
from vision_grpc.objects import LocalFiles, Objects
from vision_grpc.requests import FEATURE_NAMES, MAX_IMAGES

if TYPE_CHECKING:
    from vision_grpc.emulator import Emulator

OK, IMAGES_FAILED, SERVICE, RUNNING, UNKNOWN, CAPPED = 0, 1, 3, 5, 6, 7

_HERE = 10
"""Pictures of one request to the embedded server, of which it has a few for each core: what stops the command loses no more work."""
_HERE_AT_ONCE = 3 + (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
"""Requests that the embedded server has at the same time."""
_HERE_POLLING = Polling(initial=0.05, maximum=0.5)
"""A few small pictures may take no longer, and the server is in this process."""


class JobCommand:
    """Runs one job to its end."""

    def __init__(self, options: argparse.Namespace, order: Order, voice: Voice) -> None:
        self._options = options
        self._order = order
        self._voice = voice
        self._ledger = Path(options.job) if options.job else own_ledger(options, order)
        self._lines = self._ledger.with_name(f"{self._ledger.name}.results.jsonl")

    def run(self) -> int:
        """Returns the exit code.

        Raises:
            VisionError, OSError, ImportError: What stopped it; `how_to_go_on` says the rest.
        """
        # What may not be written to is noticed before anything is paid for.
        try:
            self._ledger.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self._ledger.parent):
                pass
        except OSError as error:
            place = f"--job {self._ledger}" if self._options.job or not self._order.inputs.local else f"--output {self._order.output}"
            raise ConfigError(f"{place} cannot be written: {error.strerror}") from error
        if self._order.inputs.local:
            return self._run_local()
        options, order = self._options, self._order
        found = objects(options, order.output)
        check_readable(found, order.output)
        client = AsyncClient(**client_settings(options))  # type: ignore[arg-type]
        self._voice.say(f"annotating {count(len(order.inputs), 'image')} on {client.target}; the job's ledger is {self._ledger}")
        bar = JobBar(None, counted=False, enabled=not self._voice.quiet)
        return self._annotate(client, found, order.output, bar)

    def _run_local(self) -> int:
        from vision_grpc.emulator import Emulator
        from vision_grpc.emulator.annotators import SUPPORTED, annotate_bytes, check_available, reads_language

        order = self._order
        check_available({wanted.type for wanted in order.features})
        if lacking := [v1.Feature.Type.Name(wanted.type) for wanted in order.features if wanted.type not in SUPPORTED]:
            self._voice.warn(f"the embedded server cannot compute {', '.join(lacking)}: every image will have an error that says so")
        if unread := [hint for hint in self._options.language or () if not reads_language(hint)]:
            self._voice.warn(f"the embedded server does not read --language {', '.join(unread)}: text in it is missed or misread")
        output = Path(order.output)
        found = PictureObjects(order.inputs, output)
        if self._begun("output") not in (None, found.destination):
            raise ConfigError(
                f"--output {order.output} is not the folder that the job in {self._ledger} was begun with: "
                "give that one, or name another --job for another job"
            )
        output.mkdir(parents=True, exist_ok=True)
        bar = JobBar(len(order.inputs), counted=True, enabled=not self._voice.quiet)
        lock = threading.Lock()

        def annotator(content: bytes, request: bytes) -> bytes:
            try:
                return annotate_bytes(content, request)
            finally:
                with lock:
                    bar.advance()

        # Another process that works on this job is met here, not at its server's files.
        WriterLock(self._ledger).release()
        server: Emulator
        with Emulator(objects=found, annotator=annotator, state=server_state(self._ledger)) as server:
            say = f"annotating {count(len(order.inputs), 'picture')} with the embedded server on {server.target}"
            self._voice.say(f"{say}; nothing leaves this machine")
            client = AsyncClient(emulator=server.target, polling=_HERE_POLLING)
            code = self._annotate(client, found, found.destination, bar)
        if found.unwritable is not None and code == IMAGES_FAILED:
            # To the contract it is each image's error, by a bucket's name that nobody here gave.
            why = found.unwritable.strerror or found.unwritable
            self._voice.warn(f"--output {order.output} could not be written: {why}; make room there, and annotate the failed images again")
            return SERVICE
        return code

    def _annotate(self, client: AsyncClient, found: Objects, destination: str, bar: JobBar) -> int:
        publisher = Publisher(self._order.output, self._options.format, found, self._voice, self._options.api_version)

        def picture(name: str) -> bytes:
            path = self._order.inputs.paths.get(name)
            return found.read(name) if path is None else LocalFiles().read(path)

        def told(result: ImageResult, line: bytes) -> None:
            if self._options.json:
                self._voice.data(line.decode())
            publisher.show(result)

        async def main() -> tuple[Session, Summary]:
            job = AnnotationJob(self._order.inputs.uris, client=client, objects=found, output=destination, **self._settings())
            session = Session(
                job,
                client,
                self._lines,
                names=lambda result: self._named(result, destination),
                local=self._order.inputs.local,
                told=told,
                say=self._voice.say,
                warn=self._voice.warn,
                bar=bar,
                timeout=self._options.timeout,
            )
            async with client:
                return session, await session.run()

        session, summary = asyncio.run(main())
        if summary.end == "complete":
            code = publisher.publish(self._lines, picture, ok=summary.ok, failed=summary.failed)
            self._again(summary)
            if not self._options.job:
                self._forget()
            return code
        return self._incomplete(session, summary)

    def _named(self, result: ImageResult, destination: str) -> ImageResult:
        """The result by the name that the user gave the image, also within its error; `destination` is by what the output goes there."""
        names = self._order.inputs.names
        if not names:
            return result
        name = names[result.index]
        error = result.error
        if error is not None and name != result.uri:
            words = error.message.replace(result.uri, name)
            if self._order.inputs.local:
                words = words.replace(destination, os.path.join(self._order.output, ""))  # noqa: PTH118 - keeps the user's own spelling
            error = ImageError(error.code, words, index=error.index, uri=name, details=error.details)
        return replace(result, uri=name, error=error)

    def _settings(self) -> dict[str, Any]:
        options, order = self._options, self._order
        given = {
            "image_context": order.context,
            "batch_size": options.batch_size,
            "labels": dict(options.label or ()),
            "attempts": options.attempts,
            "images_in_flight": options.images_in_flight,
            "requests_per_minute": options.requests_per_minute,
            "max_images": options.max_images,
            "max_cost": options.max_cost,
            "prices": self._prices() or None,
        }
        kept = {name: value for name, value in given.items() if value is not None}
        size = self._request_size()
        settings: dict[str, Any] = {"resubmit_unknown": options.resubmit_unknown}
        if order.inputs.local:
            # The embedded server has no quotas and bills nothing, and what it accepted is in its list: a doubt is settled at once.
            window = max(size, _HERE * _HERE_AT_ONCE)
            settings = {"resubmit_unknown": True, "grace": 0.0, "images_in_flight": window, "requests_per_minute": 1_000_000}
        return {"features": order.features, "ledger": self._ledger, "order": "input", "request_size": size} | settings | kept

    def _prices(self) -> dict[int, float]:
        return {FEATURE_NAMES[name.lower().replace("-", "_")]: price for name, price in self._options.price or ()}

    def _request_size(self) -> int:
        """Images of one request: as many as the service takes and --images-in-flight has room for. A job that has begun keeps its own.

        Raises:
            ConfigError: There is no room for the requests of the job that has begun.
        """
        most = _HERE if self._order.inputs.local else MAX_IMAGES
        room: int | None = self._options.images_in_flight
        begun: int | None = self._begun("request_size")
        if begun is not None and room is not None and begun > room:
            raise ConfigError(
                f"--images-in-flight {room}: the job in {self._ledger} has requests of {begun:,} images: give {begun} or more"
            )
        return begun or min(room or most, most)

    def _begun(self, setting: str) -> Any:
        """What a job that has begun was begun with; None where there is none."""
        # What is wrong with a ledger is said by the job.
        with contextlib.suppress(LedgerError), LedgerReader(self._ledger) as reader:
            if reader.planned_images():
                return json.loads(reader.settings.get(setting, "null"))
        return None

    def _again(self, summary: Summary) -> None:
        more = {tries: images for tries, images in summary.attempts.items() if tries > 1}
        if more:
            words = ", ".join(f"{count(images, 'image')} {tries} times" for tries, images in sorted(more.items()))
            self._voice.say(f"sent again after passing failures: {words}; {summary.sent:,} images sent in all")

    def _incomplete(self, session: Session, summary: Summary) -> int:
        """Says why the job is not complete, and how to go on."""
        done = summary.ok + summary.failed
        say = self._voice.say if not self._voice.quiet else self._voice.warn
        for words, requests in (("not known whether accepted", summary.unknown), ("done, but not readable", summary.unreadable)):
            for request in requests:
                images = f"{count(request.images, 'image')} from {request.first:,} on"
                say(f"{words}: {images}, to {request.destination} ({request.reason})")
        if summary.end == "capped":
            say(self._cap(summary))
        of = "" if summary.total is None else f" of {summary.total:,}"
        say(f"{done:,}{of} images are in {self._lines}; nothing is lost. {self.how_to_go_on()}")
        if summary.end == "unknown":
            say("to send the requests in doubt again, which may pay for them twice, add --resubmit-unknown")
        if session.interrupted is not None:
            return 128 + session.interrupted
        if session.timed_out:
            say(f"--timeout of {self._options.timeout:g} s has passed")
            return RUNNING
        return {"unknown": UNKNOWN, "capped": CAPPED}.get(summary.end, SERVICE)

    def _cap(self, summary: Summary) -> str:
        """Which cap was reached, by what, and what lets the job go on."""
        options = self._options
        with LedgerReader(self._ledger) as reader:
            images = max((row.images for row in reader.rows(State.PLANNED, limit=1)), default=0)
        sent = summary.sent + images
        if options.max_images is not None and sent > options.max_images:
            cap, spent, least = f"--max-images {options.max_images}", f"{summary.sent:,} were sent", str(sent)
        else:
            prices = self._prices()
            cost = summary.cost + images * sum(prices[wanted.type] for wanted in self._order.features) / 1000
            cap, spent, least = f"--max-cost {options.max_cost:g}", f"{summary.cost:,.2f} was spent", f"{math.ceil(cost * 100) / 100:.2f}"
        words = f"stopped by {cap}: only whole requests are sent, the next holds {count(images, 'image')}, and {spent} so far; "
        smaller = "" if summary.sent else ", or begin another --job with smaller requests, which --images-in-flight makes"
        return f"{words}give {cap.split()[0]} {least} or more{smaller}"

    def how_to_go_on(self) -> str:
        """How this job is resumed."""
        again = ", and the same list on standard input once more" if self._options.uris_from == "-" else ""
        if self._options.job:
            return f"Resume: the same command, with --job {shlex.quote(str(self._ledger))}{again}"
        return f"Resume: run the same command again (its ledger is {self._ledger}){again}"

    def _forget(self) -> None:
        """Removes the ledger of a job that nobody asked to keep, and that is complete."""
        # The results last: a ledger without them could never be published again.
        for path in sorted(self._ledger.parent.glob(f"{self._ledger.stem}.*"), key=self._lines.__eq__):
            path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self._ledger.parent.rmdir()
