"""Something changed: everybody who waits looks again."""

from __future__ import annotations

import asyncio


class Signal:
    """Wakes all waiters at once.

    Attributes:
        moment: How often it was set. Read it before looking, give it to `wait` after: a change in between is not missed.
    """

    def __init__(self) -> None:
        self.moment = 0
        self._waiters: set[asyncio.Future[None]] = set()

    def set(self) -> None:
        self.moment += 1
        for waiter in self._waiters:
            _wake(waiter)

    async def wait(self, seen: int, timeout: float | None = None) -> None:
        """Returns once it was set after `seen`, or after `timeout` seconds."""
        if self.moment != seen:
            return
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[None] = loop.create_future()
        self._waiters.add(waiter)
        timer = None if timeout is None else loop.call_later(timeout, _wake, waiter)
        try:
            await waiter
        finally:
            self._waiters.discard(waiter)
            if timer is not None:
                timer.cancel()


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
