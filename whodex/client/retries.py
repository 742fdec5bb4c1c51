"""Calling again when the server says when: a call that it refused for being one too many has not run."""

from __future__ import annotations

import random
import time

from whodex.errors import ResourceExhaustedError, WhodexError

ATTEMPTS = 4
# Those who were refused at once shall not come back at once.
JITTER = 0.5


class Patience:
    """The attempts of one call, within its deadline.

    Args:
        timeout_seconds: the deadline of all attempts together.
    """

    def __init__(self, timeout_seconds: float) -> None:
        self._deadline = time.monotonic() + timeout_seconds
        self._attempts_left = ATTEMPTS

    def remaining_seconds(self) -> float:
        """Begins an attempt; returns its deadline."""
        self._attempts_left -= 1
        return max(self._deadline - time.monotonic(), 0.001)

    def give_up(self) -> None:
        """What has been answered in part is not called again."""
        self._attempts_left = 0

    def wait_after(self, error: WhodexError) -> None:
        """Waits as long as the server asks for, and up to half as long again; or raises the error.

        It raises what is not about waiting, what the last attempt ends in, and what would outlast the deadline.
        """
        asked_seconds = error.retry_after_seconds if isinstance(error, ResourceExhaustedError) else None
        if asked_seconds is None or self._attempts_left == 0:
            raise error
        pause_seconds = asked_seconds * random.uniform(1, 1 + JITTER)  # noqa: S311 - jitter is no secret
        if time.monotonic() + pause_seconds >= self._deadline:
            raise error
        time.sleep(pause_seconds)
