"""A file and a server that must hear of nobody."""

from __future__ import annotations

import ctypes
import os
import select
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.hostile.files import Bait
from tests.hostile.videos import video

# <sys/inotify.h>
_IN_ACCESS, _IN_OPEN = 0x1, 0x20


@dataclass(frozen=True)
class Canary:
    """Names for hostile files, and whether anybody has followed them."""

    bait: Bait
    server: socket.socket
    watch: int

    def heard(self) -> list[str]:
        """What has been touched since it was asked last."""
        touched = []
        while select.select([self.server], [], [], 0)[0]:
            self.server.accept()[0].close()
            touched.append("a connection")
        while select.select([self.watch], [], [], 0)[0]:
            os.read(self.watch, 4096)
            touched.append("an open file")
        return touched


@contextmanager
def canary(folder: Path) -> Iterator[Canary]:
    """A video that can be read, and a port of this machine."""
    path = folder / "canary.mp4"
    path.write_bytes(video())
    libc = ctypes.CDLL(None, use_errno=True)
    watch = libc.inotify_init1(os.O_NONBLOCK)
    assert watch >= 0
    assert libc.inotify_add_watch(watch, os.fsencode(path), _IN_OPEN | _IN_ACCESS) >= 0
    with socket.create_server(("127.0.0.1", 0)) as server:
        try:
            yield Canary(Bait(str(path), f"127.0.0.1:{server.getsockname()[1]}"), server, watch)
        finally:
            os.close(watch)
