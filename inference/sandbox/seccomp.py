"""A list of the system calls that a decoder needs; whatever is not on it fails with EPERM.

See https://docs.kernel.org/userspace-api/seccomp_filter.html. The numbers are those of x86-64 (<asm/unistd_64.h>), the
one processor that Whodex runs on.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from inference.sandbox import libc

# <linux/seccomp.h>, <linux/audit.h>, <linux/bpf_common.h>
_MODE_FILTER = 2
_ALLOW, _ERRNO, _KILL_PROCESS = 0x7FFF0000, 0x00050000, 0x80000000
_AUDIT_ARCH_X86_64 = 0xC000003E
_LOAD, _JUMP_EQUAL, _AND, _RETURN = 0x20, 0x15, 0x54, 0x06
_NUMBER_AT, _ARCH_AT, _ARGUMENTS_AT = 0, 4, 16
"""Offsets in `struct seccomp_data`."""

_CLONE, _CLONE3, _FCNTL, _MMAP, _MPROTECT, _NEWFSTATAT, _TGKILL = 56, 435, 72, 9, 10, 262, 234
_PROT_EXEC = 0x4
_CLONE_THREAD = 0x10000
_AT_EMPTY_PATH = 0x1000
_FCNTL_COMMANDS = (0, 1, 2, 3, 1030)
"""F_DUPFD, F_GETFD, F_SETFD, F_GETFL and F_DUPFD_CLOEXEC: nothing that sends a signal or takes a lock."""

_NEEDED = {
    "read": 0, "write": 1, "close": 3, "fstat": 5, "poll": 7, "lseek": 8, "munmap": 11, "brk": 12,
    "rt_sigaction": 13, "rt_sigprocmask": 14, "rt_sigreturn": 15, "pread64": 17, "readv": 19, "writev": 20,
    "sched_yield": 24, "mremap": 25, "madvise": 28, "dup": 32, "nanosleep": 35, "getpid": 39, "sendto": 44,
    "recvfrom": 45, "sendmsg": 46, "recvmsg": 47, "exit": 60, "gettimeofday": 96, "sigaltstack": 131, "gettid": 186,
    "futex": 202, "sched_getaffinity": 204, "restart_syscall": 219, "clock_gettime": 228, "clock_getres": 229,
    "clock_nanosleep": 230, "exit_group": 231, "set_robust_list": 273, "getrandom": 318, "membarrier": 324,
    "rseq": 334,
}  # fmt: skip
"""Memory, threads, the clock, and the descriptors that the process already has."""


class _Instruction(ctypes.Structure):
    _fields_ = (
        ("code", ctypes.c_ushort),
        ("if_true", ctypes.c_ubyte),
        ("if_false", ctypes.c_ubyte),
        ("operand", ctypes.c_uint32),
    )


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.POINTER(_Instruction)))


@dataclass(frozen=True)
class _Condition:
    """Allows a call when the lower half of an argument, masked, is one of some values."""

    argument: int
    mask: int
    values: Sequence[int]


def is_available() -> bool:
    """Whether `restrict` will work here."""
    if platform.machine() != "x86_64" or struct.calcsize("P") != 8:  # noqa: PLR2004 - bytes of a 64-bit pointer
        return False
    try:
        libc.prctl(libc.PR_SET_SECCOMP, _MODE_FILTER, None)
    except OSError as error:
        # The kernel looks at the program, which is none, only if it can run it: prctl(2), PR_SET_SECCOMP.
        return error.errno == errno.EFAULT
    return False


def restrict() -> None:
    """Lets this process make the calls on the list from now on, and start threads but no processes.

    Raises:
        OSError: the kernel refuses; see `is_available`.
    """
    program = _program()
    instructions = (_Instruction * len(program))(*program)
    pointer = ctypes.byref(_Program(len(program), instructions))
    libc.prctl(libc.PR_SET_SECCOMP, _MODE_FILTER, pointer)


def _program() -> list[_Instruction]:
    return [
        _Instruction(_LOAD, 0, 0, _ARCH_AT),
        _Instruction(_JUMP_EQUAL, 1, 0, _AUDIT_ARCH_X86_64),
        _return(_KILL_PROCESS),
        _Instruction(_LOAD, 0, 0, _NUMBER_AT),
        *_when(_CLONE3, [_return(_ERRNO | errno.ENOSYS)]),  # its flags are out of sight; glibc falls back to clone
        *(one for number in _NEEDED.values() for one in _when(number, [_return(_ALLOW)])),
        *_allow(_MMAP, _Condition(2, _PROT_EXEC, [0])),
        *_allow(_MPROTECT, _Condition(2, _PROT_EXEC, [0])),
        *_allow(_CLONE, _Condition(0, _CLONE_THREAD, [_CLONE_THREAD])),
        *_allow(_FCNTL, _Condition(1, 0xFFFFFFFF, _FCNTL_COMMANDS)),
        *_allow(_NEWFSTATAT, _Condition(3, _AT_EMPTY_PATH, [_AT_EMPTY_PATH])),  # which is fstat() in some glibc
        *_allow(_TGKILL, _Condition(0, 0xFFFFFFFF, [os.getpid()])),  # abort()
        _return(_ERRNO | errno.EPERM),
    ]


def _allow(number: int, condition: _Condition) -> list[_Instruction]:
    """The rest of the program is reached by other calls only: the argument has replaced the number."""
    return _when(
        number,
        [
            _Instruction(_LOAD, 0, 0, _ARGUMENTS_AT + 8 * condition.argument),
            _Instruction(_AND, 0, 0, condition.mask),
            *(one for value in condition.values for one in _when(value, [_return(_ALLOW)])),
            _return(_ERRNO | errno.EPERM),
        ],
    )


def _when(value: int, then: list[_Instruction]) -> list[_Instruction]:
    return [_Instruction(_JUMP_EQUAL, 0, len(then), value), *then]


def _return(action: int) -> _Instruction:
    return _Instruction(_RETURN, 0, 0, action)
