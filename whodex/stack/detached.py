"""Starts a stack in the background."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable

from whodex.stack.errors import StackError
from whodex.stack.state import StackRecord, StateDirectory

POLL_SECONDS = 0.1
OUTPUT = "supervisor"
ERRORS = "supervisor.errors"


def start(state: StateDirectory, observe: Callable[[StackRecord], None], *, encrypted: bool = False) -> None:
    """Starts `whodex up` in a session of its own and returns once the stack is ready.

    Args:
        state: the directory that holds the stack's data.
        observe: sees the record after each change.
        encrypted: the parts speak TLS.

    Raises:
        AlreadyRunningError: another supervisor holds the directory.
        StackError: the stack did not start; the message is what the background process said.
    """
    state.create()
    # The background process would find that out too, but not before its output has replaced the running one's.
    state.refuse_if_running()
    command = [sys.executable, "-m", "whodex.stack", "up", "--state-dir", str(state.root)]
    with state.log(OUTPUT).open("w") as output, state.log(ERRORS).open("w") as errors:
        supervisor = subprocess.Popen(
            [*command, "--tls"] if encrypted else command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            start_new_session=True,
        )
    try:
        _wait_until_ready(state, supervisor, observe)
    except KeyboardInterrupt:
        supervisor.send_signal(signal.SIGTERM)
        supervisor.wait()
        raise


def _wait_until_ready(
    state: StateDirectory, supervisor: subprocess.Popen[bytes], observe: Callable[[StackRecord], None]
) -> None:
    while True:
        record = state.record()
        if record is not None and record.pid == supervisor.pid:
            observe(record)
            if record.ready_at is not None:
                return
        if supervisor.poll() is not None:
            raise StackError(state.log(ERRORS).read_text(encoding="utf-8", errors="replace").strip())
        time.sleep(POLL_SECONDS)
