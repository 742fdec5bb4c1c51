"""What has to be true before the stack can start."""

from __future__ import annotations

import platform
import shutil
import sys
from collections.abc import Callable

from whodex.stack import postgres, valkey
from whodex.stack.errors import StackError
from whodex.stack.state import StateDirectory

PYTHON_VERSIONS = ((3, 11), (3, 12))
# Triton's wheel is a manylinux_2_35 one.
OLDEST_GLIBC = (2, 35)
FREE_BYTES = 2 * 1024**3


def unmet(state: StateDirectory) -> list[str]:
    """One line for each condition that is not met, saying what to do."""
    checks: list[Callable[[], str | None]] = [
        _python,
        _platform,
        _glibc,
        _setpriv,
        _wheels,
        lambda: _disk(state),
    ]
    return [line for check in checks if (line := check()) is not None]


def _python() -> str | None:
    if sys.version_info[:2] in PYTHON_VERSIONS:
        return None
    return f"Python 3.11 or 3.12 is needed; this is {platform.python_version()}."


def _platform() -> str | None:
    if (sys.platform, platform.machine()) == ("linux", "x86_64"):
        return None
    return f"The local stack runs on Linux x86_64; this is {sys.platform} {platform.machine()}."


def _glibc() -> str | None:
    name, version = platform.libc_ver()
    if name != "glibc":
        return f"glibc is needed, by Triton's wheel; this system has {name or 'another C library'}."
    if tuple(int(number) for number in version.split(".")[:2]) >= OLDEST_GLIBC:
        return None
    return f"glibc 2.35 or newer is needed, by Triton's wheel; this system has {version}."


def _setpriv() -> str | None:
    if shutil.which("setpriv"):
        return None
    return "The program setpriv is needed; it is in your distribution's package util-linux."


def _wheels() -> str | None:
    try:
        programs = [postgres.binary("postgres"), valkey.binary()]
    except StackError as error:
        return str(error)
    missing = [str(program) for program in programs if not program.exists()]
    return f"The installed wheels lack {', '.join(missing)}." if missing else None


def _disk(state: StateDirectory) -> str | None:
    existing = next(folder for folder in (state.root, *state.root.parents) if folder.exists())
    free = shutil.disk_usage(existing).free
    if free >= FREE_BYTES:
        return None
    return f"2 GiB of free disk are needed at {existing}; there are {free / 1024**3:.1f} GiB."
