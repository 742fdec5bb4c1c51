"""What a decoder gives up. Some layers are not on every machine; the others hold without them."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import tempfile
from enum import StrEnum
from pathlib import Path

from inference.sandbox import landlock, libc, seccomp

MAX_MEMORY_BYTES = 3 * 2**29
"""1.5 GiB for everything: the libraries, the file, the pixels."""
LIBRARY_BYTES = 64 * 2**20
"""What of the libraries is touched, and so takes memory, by decoding only. Measured: up to 30 MiB."""
MAX_OPEN_FILES = 16

# <sched.h>
_NEW_NAMESPACES = 0x10000000 | 0x40000000 | 0x08000000 | 0x04000000 | 0x00020000
"""CLONE_NEWUSER, NEWNET, NEWIPC, NEWUTS and NEWNS."""
_CAPABILITY_VERSION_3 = 0x20080522
"""<linux/capability.h>"""


class Layer(StrEnum):
    """A layer that some machines do not have."""

    SECCOMP = "seccomp"
    LANDLOCK = "Landlock"
    NAMESPACES = "namespaces"


def isolate() -> frozenset[Layer]:
    """Takes the network, the files and all privileges from this process and its children, once for all files.

    No thread may run yet, and whatever is to be imported must have been.

    Returns:
        The layers that this machine lacks, `Layer.SECCOMP` included, which `lock_down` applies.

    Raises:
        OSError: the kernel refuses what every kernel can.
    """
    missing = set()
    try:
        _enter_namespaces()
    except OSError:
        missing.add(Layer.NAMESPACES)
    libc.prctl(libc.PR_SET_NO_NEW_PRIVS, 1)
    _drop_capabilities()
    try:
        landlock.restrict()
    except OSError:
        missing.add(Layer.LANDLOCK)
    if not seccomp.is_available():
        missing.add(Layer.SECCOMP)
    return frozenset(missing)


def address_space_limit() -> int:
    """Returns the bytes of address space with which this process, as it is now, stays below `MAX_MEMORY_BYTES`.

    Most of what is mapped at the start are libraries whose pages are never touched.
    """
    total, resident = Path("/proc/self/statm").read_text(encoding="ascii").split()[:2]
    untouched = (int(total) - int(resident)) * resource.getpagesize()
    return MAX_MEMORY_BYTES + untouched - LIBRARY_BYTES


def lock_down(parent_pid: int, max_address_space: int, max_cpu_seconds: int, missing: frozenset[Layer]) -> None:
    """Sets this process's limits and leaves it the system calls that decoding takes.

    Args:
        parent_pid: the process that this one dies with.
        max_address_space: in bytes, see `address_space_limit`.
        max_cpu_seconds: of all threads together.
        missing: what `isolate` returned.

    Raises:
        OSError: the kernel refuses what it could at `isolate`.
    """
    # Other processes of this user must not look inside, nor does a crash leave the picture on the disk.
    libc.prctl(libc.PR_SET_DUMPABLE, 0)
    libc.prctl(libc.PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:
        os._exit(1)
    # SIGXCPU first: a kill would look like the one of a machine without memory.
    resource.setrlimit(resource.RLIMIT_CPU, (max_cpu_seconds, max_cpu_seconds + 1))
    for limit, value in (
        (resource.RLIMIT_AS, max_address_space),
        (resource.RLIMIT_NOFILE, MAX_OPEN_FILES),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (value, value))
    if Layer.SECCOMP not in missing:
        seccomp.restrict()


def _enter_namespaces() -> None:
    # The root will be a folder that is empty and gone.
    root = Path(tempfile.mkdtemp())
    os.chdir(root)
    root.rmdir()
    libc.call("unshare", _NEW_NAMESPACES)
    os.chroot(".")


class _CapabilityHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


def _drop_capabilities() -> None:
    none = (ctypes.c_uint32 * 6)()
    libc.call("capset", ctypes.byref(_CapabilityHeader(_CAPABILITY_VERSION_3, 0)), none)
