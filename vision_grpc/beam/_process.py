"""What the stages of one worker process share: a client on an event loop of its own, the quota's share, and operations that are awaited.

One loop, in one thread, sends for every bundle of the process and waits for all of its operations together; no bundle does.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Collection, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import grpc

from vision_grpc._calls import retry_after
from vision_grpc._job.pace import Pace
from vision_grpc._job.service import ClientService, list_operations
from vision_grpc._job.settle import Doubt, Listing
from vision_grpc._job.telemetry import trace_metadata
from vision_grpc._ledger.rows import Row, State
from vision_grpc.beam._claims import claimed
from vision_grpc.errors import AuthError, CallError
from vision_grpc.objects import open_objects

if TYPE_CHECKING:
    from vision_grpc import v1
    from vision_grpc.beam._settings import Settings
    from vision_grpc.requests import AsyncRequest

_T = TypeVar("_T")

_log = logging.getLogger("vision_grpc.beam")

_LISTING_AGE = 1.0
_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class Refusal:
    """A submit that the service took nothing of, for now; `patient` is False where that has lasted too long."""

    error: CallError | AuthError
    patient: bool


class Process:
    """The one instance that a process has for each AnnotateImages; get it with `enter`, give it back with `leave`."""

    _entered: ClassVar[dict[str, tuple[Process, int]]] = {}
    _door = threading.Lock()

    @classmethod
    def enter(cls, settings: Settings) -> Process:
        with cls._door:
            process, users = cls._entered.get(settings.token) or (cls(settings), 0)
            cls._entered[settings.token] = (process, users + 1)
            return process

    @classmethod
    def leave(cls, settings: Settings) -> None:
        with cls._door:
            process, users = cls._entered.pop(settings.token)
            if users > 1:
                cls._entered[settings.token] = (process, users - 1)
                return
        process._close()

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._pace = Pace(max(1, settings.requests_per_minute // settings.workers))
        self._lock = threading.Lock()
        self._changed = threading.Condition()
        self._awaited: set[str] = set()
        self._ended: dict[str, v1.Operation | CallError] = {}
        self._trouble: BaseException | None = None
        self._doubts: dict[tuple[str, frozenset[str], bool], Doubt] = {}
        self._listing: tuple[float, Listing | None] | None = None
        self._lists = True
        parent = settings.making.parent
        self._known = f"{parent}/operations/" if parent else None
        self._client = settings.client()
        target = self._client.target
        self.objects = settings.objects or open_objects(settings.output, emulator="" if target.secure else str(target))[0]
        self._readers = ThreadPoolExecutor(2, "vision-grpc-beam-objects")
        self._loop = asyncio.new_event_loop()
        self._news = asyncio.Event()
        self._watched: set[str] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, name="vision-grpc-beam", daemon=True)
        self._thread.start()
        self.service: ClientService = self._run(self._serve())
        self._watching = asyncio.run_coroutine_threadsafe(self._watch(), self._loop)

    @property
    def polling(self) -> Any:
        return self._client._polling

    def reserve(self) -> float:
        """Seconds until a request may be sent; 0 takes that place in the quota."""
        with self._lock:
            now = time.monotonic()
            pause = self._pace.wait(now)
            if pause <= 0:
                self._pace.sent(now)
            return pause

    def submit(self, request: AsyncRequest, timeout: float) -> str:
        """Sends the request once, within so many seconds; returns the operation's name. Raises CallError, AuthError, ConfigError."""
        name: str = self._run(self.service.submit(request, trace_metadata(), timeout))
        with self._lock:
            self._pace.accepted(time.monotonic())
        return name

    def refused(self, error: CallError | AuthError) -> Refusal:
        """Slows the process down after a submit that could not be taken now."""
        with self._lock:
            now = time.monotonic()
            if isinstance(error, CallError) and error.code is grpc.StatusCode.RESOURCE_EXHAUSTED:
                self._pace.refused(now, retry_after(error))
            else:
                self._pace.held(now)
            since = self._pace.refused_since
            return Refusal(error, since is None or now - since <= self.settings.patience)

    def outcome(self, name: str) -> v1.Operation | CallError | None:
        """The operation's end, or None; from the first time that it is asked for on, the process waits for it.

        An end is kept, for the bundle may be run again. A CallError is told once: who asks again has the service asked again.

        Raises:
            AuthError: There are no usable credentials to ask with.
        """
        with self._changed:
            ended = self._ended.get(name)
            if isinstance(ended, CallError):
                # For the bundle that runs again the service may have another answer.
                del self._ended[name]
            if ended is not None:
                return ended
            if self._trouble is not None:
                trouble, self._trouble = self._trouble, None
                raise trouble
            if name in self._awaited:
                return None
            self._awaited.add(name)
            self._known = name
        self._loop.call_soon_threadsafe(self._await, name)
        return None

    def has_ended(self, name: str | None) -> bool:
        """Whether `outcome` now tells the end of that operation, or raises."""
        return self._trouble is not None or name in self._ended

    def pause(self, seconds: float, names: Collection[str | None]) -> bool:
        """Sleeps, at most until one of these operations has ended; returns whether one has."""
        with self._changed:
            return self._changed.wait_for(lambda: any(map(self.has_ended, names)), seconds)

    def doubt(self, prefix: str, images: int, claims: frozenset[str], *, accepted: bool = False, over: bool = False) -> Doubt:
        """The doubt about a batch, of which this process keeps when it began: the grace is never measured by another's clock.

        It begins now where the batch was accepted, or where it is known to be over with these attempts. Otherwise one of them may
        be sending at this moment, and the doubt begins when none can be any more.
        """
        with self._lock:
            key = (prefix, claims, accepted)
            if key not in self._doubts:
                row = Row(0, None, 1, State.UNKNOWN, 0, images, None, claimed(claims), None, None, None, 0.0)
                sending = 0.0 if accepted or over else self.settings.submit_timeout
                self._doubts[key] = Doubt(row, prefix, time.monotonic() + sending, accepted)
            return self._doubts[key]

    def settled(self, prefix: str) -> None:
        """Forgets the doubts about a batch."""
        with self._lock:
            self._doubts = {key: doubt for key, doubt in self._doubts.items() if key[0] != prefix}

    def listing(self, doubt: Doubt) -> Listing | None:
        """The operations, as of a second ago at most, and not of the doubt's grace where that is over.

        Returns:
            None where the server lists none.

        Raises:
            CallError, AuthError: The listing failed.
        """
        with self._lock:
            if not self._lists:
                return None
            now = time.monotonic()
            over = doubt.since + self.settings.grace
            oldest = max(now - _LISTING_AGE, over if over <= now else 0.0)
            if self._listing is None or self._listing[0] < oldest:
                self._listing = (now, self._run(self._list()))
            return self._listing[1]

    def shards(self, prefix: str) -> list[tuple[int, int]]:
        """The first and last results of each output object under the prefix. Raises ResultsError."""
        shards: list[tuple[int, int]] = self._run(self.service.shards(prefix))
        return shards

    async def _serve(self) -> ClientService:
        return ClientService(self._client, self.objects, self._readers, self.settings.submit_timeout)

    async def _list(self) -> Listing | None:
        try:
            listing = await list_operations(self.service, self._known, lambda prefix: prefix.startswith(self.settings.output))
        except CallError as error:
            if error.transient:
                raise
            _log.warning("the server lists no operations: %s", error)
            self._lists = False
            return None
        with self._changed:
            # What this process waits for, or has waited for, is known to be another batch's.
            return listing.without(self._awaited | self._ended.keys())

    def _await(self, name: str) -> None:
        self.service.watch(name)
        self._watched.add(name)
        self._news.set()

    async def _watch(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            while self._watched:
                try:
                    ended = await self.service.ended()
                except Exception as error:
                    with self._changed:
                        self._trouble = error
                        self._changed.notify_all()
                    continue
                self._watched.difference_update(name for name, _ in ended)
                with self._changed:
                    self._ended.update(ended)
                    while len(self._ended) > _REMEMBERED:
                        del self._ended[next(iter(self._ended))]
                    self._awaited.difference_update(name for name, _ in ended)
                    self._changed.notify_all()

    def _run(self, work: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _close(self) -> None:
        self._watching.cancel()
        self._run(self._client.close())
        self._run(_settle_loop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._readers.shutdown(wait=False, cancel_futures=True)


async def _settle_loop() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.get_running_loop().shutdown_asyncgens()
