"""The server's time: the system's, or a virtual one that a test moves by hand.

All that the server waits for by the clock (an operation that lasts, a delayed reply, the timeout of WaitOperation) goes
through here. A call's own gRPC deadline does not: it belongs to the client and is always real.
"""

import asyncio
import concurrent.futures
import contextlib
import math
import threading
import time
from dataclasses import dataclass
from typing import Protocol


class Clock(Protocol):
    """What the server asks of a clock: Unix seconds, and a wait."""

    def time(self) -> float: ...

    async def sleep(self, seconds: float) -> None: ...


class SystemClock:
    """Real time."""

    def time(self) -> float:
        return time.time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


@dataclass(eq=False, slots=True)
class _Sleeper:
    due: float
    future: asyncio.Future[None]


class VirtualClock:
    """Time that stands still until :meth:`advance`: an operation of an hour takes none.

    Args:
        start: where time stands at first, in Unix seconds.
    """

    def __init__(self, start: float = 1_800_000_000.0) -> None:
        self._now = start
        self._sleepers: list[_Sleeper] = []
        self._lock = threading.Lock()

    def time(self) -> float:
        return self._now

    async def sleep(self, seconds: float) -> None:
        sleeper = _Sleeper(0.0, asyncio.get_running_loop().create_future())
        with self._lock:
            sleeper.due = self._now + seconds
            if seconds <= 0:
                return
            self._sleepers.append(sleeper)
        try:
            await sleeper.future
        finally:
            with self._lock, contextlib.suppress(ValueError):
                self._sleepers.remove(sleeper)

    def advance(self, seconds: float) -> None:
        """Moves time on, waking in their order all that sleep until then, also those who fall asleep again on the way.

        To be called from any thread but the server's own. What was woken has run when this returns, up to work that it
        handed to other threads: annotating images takes real time.

        Raises:
            ValueError: seconds is negative, or no finite number.
        """
        if not 0 <= seconds < math.inf:
            raise ValueError(f"Time does not go back, nor to its end: advance() takes seconds of at least 0, not {seconds}.")
        target = self._now + seconds
        while True:
            with self._lock:
                due = min((sleeper.due for sleeper in self._sleepers), default=target + 1)
                self._now = max(self._now, min(due, target))
                woken = [sleeper for sleeper in self._sleepers if sleeper.due <= self._now]
                self._sleepers = [sleeper for sleeper in self._sleepers if sleeper.due > self._now]
            if not woken:
                return
            for sleeper in woken:
                _wake(sleeper.future)


def _wake(future: asyncio.Future[None]) -> None:
    done: concurrent.futures.Future[None] = concurrent.futures.Future()

    def settle(turns: int) -> None:
        if not future.done():
            future.set_result(None)
        # The sleeper's own task, and those that wait for it, need some turns of the loop to reach their next wait.
        if turns:
            future.get_loop().call_soon(settle, turns - 1)
        else:
            done.set_result(None)

    # A loop that is closed has no sleepers left to wake; one that is closing may drop the callback.
    with contextlib.suppress(RuntimeError, TimeoutError):
        future.get_loop().call_soon_threadsafe(settle, 8)
        done.result(timeout=60)
