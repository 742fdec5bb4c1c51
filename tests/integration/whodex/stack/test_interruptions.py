"""Starts that fail or are cut short, with stacks of their own. None may leave a process behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from whodex.stack.leftovers import leftovers
from whodex.stack.state import PartState, StackRecord, StateDirectory

UP = (sys.executable, "-m", "whodex.stack", "up")


@pytest.fixture
def state(tmp_path: Path) -> Iterator[StateDirectory]:
    """A state directory that ends up without a stack, whatever the test did."""
    state = StateDirectory(tmp_path / "state")
    yield state
    assert _run("down", state).returncode == 0


def _run(command: str, state: StateDirectory, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*UP[:-1], command, "--state-dir", state.root, *options],
        env=os.environ | environment,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )


def _record_with_running(state: StateDirectory, part: str, supervisor_pid: int) -> StackRecord:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        record = state.record()
        if (
            record
            and record.pid == supervisor_pid
            and any(one.name == part and one.state is PartState.READY for one in record.parts)
        ):
            return record
        time.sleep(0.05)
    raise AssertionError(f"{part} is not ready")


def _none_left(state: StateDirectory) -> bool:
    record = state.record()
    assert record is not None
    return leftovers(record) == []


def test_a_part_that_cannot_start_is_named_with_its_log(state: StateDirectory, tmp_path: Path) -> None:
    failed = _run("up", state, "--detach", WHODEX_CACHE_DIR=str(tmp_path / "no models"))
    assert failed.returncode == 1
    assert "triton exited with code 1" in failed.stderr
    assert "whodex models pull" in failed.stderr
    assert str(state.log("triton")) in failed.stderr
    assert _none_left(state)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_an_interrupted_start_leaves_nothing(state: StateDirectory, number: signal.Signals) -> None:
    with subprocess.Popen([*UP, "--state-dir", state.root], stdout=subprocess.DEVNULL) as up:
        _record_with_running(state, "postgres", up.pid)
        up.send_signal(number)
        assert up.wait(timeout=60) == 0
    assert _none_left(state)


def test_a_terminal_that_goes_away_does_not_disturb_the_stop(state: StateDirectory) -> None:
    with subprocess.Popen([*UP, "--state-dir", state.root], stdout=subprocess.PIPE) as up:
        assert up.stdout is not None
        up.stdout.close()
        record = _record_with_running(state, "postgres", up.pid)
        up.send_signal(signal.SIGHUP)
        up.wait(timeout=60)
    assert _none_left(state)
    stopped = state.record()
    assert stopped is not None
    assert {part.state for part in stopped.parts} <= {PartState.STOPPED, PartState.DONE, PartState.WAITING}
    assert len(stopped.parts) == len(record.parts)


def test_down_ends_what_a_killed_supervisor_leaves(state: StateDirectory) -> None:
    with subprocess.Popen([*UP, "--state-dir", state.root], stdout=subprocess.DEVNULL) as up:
        _record_with_running(state, "postgres", up.pid)
        up.kill()
    assert _run("down", state).returncode == 0
    assert _none_left(state)


def test_a_new_up_first_ends_what_a_killed_supervisor_left(state: StateDirectory) -> None:
    pids = set()
    for _ in range(2):
        with subprocess.Popen([*UP, "--state-dir", state.root], stdout=subprocess.DEVNULL) as up:
            record = _record_with_running(state, "postgres", up.pid)
            pids.add(next(part.pid for part in record.parts if part.name == "postgres"))
            up.kill()
    assert len(pids) == 2
