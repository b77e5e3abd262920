"""When the next request may be sent: the quota of a minute, slowed by refusals and quickened again. No I/O and no clock here.

All times are seconds of one monotonic clock, given by the caller.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

_LEAST = 1 / 512
_CUT_APART = 1.0
_REGAIN = 0.02
_SLACK = 1e-6
_LONGEST_HOLD = 60.0


@dataclass(slots=True)
class Pace:
    """Spaces requests so that no 60 seconds ever see more than `per_minute` of them.

    Up to a second's worth may go at once. A refusal (RESOURCE_EXHAUSTED) halves the pace, at most once a second, and holds all
    sending for a while that doubles with every refusal in a row, to a minute; while requests are accepted the pace regains 2 % of
    the quota a second.

    Attributes:
        per_minute: The quota.
        share: The part of the quota that is used now, up to 1.
        refused_since: When the service began to refuse every request; None while it accepts.
    """

    per_minute: int
    share: float = 1.0
    refused_since: float | None = None
    _next: float = float("-inf")
    _hold: float = float("-inf")
    _cut: float = float("-inf")
    _accepted: float = float("-inf")
    _refusals: int = 0

    @property
    def _burst(self) -> int:
        return max(1, self.per_minute // 60)

    @property
    def _interval(self) -> float:
        # A burst of b followed by an even flow makes b - 1 + 60 / interval in a minute, which shall be the quota.
        return 60.0 * (1 + _SLACK) / (self.per_minute - self._burst + 1) / self.share

    def wait(self, now: float) -> float:
        """Seconds until a request may be sent, 0 for at once."""
        early = (self._burst - 1) * self._interval if self.share == 1.0 else 0.0
        return max(0.0, self._next - early - now, self._hold - now)

    def resume(self, sent: Iterable[float]) -> None:
        """Takes into account when earlier runs sent in the last minute; in ascending order."""
        for moment in sent:
            self.sent(moment)
            # The quota may have been another: after a minute without a request, none of them counts.
            self._next = min(self._next, moment + 60.0)

    def sent(self, now: float) -> None:
        self._next = max(self._next, now) + self._interval

    def accepted(self, now: float) -> None:
        if self.share < 1.0 and now > self._cut:
            self.share = min(1.0, self.share + _REGAIN * min(now - max(self._accepted, self._cut), 5.0))
        self._accepted = now
        self._refusals = 0
        self.refused_since = None

    def refused(self, now: float, retry_after: float = 0.0) -> None:
        """The service has no room now; `retry_after` is what it asks for itself."""
        self.held(now, retry_after)
        if now - self._cut >= _CUT_APART:
            self.share = max(_LEAST, self.share / 2)
            self._cut = now

    def held(self, now: float, retry_after: float = 0.0) -> None:
        """Nothing can be sent now, for a reason that has nothing to do with the pace."""
        if self.refused_since is None:
            self.refused_since = now
        if now >= self._hold:
            self._refusals += 1
        self._hold = max(self._hold, now + max(retry_after, min(_LONGEST_HOLD, 0.5 * 2.0 ** min(self._refusals - 1, 16))))
