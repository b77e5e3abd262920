"""Waits for what another thread, task or process brings about, for as long as the slowest machine may take."""

import asyncio
import threading
import time
from collections.abc import Callable

_LONGEST = 60.0
"""Seconds. Only a test that fails waits so long; a machine that is merely busy does not."""


def until(condition: Callable[[], object], what: str) -> None:
    """Returns as soon as the condition holds; fails with `what` never came."""
    tick = threading.Event()
    end = time.monotonic() + _LONGEST
    while not condition():
        assert time.monotonic() < end, f"never came: {what}"
        tick.wait(0.002)


async def auntil(condition: Callable[[], object], what: str) -> None:
    """As `until`, on an event loop that goes on meanwhile."""
    end = time.monotonic() + _LONGEST
    while not condition():
        assert time.monotonic() < end, f"never came: {what}"
        await asyncio.sleep(0.002)
