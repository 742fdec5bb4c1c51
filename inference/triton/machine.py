"""What Triton needs of the machine: glibc, disk, and a Python with a shared library."""

import json
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import uv

from inference.triton.errors import TritonEnvironmentError

MIN_GLIBC = (2, 35)
"""The wheel of nvidia-pytriton 0.7.0 is tagged manylinux_2_35."""
MIN_FREE_BYTES = 2 * 1024**3
"""The environment takes 0.5 GB, and uv's cache as much again."""
PYTHON_VERSIONS = ("3.11", "3.12")
"""numpy 1.26 has no wheels for later ones."""


@dataclass(frozen=True)
class Machine:
    """What matters of a machine.

    Attributes:
        system: the operating system, ``Linux`` for example.
        processor: the architecture, ``x86_64`` for example.
        libc: the C library and its version, ``("glibc", "2.36")`` for example.
        directory: where the environment will be.
        free_bytes: the room there.
    """

    system: str
    processor: str
    libc: tuple[str, str]
    directory: Path
    free_bytes: int

    @classmethod
    def here(cls, directory: Path) -> "Machine":
        """This machine, and the room in a directory that exists."""
        free_bytes = shutil.disk_usage(directory).free
        return cls(platform.system(), platform.machine(), platform.libc_ver(), directory, free_bytes)


@dataclass(frozen=True)
class Interpreter:
    """A Python on this machine.

    Attributes:
        executable: how to start it.
        version: ``3.11`` for example.
        library: the shared library that it would have; it may be missing.
    """

    executable: str
    version: str
    library: Path


def check_machine(machine: Machine) -> None:
    """Refuse a machine on which Triton's wheel cannot run.

    Raises:
        TritonEnvironmentError: it lacks something.
    """
    if (machine.system, machine.processor) != ("Linux", "x86_64"):
        raise TritonEnvironmentError(
            f"Triton's wheel is for Linux on x86-64; this is {machine.system} on {machine.processor}."
        )
    name, version = machine.libc
    if name != "glibc" or tuple(int(part) for part in version.split(".")[:2]) < MIN_GLIBC:
        raise TritonEnvironmentError(
            "Triton needs glibc 2.35 or newer, as in Ubuntu 22.04 and Debian 12; "
            f"this machine has {name or 'another C library'} {version}".rstrip()
            + "."
        )
    if machine.free_bytes < MIN_FREE_BYTES:
        raise TritonEnvironmentError(
            f"Triton's environment needs 2 GB in {machine.directory} and {machine.free_bytes / 1024**3:.1f} GB "
            "are free: make room, or set WHODEX_CACHE_DIR to a place with more."
        )


def find_interpreter() -> Interpreter:
    """Find a Python that the stub of Triton's python backend can embed: this one, or another installed one.

    Debian and Ubuntu have the shared library in a package of its own, so that it may be missing here.

    Raises:
        TritonEnvironmentError: there is none.
    """
    return first_embeddable(inspect(executable) for executable in _executables())


def first_embeddable(interpreters: Iterable[Interpreter]) -> Interpreter:
    """The first interpreter of a version that will do whose shared library exists.

    Raises:
        TritonEnvironmentError: there is none.
    """
    for interpreter in interpreters:
        if interpreter.version in PYTHON_VERSIONS and interpreter.library.is_file():
            return interpreter
    major, minor, _ = platform.python_version_tuple()
    raise TritonEnvironmentError(
        "Triton needs the shared library of Python 3.11 or 3.12 and none is installed: "
        f"`apt install libpython{major}.{minor}`, or `uv python install 3.12`."
    )


_INSPECTION = """
import json, platform, sysconfig
version = ".".join(platform.python_version_tuple()[:2])
print(json.dumps([version, sysconfig.get_config_var("LIBDIR"), f"libpython{version}.so.1.0"]))
"""


def inspect(executable: str) -> Interpreter:
    """Ask an interpreter for its version and where its shared library would be."""
    query = subprocess.run([executable, "-I", "-c", _INSPECTION], check=True, capture_output=True, text=True)
    version, library_directory, library = json.loads(query.stdout)
    return Interpreter(executable, version, Path(library_directory) / library)


def _executables() -> Iterator[str]:
    yield sys.executable
    command = [uv.find_uv_bin(), "python", "list", "--only-installed", "--output-format", "json"]
    listing = subprocess.run(command, check=True, capture_output=True, text=True)
    for entry in json.loads(listing.stdout):
        if entry["version"].startswith(PYTHON_VERSIONS):
            yield entry["path"]
