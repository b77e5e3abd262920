"""A job in virtual time against a service that watches its quotas: benchmarks/job.py, on a small scale."""

from __future__ import annotations

import pytest

from benchmarks.job import REQUESTS_PER_MINUTE, simulate


@pytest.mark.parametrize(("images", "size", "seconds"), [(60_000, 1_500, 60.0), (4_200, 2, 0.5)])
def test_quotas_hold_at_every_virtual_moment(images: int, size: int, seconds: float) -> None:
    """Neither requests a minute nor images in processing exceed the quota, and each is used where it is what limits."""
    table = simulate(images, size, seconds)
    figures = table.row("AnnotationJob").figures
    assert all(target.met for target in table.targets), table.targets
    assert figures["most images in processing"] <= 8_000
    if size == 2:
        assert 0.9 * REQUESTS_PER_MINUTE <= figures["most requests in 60 s"] <= REQUESTS_PER_MINUTE
    else:
        assert figures["most images in processing"] >= 7_500
