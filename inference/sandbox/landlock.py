"""Landlock with no rules: no file can be opened, made or removed, no TCP port bound or connected to.

See https://docs.kernel.org/userspace-api/landlock.html; the constants are from <linux/landlock.h>.
"""

from __future__ import annotations

import ctypes
import os

from inference.sandbox import libc

_CREATE_RULESET, _RESTRICT_SELF = 444, 446
"""System call numbers, the same on every architecture."""
_CREATE_RULESET_VERSION = 1

_FILE_ACCESS_BITS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
"""How many kinds of access to files a version knows; none was added after the fifth."""
_NETWORK_SINCE, _NETWORK_BITS = 4, 2
_SCOPED_SINCE, _SCOPED_BITS = 6, 2


class _Ruleset(ctypes.Structure):
    _fields_ = (
        ("handled_access_fs", ctypes.c_uint64),
        ("handled_access_net", ctypes.c_uint64),
        ("scoped", ctypes.c_uint64),
    )


def restrict() -> None:
    """Forbids this thread, and every process it makes, whatever the kernel's Landlock can forbid.

    Raises:
        OSError: the kernel has no Landlock, or it is switched off.
    """
    version = libc.call("syscall", _CREATE_RULESET, None, 0, _CREATE_RULESET_VERSION)
    ruleset = _Ruleset(handled_access_fs=_bits(_FILE_ACCESS_BITS[min(version, max(_FILE_ACCESS_BITS))]))
    size = ctypes.sizeof(ctypes.c_uint64)
    if version >= _NETWORK_SINCE:
        ruleset.handled_access_net = _bits(_NETWORK_BITS)
        size += ctypes.sizeof(ctypes.c_uint64)
    if version >= _SCOPED_SINCE:
        ruleset.scoped = _bits(_SCOPED_BITS)
        size += ctypes.sizeof(ctypes.c_uint64)
    descriptor = libc.call("syscall", _CREATE_RULESET, ctypes.byref(ruleset), size, 0)
    try:
        libc.call("syscall", _RESTRICT_SELF, descriptor, 0)
    finally:
        os.close(descriptor)


def _bits(count: int) -> int:
    return (1 << count) - 1
