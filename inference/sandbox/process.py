"""The worker's side of the zygote and of its children, whatever they decode."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final, TypeVar

from pydantic import TypeAdapter

from inference.sandbox.errors import SandboxError
from inference.sandbox.lockdown import Layer
from inference.sandbox.messages import EXITED, READY, Exited, Fork, Message, ProtocolError, receive, send

KindT = TypeVar("KindT")

START_SECONDS: Final = 60
"""The zygote imports what decodes: 0.4 s of CPU, on a machine that may be starting everything else."""
EXIT_SECONDS: Final = 10
"""Until a child that was killed is gone."""
_ENVIRONMENT = ("LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "PYTHONPATH", "TMPDIR")
"""What Python may need to start. Decoders get no more: a service's environment holds its secrets."""
_TUNING = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"}
"""A process that forks must have one thread; each further arena of glibc's would reserve 64 MiB of address space."""


class ChildDiedError(Exception):
    """A child has ended by itself, and `Child.end` says how."""


class Child:
    """A locked-down process.

    Args:
        work: what it is asked and answers.
        life: it is killed when this is closed.
    """

    def __init__(self, work: socket.socket, life: socket.socket) -> None:
        self._work = work
        self._life = life

    def ask(self, request: Message, descriptors: Sequence[int] = ()) -> None:
        """Sends a request.

        Raises:
            ChildDiedError: it has ended.
        """
        try:
            send(self._work, request, descriptors)
        except ConnectionError as error:
            raise ChildDiedError from error

    def answer(self, kinds: TypeAdapter[KindT], max_seconds: float) -> KindT:
        """Waits for what it says next.

        Raises:
            TimeoutError: that takes longer.
            ProtocolError: it says what it cannot say.
            ChildDiedError: it has ended.
        """
        self._work.settimeout(max_seconds)
        try:
            return receive(self._work, kinds)
        except ConnectionError as error:
            raise ChildDiedError from error

    def end(self) -> Exited:
        """Kills it if it still runs, and waits until it is gone.

        Raises:
            SandboxError: its zygote is gone, and does not say how it ended.
        """
        self._life.settimeout(EXIT_SECONDS)
        try:
            self._life.shutdown(socket.SHUT_WR)
            return receive(self._life, EXITED)
        except (OSError, ProtocolError) as error:
            raise SandboxError(f"the decoders' sandbox was lost: {error}") from error


class Zygote:
    """A running zygote.

    Raises:
        SandboxError: it does not start; its own words are in the log.
    """

    def __init__(self) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "inference.sandbox", str(theirs.fileno())],
                env=environment | _TUNING,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        self.missing_layers = self._wait_until_ready()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @contextmanager
    def forked(self, max_cpu_seconds: int) -> Iterator[Child]:
        """Yields a new child, which ends with the block.

        Args:
            max_cpu_seconds: of all its threads together; beyond, the kernel kills it.

        Raises:
            SandboxError: the zygote is gone.
        """
        with _socket_pair() as (work, childs_work), _socket_pair() as (life, zygotes_life):
            try:
                send(
                    self._control, Fork(max_cpu_seconds=max_cpu_seconds), [childs_work.fileno(), zygotes_life.fileno()]
                )
            except OSError as error:
                raise SandboxError(f"the decoders' sandbox is gone: {error}") from error
            # Only the child holds the other ends, so that its end is seen.
            childs_work.close()
            zygotes_life.close()
            yield Child(work, life)

    def is_alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def close(self) -> None:
        """Ends it, and with it every child."""
        self._control.close()
        self._process.wait()

    def _wait_until_ready(self) -> frozenset[Layer]:
        self._control.settimeout(START_SECONDS)
        try:
            ready = receive(self._control, READY)
        except (OSError, ProtocolError) as error:
            self._process.kill()
            code = self._process.wait()
            self._control.close()
            raise SandboxError(f"the decoders' sandbox does not start: {error} (exit code {code})") from error
        self._control.settimeout(None)
        return ready.missing_layers


@contextmanager
def _socket_pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        yield ours, theirs
