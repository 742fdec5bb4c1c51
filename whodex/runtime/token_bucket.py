"""A rate with a burst: https://en.wikipedia.org/wiki/Token_bucket."""

from __future__ import annotations


class TokenBucket:
    """Fills at a rate up to a burst; each call takes one token.

    Args:
        rate_per_second: tokens that come in a second, above 0.
        burst: tokens that it holds at most, and holds at first; at least 1.
        now: seconds on any clock that never goes back; the same as in `take`.
    """

    def __init__(self, rate_per_second: float, burst: float, now: float) -> None:
        self._rate_per_second = rate_per_second
        self._burst = burst
        self._tokens = burst
        self._filled_at = now

    def take(self, now: float) -> float:
        """Takes a token; returns 0, or how many seconds it takes until there is one, and then takes none."""
        wait_seconds = self.wait_seconds(now)
        if wait_seconds == 0:
            self._tokens -= 1
        return wait_seconds

    def wait_seconds(self, now: float) -> float:
        """The seconds until there is a token; 0: there is one."""
        self._tokens = min(self._burst, self._tokens + (now - self._filled_at) * self._rate_per_second)
        self._filled_at = now
        return max(0.0, (1 - self._tokens) / self._rate_per_second)
