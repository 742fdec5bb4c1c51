"""What a locked-down process can still do: each attempt succeeds without the layers, and fails with them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

# Everything at once, as in a decoder, or one layer alone.
LAYERS = {
    "none": "",
    "all": "lockdown.lock_down(os.getppid(), lockdown.address_space_limit(), 60, lockdown.isolate())",
    "seccomp": "libc.prctl(libc.PR_SET_NO_NEW_PRIVS, 1); seccomp.restrict()",
    "landlock": "libc.prctl(libc.PR_SET_NO_NEW_PRIVS, 1); landlock.restrict()",
    "namespaces": "lockdown._enter_namespaces()",
}
FILES = {
    "read a file": "os.open({canary!r}, os.O_RDONLY)",
    "read a file of the system": "os.open('/etc/passwd', os.O_RDONLY)",
    "write a file": "os.open({folder!r} + '/new', os.O_WRONLY | os.O_CREAT)",
    "remove a file": "os.unlink({canary!r})",
    "list a folder": "os.listdir({folder!r})",
    "execute a program": "os.execv('/bin/true', ['true'])",
}
NETWORK = {
    "connect": "sock = socket.socket(); sock.settimeout(2); sock.connect(('127.0.0.1', {port}))",
}
CALLS = {
    "make a socket": "socket.socket()",
    "make a datagram socket": "socket.socket(socket.AF_INET, socket.SOCK_DGRAM)",
    "send a datagram": "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', {port}))",
    "start a process": "os.fork() or os._exit(0)",
    "signal another process": "os.kill({victim}, signal.SIGCONT)",
    "look at another process": "os.pidfd_open({victim})",
    "change its limits": "resource.setrlimit(resource.RLIMIT_CORE, (0, 0))",
    "make memory executable": "mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC)",
    "make a file in memory": "os.memfd_create('x')",
    "make a name in a folder": "os.symlink('x', {folder!r} + '/link')",
}
LIMITS = {
    "take 1.5 GiB of memory": "bytearray(3 * 2**29)",
    "share 1.5 GiB of memory": "mmap.mmap(-1, 3 * 2**29)",
    "write to a file that is open": "os.write(opened, b'x')",
    "open 20 descriptors": "[os.dup(0) for _ in range(20)]",
}
ATTEMPTS = FILES | NETWORK | CALLS | LIMITS
SCRIPT = """
import mmap, os, resource, signal, socket, sys
from inference.sandbox import landlock, libc, lockdown, seccomp
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
opened = os.open({folder!r} + "/opened", os.O_RDWR | os.O_CREAT)
{layers}
try:
    {attempt}
except (OSError, MemoryError, ValueError) as error:
    os.write(1, f"{{type(error).__name__}}: {{error}}".encode())
    os._exit(1)
os._exit(0)
"""


@pytest.fixture
def surroundings(tmp_path: Path) -> Iterator[dict[str, object]]:
    """A file, a server and a process that an attempt may reach."""
    canary = tmp_path / "canary"
    canary.write_text("sings")
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield {
            "canary": str(canary),
            "folder": str(tmp_path),
            "port": server.getsockname()[1],
            "victim": os.getpid(),
        }


def attempt(name: str, layers: str, surroundings: dict[str, object]) -> subprocess.CompletedProcess[bytes]:
    code = ATTEMPTS[name].format(**surroundings)
    script = SCRIPT.format(layers=LAYERS[layers], attempt=code, **surroundings)
    return subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=30, check=False)


@pytest.mark.parametrize("name", ATTEMPTS)
def test_a_process_can_do_it_without_the_layers(name: str, surroundings: dict[str, object]) -> None:
    done = attempt(name, "none", surroundings)
    assert (done.returncode, done.stderr) == (0, b""), done.stdout


@pytest.mark.parametrize("name", ATTEMPTS)
def test_a_decoder_cannot(name: str, surroundings: dict[str, object]) -> None:
    done = attempt(name, "all", surroundings)
    assert (done.returncode, done.stderr) == (1, b""), "it could"
    assert b"Error" in done.stdout


@pytest.mark.parametrize(
    ("layers", "names"),
    [
        ("seccomp", [*FILES, *NETWORK, *CALLS]),
        ("landlock", [*FILES, *NETWORK, "signal another process"]),
        ("namespaces", [*FILES, *NETWORK]),
    ],
)
def test_each_layer_holds_without_the_others(layers: str, names: list[str], surroundings: dict[str, object]) -> None:
    could = [name for name in names if attempt(name, layers, surroundings).returncode != 1]
    assert could == []


def test_computing_time_ends(surroundings: dict[str, object]) -> None:
    layers = LAYERS["all"].replace("60", "1")
    script = SCRIPT.format(layers=layers, attempt="while True: pass", **surroundings)
    done = subprocess.run([sys.executable, "-c", script], timeout=60, check=False)
    assert done.returncode == -signal.SIGXCPU


def test_a_decoder_dies_with_its_parent(tmp_path: Path) -> None:
    # The parent is killed as soon as the child, locked down, waits for ever.
    script = f"""
import os, signal, time
from inference.sandbox import lockdown
parent = os.getpid()
reader, writer = os.pipe()
child = os.fork()
if child == 0:
    lockdown.lock_down(parent, lockdown.address_space_limit(), 60, lockdown.isolate())
    os.write(writer, b"x")
    time.sleep(600)
os.read(reader, 1)
open({str(tmp_path / "pid")!r}, "w").write(str(child))
os.kill(parent, signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", script], check=False, timeout=30)
    child = int((tmp_path / "pid").read_text())

    deadline = time.monotonic() + 10
    while is_running(child):
        assert time.monotonic() < deadline, "it lives on"
        time.sleep(0.01)


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
