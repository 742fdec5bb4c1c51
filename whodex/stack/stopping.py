"""Stops a stack from another process."""

from __future__ import annotations

import contextlib
import os
import signal
import time

from whodex.stack.errors import StackError
from whodex.stack.leftovers import end_leftovers
from whodex.stack.state import StateDirectory

# Longer than the parts' own grace periods, one after the other along the longest chain.
STOP_SECONDS = 90.0
POLL_SECONDS = 0.1


def stop(state: StateDirectory) -> bool:
    """Stops the stack and what an earlier, killed supervisor may have left; returns whether one was running.

    Raises:
        StackError: the supervisor did not finish in time; it and its parts have been killed.
    """
    pid = state.supervisor_pid()
    if pid is not None:
        _signal(pid, signal.SIGTERM)
    stopped = _wait_until_released(state)
    if pid is not None and not stopped:
        _signal(pid, signal.SIGKILL)
    record = state.record()
    if record is not None:
        end_leftovers(record)
    if not stopped:
        raise StackError(f"The stack (pid {pid}) did not stop within {STOP_SECONDS:g} s and was killed.")
    return pid is not None


def _signal(pid: int, number: signal.Signals) -> None:
    # It may have finished since it was seen.
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _wait_until_released(state: StateDirectory) -> bool:
    deadline = time.monotonic() + STOP_SECONDS
    while state.supervisor_pid() is not None:
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True
