"""Following a watch stream until its resource has come to rest."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from whodex.errors import CancelledCallError, DeadlineExceededError, ResourceExhaustedError, UnavailableError
from whodex.v1 import error_reason_pb2

StateT = TypeVar("StateT")

# A server that restarts is back within seconds; asking more often would not bring it back sooner.
REOPEN_SECONDS = 1.0
# After this long without a word from the server it is not restarting, it is gone.
OUTAGE_SECONDS = 30.0


def wait_until(
    watch: Callable[[float], Iterator[StateT]],
    settled: Callable[[StateT], bool],
    *,
    timeout_seconds: float,
    on_change: Callable[[StateT], None] | None = None,
) -> StateT:
    """Returns the first state that is settled. A watch that breaks off is opened again.

    Args:
        watch: opens the stream with a deadline in seconds; it begins with the current state.
        settled: whether a state is what is waited for.
        timeout_seconds: how long to wait in all.
        on_change: is shown every state, the last one included.

    Raises:
        DeadlineExceededError: the time is over.
        UnavailableError: the server has been away for half a minute.
        ResourceExhaustedError: it has refused for half a minute.
        WhodexError: the resource is gone, or the server refuses.
    """
    started = heard = time.monotonic()
    while (remaining := started + timeout_seconds - time.monotonic()) > 0:
        try:
            for state in watch(remaining):
                heard = time.monotonic()
                if on_change:
                    on_change(state)
                if settled(state):
                    return state
        except (CancelledCallError, DeadlineExceededError):
            # The server stops, or gives streams less time than we have; the next round tells.
            heard = time.monotonic()
        except (UnavailableError, ResourceExhaustedError):
            if time.monotonic() - heard > OUTAGE_SECONDS:
                raise
        time.sleep(min(REOPEN_SECONDS, max(0.0, started + timeout_seconds - time.monotonic())))
    raise DeadlineExceededError(
        f"Not finished within {timeout_seconds:g} s. The server goes on with it: wait again to see the end.",
        reason=error_reason_pb2.ERROR_REASON_DEADLINE_PASSED,
    )
