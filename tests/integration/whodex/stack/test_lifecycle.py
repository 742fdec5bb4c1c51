"""The whole stack, through the commands."""

from __future__ import annotations

import json
import os
import signal
import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from whodex.stack.parts import PORT_NAMES
from whodex.stack.ports import LOOPBACK
from whodex.stack.state import PartRecord, PartState

if TYPE_CHECKING:
    from tests.integration.conftest import Stack


def test_every_part_answers(stack: Stack) -> None:
    shown = stack.whodex("status", "--output", "json")
    assert shown.returncode == 0, shown.stdout
    status = json.loads(shown.stdout)
    assert status["ready"] is True
    assert {part["state"] for part in status["parts"]} == {"ready", "done"}
    assert len(status["parts"]) == len({part["name"] for part in status["parts"]}) == 11


def test_a_second_up_says_where_the_first_one_is(stack: Stack) -> None:
    second = stack.whodex("up")
    assert second.returncode == 1
    assert stack.address in second.stderr
    assert stack.whodex("status").returncode == 0


def test_nothing_listens_beyond_loopback(stack: Stack) -> None:
    ours = set(stack.ports.values())
    listening = {
        # gRPC's sockets speak IPv6 too, where loopback has this other name.
        (one.laddr.ip.removeprefix("::ffff:"), one.laddr.port)
        for one in psutil.net_connections("inet")
        if one.status == psutil.CONN_LISTEN and one.laddr and one.laddr.port in ours
    }
    assert listening == {(LOOPBACK, port) for port in ours}
    assert len(ours) == len(PORT_NAMES)


def test_the_keys_are_for_their_owner_alone(stack: Stack) -> None:
    modes = {stat.S_IMODE((stack.state.root / name).stat().st_mode) for name in ("client.json", "secrets.json")}
    assert modes == {0o600}
    assert stack.connection.library.startswith("libraries/")


def test_no_secret_is_in_a_log_or_on_a_command_line(stack: Stack) -> None:
    secrets = [stack.connection.api_key, *stack.secrets.model_dump().values()]
    logs = "".join(log.read_text(errors="replace") for log in stack.state.logs.iterdir())
    commands = " ".join(word for part in stack.record().parts for word in _command_line(part.pid))
    assert not [secret for secret in secrets if secret in logs or secret in commands]


def test_a_killed_part_comes_back(stack: Stack) -> None:
    before = _part(stack, "indexer")
    assert before.pid is not None
    os.kill(before.pid, signal.SIGKILL)
    deadline = time.monotonic() + 30
    while (now := _part(stack, "indexer")).pid == before.pid or now.state is not PartState.READY:
        assert time.monotonic() < deadline, now
        time.sleep(0.2)
    assert now.restarts == before.restarts + 1


def test_down_without_a_stack_is_no_error(stack: Stack, tmp_path: Path) -> None:
    stopped = stack.whodex("down", "--state-dir", tmp_path / "nothing")
    assert stopped.returncode == 0
    assert "No stack is running" in stopped.stdout


def _part(stack: Stack, name: str) -> PartRecord:
    return next(part for part in stack.record().parts if part.name == name)


def _command_line(pid: int | None) -> list[str]:
    try:
        return psutil.Process(pid).cmdline()
    except psutil.NoSuchProcess:
        # It ran once and is done.
        return []
