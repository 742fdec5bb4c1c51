"""An environment of its own for the library, made once from a locked list, and the calls into it."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import uv

from whodex.runtime.cache import cache_directory

LOCK = Path(__file__).with_name("environment.lock")
PROGRAM = Path(__file__).with_name("encode.py")
INSTALL_TIMEOUT_SECONDS = 600
RUN_TIMEOUT_SECONDS = 600


def throughput(photos: Sequence[Path], seconds: float, processes: int) -> float:
    """Photographs per second, found and encoded, by so many processes side by side.

    Raises:
        RuntimeError: the environment could not be made, or the library failed; the message says why.
    """
    return float(_run(photos, "throughput", str(seconds), str(processes)))


def encodings(photos: Sequence[Path]) -> list[list[float] | None]:
    """For each photograph the 128 numbers of the face in its middle; None where the library finds none.

    Raises:
        RuntimeError: as `throughput`.
    """
    found: list[list[float] | None] = _run(photos, "encode")
    return found


def _run(photos: Sequence[Path], *command: str) -> Any:
    paths = "".join(f"{photo.resolve()}\n" for photo in photos)
    return json.loads(_output(str(_python()), str(PROGRAM), *command, stdin=paths, timeout=RUN_TIMEOUT_SECONDS))


def _python() -> Path:
    """The environment's interpreter; it is made at the first call, and again when the lock changes."""
    digest = hashlib.sha256(LOCK.read_bytes()).hexdigest()
    directory = cache_directory() / "face-recognition" / digest[:16]
    made = directory / "made"
    if not made.is_file():
        _uv("venv", "--quiet", "--clear", "--no-config", "--python", sys.executable, str(directory))
        python = str(directory / "bin" / "python")
        _uv("pip", "install", "--quiet", "--no-deps", "--require-hashes", "--python", python, "-r", str(LOCK))
        made.touch()
    return directory / "bin" / "python"


def _uv(*arguments: str) -> None:
    _output(uv.find_uv_bin(), *arguments, timeout=INSTALL_TIMEOUT_SECONDS)


def _output(*command: str, timeout: float, stdin: str = "") -> str:
    try:
        done = subprocess.run(command, input=stdin, capture_output=True, encoding="utf-8", timeout=timeout, check=True)
    except subprocess.TimeoutExpired as error:
        raise RuntimeError(f"{Path(command[0]).name} did not end within {timeout:.0f} s") from error
    except subprocess.CalledProcessError as error:
        lines = error.stderr.strip().splitlines()
        raise RuntimeError(f"{Path(command[0]).name} failed: {lines[-1] if lines else error.returncode}") from error
    return done.stdout
