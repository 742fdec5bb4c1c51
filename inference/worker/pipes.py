"""What the worker's main process and the Celery below it tell each other: two pipes, one in each direction.

A signal would not do: Celery keeps signals from the child that does the work.
"""

from __future__ import annotations

import os
import select
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

_STOP_FD = "WHODEX_WORKER_STOP_FD"
_READY_FD = "WHODEX_WORKER_READY_FD"


@dataclass
class ParentEnds:
    """The main process's side.

    Attributes:
        child_fds: what Celery inherits.
        environment: how Celery finds it.
    """

    child_fds: tuple[int, int]
    environment: dict[str, str]
    _stop_fd: int
    _ready_fd: int

    def request_stop(self) -> None:
        """Ends the work under way; calling it again changes nothing."""
        if self._stop_fd >= 0:
            os.close(self._stop_fd)
            self._stop_fd = -1

    def is_ready(self) -> bool:
        """Whether Celery has said that it consumes."""
        readable, _, _ = select.select([self._ready_fd], [], [], 0)
        return bool(readable)

    def close(self) -> None:
        """Closes this side."""
        self.request_stop()
        os.close(self._ready_fd)


@contextmanager
def opened_pipes() -> Iterator[ParentEnds]:
    """Opens both pipes."""
    stop_read, stop_write = os.pipe()
    ready_read, ready_write = os.pipe()
    environment = {_STOP_FD: str(stop_read), _READY_FD: str(ready_write)}
    ends = ParentEnds((stop_read, ready_write), environment, stop_write, ready_read)
    try:
        yield ends
    finally:
        ends.close()
        for descriptor in ends.child_fds:
            os.close(descriptor)


def announce_ready() -> None:
    """Celery's side: it consumes from now on."""
    os.write(int(os.environ[_READY_FD]), b"ready")


def stop_requested() -> bool:
    """The working child's side: true once the main process wants to stop, or is gone."""
    readable, _, _ = select.select([int(os.environ[_STOP_FD])], [], [], 0)
    return bool(readable)
