"""Triton's own Python environment: made once with uv from a locked list, then used as it is.

Triton comes from the wheel of nvidia-pytriton. Its python backend needs numpy 1, which the rest of the
project does not want, and a stub made for the exact Python version, so it lives in a virtual environment of
its own in the cache.
"""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import uv

from inference.triton.errors import TritonEnvironmentError
from inference.triton.machine import Interpreter, Machine, check_machine, find_interpreter
from whodex.runtime.cache import cache_directory

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
    directory = environment_directory()
    if not _is_whole(directory):
        raise TritonEnvironmentError("Triton's environment is not prepared: run `whodex models pull`.")
    record = json.loads(_record_path(directory).read_bytes())
    return TritonEnvironment(directory, _site_packages(directory, record["python"]), Path(record["library_directory"]))


def prepare_environment() -> bool:
    """Make the environment, unless that has been done.

    Returns:
        Whether there was anything to do.

    Raises:
        TritonEnvironmentError: this machine lacks something, or a package could not be had.
    """
    directory = environment_directory()
    directory.parent.mkdir(parents=True, exist_ok=True)
    with _only_one(directory.with_suffix(".lock")):
        if _is_whole(directory):
            return False
        check_machine(Machine.here(directory.parent))
        interpreter = find_interpreter()
        shutil.rmtree(directory, ignore_errors=True)
        _install(directory, interpreter)
        _finish(directory, interpreter)
    return True


def environment_directory() -> Path:
    """Where the environment is, or will be; another lock leads to another directory."""
    lock = hashlib.sha256(_LOCK.read_bytes()).hexdigest()
    return cache_directory() / "triton" / lock[:16]


def _is_whole(directory: Path) -> bool:
    """Whether it was made to the end, and the Python that it was made from is still there."""
    return _record_path(directory).is_file() and (directory / "bin" / "python").exists()


def _record_path(directory: Path) -> Path:
    """The file that is written last."""
    return directory / "whodex.json"


def _site_packages(directory: Path, version: str) -> Path:
    return directory / "lib" / f"python{version}" / "site-packages"


@contextmanager
def _only_one(lock: Path) -> Iterator[None]:
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _install(directory: Path, interpreter: Interpreter) -> None:
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
        reason = "; ".join(line.strip() for line in error.stderr.splitlines()[:4])
        raise TritonEnvironmentError(
            f"Triton's environment could not be made; check the network and try again: {reason}"
        ) from error


def _finish(directory: Path, interpreter: Interpreter) -> None:
    """Put the stub where Triton looks for it, and write down that the environment is whole."""
    server = _site_packages(directory, interpreter.version) / "pytriton" / "tritonserver"
    stub = server / "python_backend_stubs" / interpreter.version / "triton_python_backend_stub"
    shutil.copy2(stub, server / "backends" / "python")
    record = {"python": interpreter.version, "library_directory": str(interpreter.library.parent)}
    _record_path(directory).write_text(json.dumps(record))
