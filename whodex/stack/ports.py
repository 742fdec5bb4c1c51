"""A block of free ports on loopback, one stack to a block."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from whodex.stack.errors import StackError

LOOPBACK = "127.0.0.1"
# Below Linux's ephemeral range (32768 and up): no outgoing connection can take a port between check and use.
FIRST_PORT = 7700
BLOCK_STEP = 20
BLOCKS = 100


@contextmanager
def claimed_ports(names: Sequence[str]) -> Iterator[dict[str, int]]:
    """Assigns consecutive ports to the names, from 7700 on or from the first block that is free.

    The block stays claimed inside the context, also while nothing listens yet, so that two stacks that start
    at the same time cannot choose the same one.

    Raises:
        StackError: a hundred blocks are all in use.
    """
    for first in range(FIRST_PORT, FIRST_PORT + BLOCKS * BLOCK_STEP, BLOCK_STEP):
        ports = {name: first + offset for offset, name in enumerate(names)}
        with socket.socket(socket.AF_UNIX) as claim:
            if _claim(claim, first) and all(_is_free(port) for port in ports.values()):
                yield ports
                return
    last = FIRST_PORT + BLOCKS * BLOCK_STEP - 1
    raise StackError(f"No {len(names)} consecutive free ports between {FIRST_PORT} and {last} on {LOOPBACK}.")


def _claim(claim: socket.socket, first: int) -> bool:
    # An abstract Unix socket lives in the same network namespace as the ports and dies with its process.
    return _binds(claim, f"\0whodex-ports-{first}")


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET) as probe:
        # Without this, connections of a stack that has just stopped (TIME_WAIT) count as taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return _binds(probe, (LOOPBACK, port))


def _binds(unbound: socket.socket, address: str | tuple[str, int]) -> bool:
    try:
        unbound.bind(address)
    except OSError as error:
        if error.errno in {errno.EADDRINUSE, errno.EACCES}:
            return False
        raise
    return True
