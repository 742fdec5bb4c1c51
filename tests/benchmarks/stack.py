"""A stack of its own for a benchmark, and the CPU time that it uses."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from whodex import Client
from whodex.stack.state import StateDirectory


@contextmanager
def running_stack() -> Iterator[StateDirectory]:
    """Starts the local stack in a temporary directory and stops it afterwards."""
    with TemporaryDirectory(prefix="whodex-bench-") as directory:
        state = StateDirectory(Path(directory) / "state")
        _whodex(state, "up", "--detach")
        try:
            yield state
        finally:
            _whodex(state, "down")


def client_of(state: StateDirectory) -> Client:
    """A client of the stack's default library."""
    return Client(state_dir=state.root)


def cpu_seconds(state: StateDirectory) -> dict[str, float]:
    """User and system CPU time of each part since its start, its children included, in seconds."""
    record = state.record()
    if record is None:
        raise RuntimeError("the stack is not running")
    return {part.name: _cpu_of_tree(part.pid) for part in record.parts if part.pid is not None}


def _cpu_of_tree(pid: int) -> float:
    try:
        root = psutil.Process(pid)
        processes = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0.0
    return sum(_cpu_of(process) for process in processes)


def _cpu_of(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    # children_*: those that have ended and were waited for; living ones are counted on their own.
    return float(times.user + times.system + times.children_user + times.children_system)


def _whodex(state: StateDirectory, *arguments: str) -> None:
    command = [sys.executable, "-m", "whodex.cli", "--state-dir", str(state.root), *arguments]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
