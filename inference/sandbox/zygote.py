"""The process that forks decoders: everything is imported once, and nothing of any file is ever in it."""

from __future__ import annotations

import gc
import os
import selectors
import signal
import socket
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from inference.sandbox import child
from inference.sandbox.lockdown import Layer, address_space_limit, isolate, lock_down
from inference.sandbox.messages import LOCKDOWN_FAILED, TO_ZYGOTE, Exited, Ready, receive_with_descriptors, send

_CHILD_FD = 3
"""The only descriptor of a child beside the standard ones, which lead nowhere."""


@dataclass(frozen=True)
class _Child:
    pid: int
    pidfd: int
    life: socket.socket


def main() -> None:
    """Serves the worker at the other end of the socket whose descriptor is the argument, until that closes it."""
    # Whoever stops the worker's group lets it finish what is under way; the end of the socket ends this process.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    with socket.socket(fileno=int(sys.argv[1])) as control, Path(os.devnull).open("r+b") as nowhere:
        child.warm_up()
        # A fork would copy the locks of other threads as they happen to be.
        if threading.active_count() != 1 or len(list(Path("/proc/self/task").iterdir())) != 1:
            sys.exit("the decoders' sandbox cannot fork: a library has started a thread")
        max_address_space = address_space_limit()
        missing = isolate()
        # What is there now stays: no collection shall touch, and so copy, its pages in a child.
        gc.collect()
        gc.freeze()
        send(control, Ready(missing_layers=missing))
        _Zygote(control, nowhere.fileno(), max_address_space, missing).serve()


class _Zygote:
    def __init__(self, control: socket.socket, nowhere: int, max_address_space: int, missing: frozenset[Layer]) -> None:
        self._control = control
        self._nowhere = nowhere
        self._max_address_space = max_address_space
        self._missing = missing
        self._selector = selectors.DefaultSelector()
        self._selector.register(control, selectors.EVENT_READ)

    def serve(self) -> None:
        """Forks, kills and reaps until the worker is gone; then the kernel kills what is left."""
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._control:
                    try:
                        self._fork()
                    except ConnectionError:
                        return
                elif key.fd == key.data.pidfd:
                    self._reap(key.data)
                else:
                    self._kill(key.data)

    def _fork(self) -> None:
        order, (work, life) = receive_with_descriptors(self._control, TO_ZYGOTE)
        parent_pid = os.getpid()
        pid = os.fork()
        if pid == 0:
            self._become_child(work, parent_pid, order.max_cpu_seconds)
        os.close(work)
        forked = _Child(pid, os.pidfd_open(pid), socket.socket(fileno=life))
        self._selector.register(forked.pidfd, selectors.EVENT_READ, forked)
        self._selector.register(forked.life, selectors.EVENT_READ, forked)

    def _become_child(self, work: int, parent_pid: int, max_cpu_seconds: int) -> None:
        code = LOCKDOWN_FAILED
        try:
            for standard in range(_CHILD_FD):
                os.dup2(self._nowhere, standard)
            os.dup2(work, _CHILD_FD)
            os.closerange(_CHILD_FD + 1, os.sysconf("SC_OPEN_MAX"))
            channel = socket.socket(fileno=_CHILD_FD)
            lock_down(parent_pid, self._max_address_space, max_cpu_seconds, self._missing)
            code = 1
            child.serve(channel)
        finally:
            os._exit(code)

    def _kill(self, forked: _Child) -> None:
        if forked.life.fileno() < 0:
            return  # reaped in the same turn
        # The worker sends nothing here: what can be read is the end.
        self._selector.unregister(forked.life)
        signal.pidfd_send_signal(forked.pidfd, signal.SIGKILL)

    def _reap(self, forked: _Child) -> None:
        _, status, usage = os.wait4(forked.pid, 0)
        exited = Exited(
            return_code=os.waitstatus_to_exitcode(status),
            max_rss_bytes=usage.ru_maxrss * 1024,
            cpu_seconds=usage.ru_utime + usage.ru_stime,
        )
        self._selector.unregister(forked.pidfd)
        os.close(forked.pidfd)
        if forked.life in self._selector.get_map():
            self._selector.unregister(forked.life)
        # Not every worker waits for it.
        with forked.life, suppress(OSError):
            send(forked.life, exited)
