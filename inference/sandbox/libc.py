"""Calls of the C library and the kernel that Python has no function for."""

from __future__ import annotations

import ctypes
import os
from typing import Any

_libc = ctypes.CDLL(None, use_errno=True)

# From <linux/prctl.h>.
PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_SECCOMP = 22
PR_SET_NO_NEW_PRIVS = 38


def call(function: str, *arguments: Any) -> int:
    """Calls a function of the C library that says by -1 that it failed.

    Args:
        function: its name.
        arguments: numbers, or what `ctypes` passes as a pointer.

    Raises:
        OSError: it failed.
    """
    # The kernel reads whole registers: a Python number alone would be passed as a C int.
    passed = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
    result: int = getattr(_libc, function)(*passed)
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, f"{function}: {os.strerror(number)}")
    return result


def prctl(option: int, *arguments: Any) -> None:
    """Sets a property of this process; the arguments that are not given are 0, as some options demand.

    Raises:
        OSError: the kernel does not have the option, or refuses it.
    """
    padding = [0] * (4 - len(arguments))
    call("prctl", option, *arguments, *padding)
