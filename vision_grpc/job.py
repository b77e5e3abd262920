"""A job of any size: within the quotas, over crashes, never paid twice, never an image lost. The rooms behind it begin with `_`."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from vision_grpc._job.account import Progress, Summary, Unsettled
from vision_grpc._job.blocking import JobRun
from vision_grpc._job.collect import Slice
from vision_grpc._job.delivery import Delivery
from vision_grpc._job.desk import Desk
from vision_grpc._job.planner import plan_all
from vision_grpc._job.sender import Limits, Making, Sender
from vision_grpc._job.service import ClientService, Service
from vision_grpc._job.settings import check_arguments, check_settings, check_version, feature_prices, job_settings
from vision_grpc._job.standing import Standing, read_standing
from vision_grpc._job.template import Template
from vision_grpc._job.watcher import Settler, watch
from vision_grpc._results.join import ImageResult
from vision_grpc.aio import AsyncClient
from vision_grpc.errors import ConfigError, JobIncomplete, LedgerError
from vision_grpc.ledger import Ledger
from vision_grpc.objects import open_objects

if TYPE_CHECKING:
    from vision_grpc import v1
    from vision_grpc._job.planner import JobInputs
    from vision_grpc.objects import Objects
    from vision_grpc.requests import FeatureLike

__all__ = ["AnnotationJob", "ImageResult", "JobRun", "Progress", "Standing", "Summary", "Unsettled", "read_standing", "run_job"]

_CLOSING = 5.0
"""Seconds that the end of a job waits for the answers to requests that are being sent: each saves a doubt."""


class AnnotationJob:
    """Annotates any number of images, and hands out one result for each.

    ::

        async with AnnotationJob(uris, features="text", output="gs://out/run/", client=client, ledger="nightly.db") as job:
            async for result in job:
                ...

    An iteration that ends by itself has handed out every image, unless a cap, `drain` or `stop` ended it: whatever else keeps results
    back is raised. A job that ended early, in whatever way, is resumed by making it again with the same inputs, settings and ledger.

    Results come at least once: a request counts as collected when the consumer asks for what follows its last result, and a resume
    hands out again what an uncollected one brought. At the service each image is sent once, and again only after a transient
    failure of its own. See docs/jobs.md.

    Attributes:
        job_id: Part of every output prefix: ``<output>/<job_id>/<request>-<attempt>/``. None before the job has begun.
    """

    def __init__(
        self,
        inputs: JobInputs | None,
        *,
        features: Iterable[FeatureLike] | FeatureLike | None,
        output: str,
        client: AsyncClient | Service,
        ledger: str | Path | Ledger,
        request_size: int = 2000,
        batch_size: int = 20,
        images_in_flight: int = 8000,
        requests_per_minute: int = 1800,
        order: Literal["completion", "input"] = "completion",
        attempts: int = 3,
        rest: float = 1.0,
        max_images: int | None = None,
        max_cost: float | None = None,
        prices: Mapping[FeatureLike, float] | None = None,
        resubmit_unknown: bool = False,
        grace: float = 120.0,
        patience: float = 3600.0,
        submit_timeout: float = 60.0,
        image_context: v1.ImageContext | Mapping[str, Any] | None = None,
        parent: str | None = None,
        labels: Mapping[str, str] | None = None,
        objects: Objects | None = None,
    ) -> None:
        """Checks the settings; nothing is opened, read or sent before the first result is asked for.

        Args:
            inputs: URIs, AnnotateImageRequests or mappings of their fields, in any iterable or async iterable. They are read once,
                to their end, and never held. A resume reads and compares them; None resumes from the ledger alone, where an
                earlier run had read them to their end.
            features: As for `image_requests`; for URIs, and for requests that name none. None where every request names its own.
            output: ``gs://bucket/prefix``, below which every request writes to a prefix of its own.
            client: An AsyncClient; it is not closed.
            ledger: The job's journal, made where there is none.
            request_size: Images of one request, 1 to 2,000.
            batch_size: Results of one output object, 1 to 100.
            images_in_flight: Images being sent or processed at the same time; the service's own limit is 8,000.
            requests_per_minute: Requests sent in any 60 seconds; the service's own limit is 1,800.
            order: "completion" hands out results as requests end; "input" in the order of the inputs, which waits for the slowest.
            attempts: How often one image is sent at most, where it fails for a passing reason.
            rest: Seconds that such images wait before they are sent again; doubled for each further time, to a minute.
            max_images: A cap on the images sent in all runs together, repetitions included. Only whole requests are sent.
            max_cost: A cap on what they cost by `prices`.
            prices: What a thousand images cost, by feature; with `max_cost` every feature needs one. They are the caller's: this
                package knows none.
            resubmit_unknown: Send again what was proved not to have been accepted. Without, such requests end the job in
                JobIncomplete, and wait for a resume that says so.
            grace: Seconds within which the service shows, in its list of operations, what it has accepted. What was accepted later
                than that would be paid twice with `resubmit_unknown`. The figure is ours, none is published.
            patience: Seconds for which the service may refuse every request, or be unreachable, before the job ends with that error;
                and for which a lost request is looked for in vain, where nothing else is left to do.
            submit_timeout: Seconds for one request to be answered; one that is not is in doubt.
            image_context, parent, labels: As for `AsyncClient.async_batch_annotate`.
            objects: Where the output lies, by default Google Cloud Storage.

        Raises:
            ConfigError: A setting is wrong.
        """
        template = Template.of(features, image_context)
        check_arguments(inputs, template, client, ledger)
        check_settings(
            output=output,
            request_size=request_size,
            batch_size=batch_size,
            images_in_flight=images_in_flight,
            requests_per_minute=requests_per_minute,
            order=order,
            attempts=attempts,
            rest=rest,
            max_images=max_images,
            max_cost=max_cost,
            prices=prices,
            grace=grace,
            patience=patience,
            submit_timeout=submit_timeout,
            parent=parent,
            labels={} if labels is None else labels,
        )
        priced = feature_prices(prices)
        if max_cost is not None:
            template.price(priced)  # refuses a feature without a price now, not when it is sent
        self._inputs = inputs
        self._output = output if output.endswith("/") else output + "/"
        self._client = client
        self._objects = objects
        self._ledger = ledger if isinstance(ledger, Ledger) else Ledger(ledger)
        self._size = request_size
        self._limits = Limits(
            images_in_flight=max(images_in_flight, 1),
            requests_per_minute=requests_per_minute,
            max_images=max_images,
            max_cost=max_cost,
            prices=priced,
        )
        self._making = Making(template=template, batch_size=batch_size, parent=parent, labels=dict(labels or {}))
        self._in_order = order == "input"
        self._attempts = attempts
        self._rest = rest
        self._submit_timeout = submit_timeout
        self._grace = grace
        self._patience = patience
        self._resubmit = resubmit_unknown
        self._desk: Desk | None = None
        self._sender: Sender | None = None
        self._ending: asyncio.Future[None] | None = None
        self._sending: asyncio.Task[None] | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._readers: ThreadPoolExecutor | None = None
        self._beginning: asyncio.Future[Desk] | None = None
        self._draining = self._stopping = False
        self._summary: Summary | None = None
        self._last: Progress | None = None
        self.job_id: str | None = None

    @property
    def progress(self) -> Progress | None:
        """The job at this moment; None before it has begun."""
        return self._desk.account.progress(self._desk.clock()) if self._desk is not None else self._last

    @property
    def summary(self) -> Summary:
        """What the job came to. Raises ConfigError before the iteration has ended or was closed."""
        if self._summary is None:
            raise ConfigError("the job has not ended: there is a summary after the last result, or after close()")
        return self._summary

    @property
    def unknown(self) -> tuple[Unsettled, ...]:
        """The requests that the job ended without knowing whether they were accepted."""
        return self.summary.unknown

    def __aiter__(self) -> AsyncIterator[ImageResult]:
        return self._flat()

    async def slices(self) -> AsyncGenerator[Slice, None]:
        """The results in lists of up to a hundred, which costs less than one by one. To be iterated once.

        Raises:
            LedgerError: The ledger cannot be used: held by another process, of other inputs or settings, damaged, or the disk is full.
            ConfigError: An input is wrong.
            CallError, AuthError: The service refuses for a reason that another try does not change. Nothing is lost: resume.
            JobIncomplete: After the last result: those of some requests are missing. Not where a cap, drain() or stop() ended the job.
        """
        if self._beginning is not None or self._ending is not None:
            raise ConfigError("a job is iterated once: make it again to resume it")
        self._beginning = asyncio.ensure_future(self._begin())
        try:
            # A ledger that is being opened in a thread is not left open by a caller who is cancelled: the end waits for it.
            desk = await asyncio.shield(self._beginning)
            delivery = Delivery(desk, self._attempts)
            async with contextlib.aclosing(delivery.by_input() if self._in_order else delivery.by_completion()) as slices:
                async for results in slices:
                    yield results
            desk.delivered = not desk.stopped
        finally:
            await self._end()
        if self._summary is None and desk.failure is not None:
            # All was handed out, but of how it ended there is no word.
            raise desk.failure
        if self._summary is not None and self._summary.end in ("unknown", "unreadable"):
            raise JobIncomplete(unreadable=self._summary.unreadable, unknown=self._summary.unknown)

    async def drain(self, timeout: float | None = None) -> bool:
        """Sends nothing more, and waits until nothing of the job runs at the service; the iteration then ends with what is there.

        Returns:
            Whether that came within `timeout` seconds. What still runs is waited for by the iteration, or by a resume.
        """
        self._draining = True
        desk = self._desk
        if desk is None:
            return True
        desk.drain()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                while not desk.quiet and self._desk is not None:
                    await desk.signal.wait(desk.signal.moment)
        return desk.quiet

    def stop(self) -> None:
        """Ends the iteration without waiting for what runs; a resume takes it up."""
        self._stopping = True
        if self._desk is not None:
            self._desk.stop()

    async def close(self) -> None:
        """Ends the job where it stands. Done by itself when the iteration ends."""
        self.stop()
        await self._end()

    async def __aenter__(self) -> AnnotationJob:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _flat(self) -> AsyncGenerator[ImageResult, None]:
        async with contextlib.aclosing(self.slices()) as slices:
            async for results in slices:
                for result in results:
                    yield result

    async def _begin(self) -> Desk:
        self._readers = ThreadPoolExecutor(2, "vision-grpc-results")
        service = self._service(self._readers)
        check_version(self._making, service)
        if self._inputs is None and not self._ledger.path.exists():
            raise LedgerError(f"there is no ledger {self._ledger.path} to resume from: name the inputs")
        settings = job_settings(self._output, self._size, self._making, service.version)
        await asyncio.get_running_loop().run_in_executor(self._readers, self._ledger.begin, settings)
        try:
            self._desk = desk = Desk(self._ledger, service, self._output, self._rest)
        except BaseException:
            self._ledger.close()
            raise
        self.job_id = desk.job
        # Asked for before there was anything to drain or stop.
        if self._draining:
            desk.drain()
        if self._stopping:
            desk.stop()
        desk.restore()
        desk.telemetry.event("a job resumes" if self._ledger.resumed else "a job begins", ledger=str(self._ledger.path))
        self._sender = Sender(desk, self._limits, self._making, self._patience)
        settler = Settler(desk, self._grace, self._patience, self._resubmit)
        self._sending = asyncio.create_task(desk.guard(self._sender.run()))
        others = plan_all(desk, self._inputs, self._size, self._making.template), watch(desk), settler.run()
        self._tasks = [self._sending, *(asyncio.create_task(desk.guard(work)) for work in others)]
        return desk

    def _service(self, readers: ThreadPoolExecutor) -> Service:
        if not isinstance(self._client, AsyncClient):
            return self._client
        target = self._client.target
        objects = self._objects or open_objects(self._output, emulator="" if target.secure else str(target))[0]
        return ClientService(self._client, objects, readers, self._submit_timeout)

    async def _end(self) -> None:
        # A generator that is left by `break` is closed by a task of its own, beside close(): both wait for one end.
        if self._ending is None:
            self._ending = asyncio.ensure_future(self._finish())
        await asyncio.shield(self._ending)

    async def _finish(self) -> None:
        if self._beginning is not None:
            await asyncio.gather(self._beginning, return_exceptions=True)
        desk, self._desk = self._desk, None
        if desk is not None:
            self._last = desk.account.progress(desk.clock())
            desk.stop()
            calls: Collection[asyncio.Task[None]] = self._sender.calls if self._sender else ()
            # A request whose intent is being written is still sent, and one that is being sent gets its answer: each saves a doubt.
            if self._sending is not None:
                await asyncio.wait([self._sending], timeout=_CLOSING)
            if calls:
                await asyncio.wait(calls, timeout=_CLOSING)
            tasks = [*self._tasks, *calls]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            try:
                self._summary = await desk.sum_up()
            finally:
                await desk.close()
        if self._readers is not None:
            # Where all was delivered they have nothing left to do; what is being read for a job that was left ends by itself.
            self._readers.shutdown(wait=desk is not None and desk.delivered, cancel_futures=True)


def run_job(inputs: JobInputs | None, *, client: AsyncClient, **settings: Any) -> JobRun:
    """Runs a job for a program without an event loop; iterate over what it returns, and close it or use it as a context manager.

    Args:
        inputs, settings: As for `AnnotationJob`.
        client: Used by the job's own thread, and closed with the job.
    """
    job = AnnotationJob(inputs, client=client, **settings)
    return JobRun(job, client.close)
