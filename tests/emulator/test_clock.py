"""Virtual time."""

import asyncio
import threading
from collections.abc import Iterator

import pytest

from vision_grpc.emulator import SystemClock, VirtualClock


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """An event loop that runs in a thread of its own, as the server's does."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield loop
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def test_sleepers_wake_in_order_also_those_who_sleep_again(loop: asyncio.AbstractEventLoop) -> None:
    """advance() passes every due time on its way, and has run what it woke when it returns."""
    clock, woken = VirtualClock(start=100), list[tuple[str, float]]()

    async def nap(name: str, *seconds: float) -> None:
        for duration in seconds:
            await clock.sleep(duration)
            woken.append((name, clock.time()))

    async def start() -> None:
        for arguments in (("a", 10, 10), ("b", 15), ("c", 100)):
            tasks.append(asyncio.create_task(nap(*arguments)))
        await asyncio.sleep(0)

    tasks: list[asyncio.Task[None]] = []
    asyncio.run_coroutine_threadsafe(start(), loop).result(60)
    clock.advance(30)
    assert woken == [("a", 110), ("b", 115), ("a", 120)]
    assert clock.time() == 130
    clock.advance(70)
    assert woken[-1] == ("c", 200)


def test_a_cancelled_sleeper_is_forgotten(loop: asyncio.AbstractEventLoop) -> None:
    """Time moves on past a sleeper that was cancelled."""
    clock = VirtualClock()

    async def cancelled() -> bool:
        try:
            await asyncio.wait_for(clock.sleep(10), 0.01)
        except TimeoutError:
            return True
        return False

    assert asyncio.run_coroutine_threadsafe(cancelled(), loop).result(60)
    clock.advance(20)


async def test_nothing_to_sleep_returns_at_once() -> None:
    """A sleep of no seconds ends without anybody moving the clock."""
    await VirtualClock().sleep(0)


def test_time_does_not_go_back() -> None:
    """A negative advance is refused, and one after which there would be no time."""
    clock = VirtualClock()
    now = clock.time()
    for seconds in (-1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="does not go back"):
            clock.advance(seconds)
    assert clock.time() == now


async def test_system_time_passes() -> None:
    """The system's clock sleeps at least as long as it is told."""
    clock = SystemClock()
    before = clock.time()
    await clock.sleep(0.02)
    assert clock.time() - before >= 0.015
