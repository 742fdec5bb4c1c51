"""Uploads that outlive a killed server, a lost connection and a command that was stopped."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from whodex import Client
from whodex.stack.smoke_media import clip_path
from whodex.v1.video_pb2 import Video

if TYPE_CHECKING:
    from tests.integration.conftest import Stack

MIB = 1 << 20
SIZE = 192 * MIB


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video that ends in a `free` box (ISO/IEC 14496-12 8.1.2) of many zeros: they are read by nobody."""
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    shutil.copy(clip_path(), path)
    with path.open("ab") as file:
        padding = SIZE - file.tell()
        file.write(struct.pack(">I4s", padding, b"free"))
        file.truncate(SIZE)
    return path


@pytest.fixture
def library(stack: Stack) -> Iterator[str]:
    with Client(state_dir=stack.state.root) as admin:
        name = admin.libraries.create("resumed uploads").name
        yield name
        admin.libraries.delete(name, force=True)


@pytest.fixture
def key(stack: Stack, library: str) -> str:
    with Client(state_dir=stack.state.root) as admin:
        return admin.libraries.create_key(library, "tests").secret


def _folder(stack: Stack, library: str, of: str) -> Path:
    return stack.state.folder("objects") / of / library.removeprefix("libraries/")


def _expect_whole(stack: Stack, library: str, film: Path) -> None:
    (stored,) = [path for path in _folder(stack, library, "uploads").rglob("*") if path.is_file()]
    assert _sha256(stored) == _sha256(film)
    assert [path for path in _folder(stack, library, "partial").rglob("*") if path.is_file()] == []


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class _At(threading.Event):
    """A progress callback that does something once, when so many bytes have been sent."""

    def __init__(self, sent_bytes: int, do: Callable[[], None]) -> None:
        super().__init__()
        self._sent_bytes = sent_bytes
        self._do = do

    def __call__(self, sent: int, _: int) -> None:
        if sent >= self._sent_bytes and not self.is_set():
            self.set()
            # Time for what was sent to be committed.
            time.sleep(1)
            self._do()


def test_an_upload_outlives_a_killed_server(stack: Stack, library: str, key: str, film: Path) -> None:
    def kill() -> None:
        pid = next(part.pid for part in stack.record().parts if part.name == "api_server")
        assert pid is not None
        os.kill(pid, signal.SIGKILL)

    resumed: list[int] = []
    killed = _At(130 * MIB, kill)
    with Client(stack.address, library=library, api_key=key) as client:
        video = client.videos.upload(
            film, progress=killed, on_resume=lambda upload: resumed.append(upload.committed_bytes)
        )
        assert killed.is_set()
        assert all(0 < committed < SIZE for committed in resumed)
        assert resumed
        _expect_whole(stack, library, film)
        assert client.videos.wait_for_video(video.name, timeout_seconds=120).state == Video.STATE_READY
    while stack.whodex("status").returncode:
        time.sleep(0.5)


class _Relay:
    """A way to the server that can be cut."""

    def __init__(self, address: str) -> None:
        host, _, port = address.partition(":")
        self._server = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._listener.getsockname()[1]}"

    def cut(self) -> None:
        """Closes every connection as a line that goes down does."""
        for one in self._open:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Takes no more connections, and ends those that there are."""
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                here, _ = self._listener.accept()
                there = socket.create_connection(self._server)
                self._open += [here, there]
                for pair in ((here, there), (there, here)):
                    threading.Thread(target=self._pump, args=pair, daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(64 * 1024):
                sink.sendall(data)
        for one in (source, sink):
            with suppress(OSError):
                one.close()


def test_an_upload_outlives_its_connections(stack: Stack, library: str, key: str, film: Path) -> None:
    resumed: list[int] = []
    with closing(_Relay(stack.address)) as relay, Client(relay.address, library=library, api_key=key) as client:
        cut = _At(40 * MIB, relay.cut)
        client.videos.upload(film, progress=cut, on_resume=lambda upload: resumed.append(upload.committed_bytes))
    assert cut.is_set()
    assert resumed
    _expect_whole(stack, library, film)


def test_a_command_that_was_stopped_goes_on(stack: Stack, library: str, key: str, film: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "whodex.cli", "video", "add", film, "-o", "json"]
    environment = os.environ | {
        "WHODEX_ADDRESS": stack.address,
        "WHODEX_LIBRARY": library,
        "WHODEX_API_KEY": key,
        "XDG_STATE_HOME": str(tmp_path),
    }
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE) as stopped:
        while sum(path.stat().st_size for path in _folder(stack, library, "partial").glob("*")) < 16 * MIB:
            assert stopped.poll() is None
            time.sleep(0.005)
        stopped.send_signal(signal.SIGINT)
        assert stopped.wait(timeout=30) == 130
    again = subprocess.run(command, env=environment, capture_output=True, encoding="utf-8", timeout=120, check=True)
    assert "film.mp4: resuming at" in again.stderr
    assert "of 192.0 MiB" in again.stderr
    assert json.loads(again.stdout)["video"]["fileName"] == "film.mp4"
    _expect_whole(stack, library, film)
    assert list((tmp_path / "whodex" / "uploads").iterdir()) == []
