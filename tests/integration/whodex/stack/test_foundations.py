"""Postgres and Valkey alone: the parts that need neither models nor services."""

import subprocess
from pathlib import Path

import pytest

from whodex.stack import postgres
from whodex.stack.parts import PORT_NAMES, all_parts
from whodex.stack.ports import LOOPBACK, claimed_ports
from whodex.stack.state import PartState, StateDirectory
from whodex.stack.supervisor import Supervisor


@pytest.fixture
def state(tmp_path: Path) -> StateDirectory:
    made = StateDirectory(tmp_path / "state")
    made.create()
    return made


def _supervisor(state: StateDirectory, ports: dict[str, int]) -> Supervisor:
    parts = [part for part in all_parts(state, ports, state.secrets()) if part.name in {"postgres", "valkey"}]
    return Supervisor(parts, state, on_change=lambda: None)


def _query(ports: dict[str, int], password: str, sql: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            *(postgres.binary("psql"), "--no-psqlrc", "-tA"),
            *("-h", LOOPBACK, "-p", str(ports["postgres"]), "-U", postgres.SUPERUSER),
            *("-c", sql, postgres.DATABASE),
        ],
        env={"PGPASSWORD": password},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


async def test_what_is_written_is_there_after_a_restart(state: StateDirectory) -> None:
    password = state.secrets().postgres_password
    with claimed_ports(PORT_NAMES) as ports:
        async with _supervisor(state, ports) as first:
            await first.start()
            _query(ports, password, "CREATE TABLE kept (x int)").check_returncode()
        assert {record.state for record in first.records} == {PartState.STOPPED}
        async with _supervisor(state, ports) as second:
            await second.start()
            answer = _query(ports, password, "SELECT current_setting('server_encoding'), count(*) FROM kept")
    assert answer.stdout == "UTF8|0\n"


async def test_postgres_wants_the_password(state: StateDirectory) -> None:
    with claimed_ports(PORT_NAMES) as ports:
        async with _supervisor(state, ports) as supervisor:
            await supervisor.start()
            answer = _query(ports, "wrong", "SELECT 1")
    assert "password authentication failed" in answer.stderr


async def test_a_cluster_that_was_half_made_is_made_again(state: StateDirectory) -> None:
    half_made = state.folder("postgres") / "data.new"
    half_made.mkdir()
    (half_made / "PG_VERSION").touch()
    with claimed_ports(PORT_NAMES) as ports:
        async with _supervisor(state, ports) as supervisor:
            await supervisor.start()
            assert {record.state for record in supervisor.records} == {PartState.READY}
    assert not half_made.exists()
