"""Triton's own Python environment: made once with uv from a locked list, then used as it is.

Triton comes from the wheel of nvidia-pytriton. Its python backend needs numpy 1, which the rest of the
project does not want, and a stub made for the exact Python version, so it lives in a virtual environment of
its own in the cache.
"""

import fcntl
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import uv

from inference.models.cache import cache_directory
from inference.triton.errors import TritonEnvironmentError

MIN_GLIBC = (2, 35)
"""The wheel of nvidia-pytriton 0.7.0 is tagged manylinux_2_35."""
MIN_FREE_BYTES = 2 * 1024**3
"""The environment takes 0.5 GB, and uv's cache as much again."""
PYTHON_VERSIONS = ("3.11", "3.12")
"""numpy 1.26 has no wheels for later ones."""
INSTALL_TIMEOUT_SECONDS = 900

_LOCK = resources.files("inference.triton") / "environment.lock"


@dataclass(frozen=True)
class TritonEnvironment:
    """A made environment.

    Attributes:
        directory: the virtual environment.
        site_packages: where its packages are.
        library_directory: where the libpython that the python backend's stub loads lies.
    """

    directory: Path
    site_packages: Path
    library_directory: Path

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.directory / "bin" / "python"

    @property
    def server(self) -> Path:
        """The tritonserver binary."""
        return self.site_packages / "pytriton" / "tritonserver" / "bin" / "tritonserver"

    @property
    def backends(self) -> Path:
        """The directory with Triton's backends."""
        return self.site_packages / "pytriton" / "tritonserver" / "backends"

    def variables(self) -> dict[str, str]:
        """The environment variables that tritonserver and its stubs need, on top of this process's."""
        variables = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        libraries = [self.site_packages / "nvidia_pytriton.libs", self.library_directory]
        variables["LD_LIBRARY_PATH"] = ":".join(str(path) for path in libraries)
        # The stub embeds the interpreter that it finds first on the PATH.
        variables["PATH"] = f"{self.directory / 'bin'}:{os.environ.get('PATH', os.defpath)}"
        variables["VIRTUAL_ENV"] = str(self.directory)
        return variables


def prepared_environment() -> TritonEnvironment:
    """The environment that ``prepare_environment`` made.

    Raises:
        TritonEnvironmentError: it has not been made.
    """
    directory = _directory()
    if not _record_path(directory).is_file():
        raise TritonEnvironmentError("Triton's environment is not prepared: run `whodex models pull`.")
    record = json.loads(_record_path(directory).read_bytes())
    return TritonEnvironment(directory, Path(record["site_packages"]), Path(record["library_directory"]))


def prepare_environment() -> bool:
    """Make the environment, unless that has been done.

    Returns:
        Whether there was anything to do.

    Raises:
        TritonEnvironmentError: this machine lacks something, or a package could not be had.
    """
    directory = _directory()
    directory.parent.mkdir(parents=True, exist_ok=True)
    with _only_one(directory.with_suffix(".lock")):
        if _record_path(directory).is_file():
            return False
        _check_machine(directory.parent)
        interpreter = _find_interpreter()
        shutil.rmtree(directory, ignore_errors=True)
        _install(directory, interpreter)
        _finish(directory, interpreter)
    return True


@dataclass(frozen=True)
class _Interpreter:
    executable: str
    version: str
    library: Path


def _directory() -> Path:
    lock = hashlib.sha256(_LOCK.read_bytes()).hexdigest()
    return cache_directory() / "triton" / lock[:16]


def _record_path(directory: Path) -> Path:
    """The file that is written last: where it is, the environment is whole."""
    return directory / "whodex.json"


@contextmanager
def _only_one(lock: Path) -> Iterator[None]:
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _check_machine(directory: Path) -> None:
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        raise TritonEnvironmentError(
            f"Triton's wheel is for Linux on x86-64, this is {platform.system()} on {platform.machine()}."
        )
    name, version = platform.libc_ver()
    if name != "glibc" or tuple(int(part) for part in version.split(".")[:2]) < MIN_GLIBC:
        raise TritonEnvironmentError(
            f"Triton needs glibc 2.35 or newer (Ubuntu 22.04, Debian 12), this machine has {name} {version}."
        )
    free = shutil.disk_usage(directory).free
    if free < MIN_FREE_BYTES:
        raise TritonEnvironmentError(
            f"Triton's environment needs 2 GB in {directory}, {free / 1024**3:.1f} GB are free: "
            "make room, or set WHODEX_CACHE_DIR."
        )


def _find_interpreter() -> _Interpreter:
    """Find a Python with a shared libpython, which the stub of Triton's python backend links to.

    The interpreter of this process comes first; Debian's has that library in a package of its own, so that
    it may be missing where another installed Python has it.
    """
    for executable in (sys.executable, *_installed_interpreters()):
        interpreter = _inspect(executable)
        if interpreter.version in PYTHON_VERSIONS and interpreter.library.is_file():
            return interpreter
    version = platform.python_version().rpartition(".")[0]
    raise TritonEnvironmentError(
        f"Triton needs Python 3.11 or 3.12 with its shared library: "
        f"`apt install libpython{version}`, or `uv python install 3.12`."
    )


def _installed_interpreters() -> Iterator[str]:
    command = [uv.find_uv_bin(), "python", "list", "--only-installed", "--output-format", "json"]
    listing = subprocess.run(command, check=True, capture_output=True, text=True)
    for entry in json.loads(listing.stdout):
        if entry["version"].startswith(PYTHON_VERSIONS):
            yield entry["path"]


_INSPECTION = """
import json, platform, sysconfig
print(json.dumps([
    ".".join(platform.python_version_tuple()[:2]),
    sysconfig.get_config_var("LIBDIR"),
    "libpython" + sysconfig.get_config_var("LDVERSION") + ".so.1.0",
]))
"""


def _inspect(executable: str) -> _Interpreter:
    query = subprocess.run([executable, "-I", "-c", _INSPECTION], check=True, capture_output=True, text=True)
    version, library_directory, library = json.loads(query.stdout)
    return _Interpreter(executable, version, Path(library_directory) / library)


def _install(directory: Path, interpreter: _Interpreter) -> None:
    with resources.as_file(_LOCK) as lock:
        _uv("venv", "--quiet", "--no-config", "--python", interpreter.executable, str(directory))
        _uv(
            *("pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:", "--require-hashes"),
            *("--python", str(directory / "bin" / "python"), "--requirement", str(lock)),
        )


def _uv(*arguments: str) -> None:
    try:
        subprocess.run(
            [uv.find_uv_bin(), *arguments],
            check=True,
            capture_output=True,
            text=True,
            timeout=INSTALL_TIMEOUT_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise TritonEnvironmentError(
            f"Triton's packages did not arrive within {INSTALL_TIMEOUT_SECONDS} s: try again."
        ) from error
    except subprocess.CalledProcessError as error:
        reason = " ".join(error.stderr.split())
        raise TritonEnvironmentError(f"Triton's environment could not be made: {reason}") from error


def _finish(directory: Path, interpreter: _Interpreter) -> None:
    """Put the stub where Triton looks for it, and write down that the environment is whole."""
    site_packages = directory / "lib" / f"python{interpreter.version}" / "site-packages"
    server = site_packages / "pytriton" / "tritonserver"
    stub = server / "python_backend_stubs" / interpreter.version / "triton_python_backend_stub"
    shutil.copy2(stub, server / "backends" / "python")
    record = {"site_packages": str(site_packages), "library_directory": str(interpreter.library.parent)}
    _record_path(directory).write_text(json.dumps(record))
