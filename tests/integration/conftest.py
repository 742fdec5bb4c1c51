"""The local stack, started once for all tests that need it."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from whodex.stack.ports import LOOPBACK
from whodex.stack.state import Connection, Secrets, StackRecord, StateDirectory

# setpriv: the stack stops as well when the tests are killed.
UP = ("setpriv", "--pdeathsig=TERM", "--", sys.executable, "-m", "whodex.stack", "up")


@dataclass(frozen=True)
class Stack:
    """A running stack.

    Attributes:
        state: its state directory.
        connection: address, default library and keys, as a client finds them.
        secrets: what the parts use among themselves.
        ports: of each part by name, see `whodex.stack.parts.PORT_NAMES`.
    """

    state: StateDirectory
    connection: Connection
    secrets: Secrets
    ports: dict[str, int]

    @property
    def address(self) -> str:
        """host:port of the public API."""
        return self.connection.address

    def part_address(self, port_name: str) -> str:
        """host:port of a part that only the others talk to."""
        return f"{LOOPBACK}:{self.ports[port_name]}"

    def record(self) -> StackRecord:
        """The parts as they are now."""
        record = self.state.record()
        assert record is not None
        return record

    def log(self, part: str) -> str:
        """What a part has logged."""
        return self.state.log(part).read_text(encoding="utf-8")

    def whodex(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Runs the command line against this stack."""
        return run_whodex(*arguments, state_dir=self.state.root)


def run_whodex(*arguments: str | Path, state_dir: Path) -> subprocess.CompletedProcess[str]:
    """Runs the command line as users do, in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "whodex.cli", "--state-dir", state_dir, *arguments],
        capture_output=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack with every real part, and an empty default library at first."""
    with started_stack(tmp_path_factory.mktemp("stack")) as started:
        yield started


@contextmanager
def started_stack(folder: Path, *options: str) -> Iterator[Stack]:
    """Starts a stack with `up`'s options, and stops it again."""
    state = StateDirectory(folder / "state")
    output = state.root.with_name("up.log")
    with output.open("w") as log:
        up = subprocess.Popen([*UP, "--state-dir", state.root, *options], stdout=log, stderr=subprocess.STDOUT)
    if not _became_ready(state, up):
        pytest.exit(f"The stack did not start.\n{output.read_text()}", returncode=1)
    connection, record = state.connection(), state.record()
    assert connection is not None
    assert record is not None
    yield Stack(state, connection, state.secrets(), record.ports)
    stopped = run_whodex("down", state_dir=state.root)
    assert stopped.returncode == 0, stopped.stderr
    assert up.wait() == 0, output.read_text()


def _became_ready(state: StateDirectory, up: subprocess.Popen[bytes]) -> bool:
    while up.poll() is None:
        record = state.record()
        if record is not None and record.ready_at is not None:
            return True
        time.sleep(0.1)
    return False


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what uses the stack, so that `-m 'not integration'` leaves it out."""
    for item in items:
        if "stack" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.integration)
