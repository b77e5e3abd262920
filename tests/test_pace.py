"""How fast requests go: never above the quota, slower when refused, faster again when not."""

from __future__ import annotations

import bisect
import random

import pytest

from vision_grpc._job.pace import Pace


def sends(pace: Pace, seconds: float, pauses: random.Random | None = None) -> list[float]:
    """When requests go in so many seconds, where the sender is always ready, or sometimes busy."""
    now, times = 0.0, []
    while now < seconds:
        if pauses and pauses.random() < 0.01:
            now += pauses.uniform(0, 90)
        if (wait := pace.wait(now)) > 0:
            now += wait
            continue
        pace.sent(now)
        times.append(now)
    return times


@pytest.mark.parametrize("quota", [1, 2, 7, 59, 60, 61, 100, 600, 1800, 5000])
def test_quota_holds_in_any_minute(quota: int) -> None:
    """No sixty seconds, wherever they begin, see more than the quota, also after pauses; and nearly all of it is used."""
    times = sends(Pace(quota), 600, random.Random(quota))
    assert max(bisect.bisect_left(times, start + 60) - place for place, start in enumerate(times)) <= quota
    steady = sends(Pace(quota), 600)
    assert len(steady) >= 0.98 * quota * 10


@pytest.mark.parametrize("quota", [1, 2, 7, 60, 100, 1800])
def test_quota_holds_over_resumes(quota: int) -> None:
    """A pace that is told what was sent in the minute before keeps the quota as if it had sent that itself."""
    draw = random.Random(quota)
    times: list[float] = []
    now = 0.0
    for _ in range(60):
        pace = Pace(quota)
        pace.resume([moment for moment in times if moment > now - 60])
        end = now + draw.uniform(0, 20)
        while (wait := pace.wait(now)) + now < end:
            now += wait
            pace.sent(now)
            times.append(now)
        now = end
    assert max(bisect.bisect_left(times, start + 60) - place for place, start in enumerate(times)) <= quota
    assert len(times) >= 0.9 * quota * now / 60 - 1


def test_resume_with_a_smaller_quota_waits_a_minute_at_most() -> None:
    """What was sent under a larger quota holds up a smaller one for a minute, not for the time that it would have taken under it."""
    pace = Pace(2)
    pace.resume([moment / 30 for moment in range(1800)])
    assert 50 < pace.wait(60.0) <= 60.0


def test_refusal_halves_the_pace_once_a_second() -> None:
    """A burst of refusals is one cut; a later one cuts again; acceptance brings the pace back."""
    pace = Pace(600)
    for _ in range(10):
        pace.refused(100.0)
    assert pace.share == 0.5
    assert pace.wait(100.0) > 0
    pace.refused(101.5)
    assert pace.share == 0.25
    for second in range(102, 180):
        pace.accepted(float(second))
    assert pace.share == 1.0
    assert pace.refused_since is None


def test_hold_grows_and_obeys_the_server() -> None:
    """Each further refusal in a row holds all sending for longer, to a minute; what the server asks for is kept."""
    pace = Pace(600)
    now, holds = 0.0, []
    for _ in range(12):
        pace.refused(now)
        holds.append(pace.wait(now))
        now += holds[-1]
    assert holds == sorted(holds)
    assert holds[0] == pytest.approx(0.5)
    assert holds[-1] == pytest.approx(60.0)
    pace.refused(now, 300.0)
    assert pace.wait(now) == pytest.approx(300.0)
    assert pace.refused_since == 0.0


def test_slowest_pace_still_moves() -> None:
    """However often it is refused, a pace never stops for good."""
    pace = Pace(1800)
    for second in range(0, 2000, 2):
        pace.refused(float(second))
    pace.accepted(3000.0)
    pace.sent(3000.0)
    assert 0 < pace.wait(3000.0) <= 60
