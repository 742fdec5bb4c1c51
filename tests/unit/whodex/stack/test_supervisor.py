import asyncio
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from whodex.stack.errors import PartFailedError
from whodex.stack.parts import Part
from whodex.stack.probes import Probe
from whodex.stack.state import PartState, StateDirectory
from whodex.stack.supervisor import Supervisor

ExistsProbe = Callable[[Path], Probe]


def _serving(name: str, state: StateDirectory, exists: ExistsProbe, *after: str) -> Part:
    program = f"import pathlib, time; pathlib.Path('{name}').touch(); time.sleep(60)"
    return Part(name, (sys.executable, "-c", program), exists(state.root / name), after=after)


def _nothing() -> None:
    """Nobody watches."""


async def test_parts_start_in_order_and_stop_in_reverse(state: StateDirectory, exists: ExistsProbe) -> None:
    history: list[tuple[str, PartState]] = []

    def note() -> None:
        for record in supervisor.records:
            if (record.name, record.state) not in history:
                history.append((record.name, record.state))

    parts = [_serving("api", state, exists, "database"), _serving("database", state, exists)]
    supervisor = Supervisor(parts, state, note)
    async with supervisor:
        await supervisor.start()
        pids = [record.pid for record in supervisor.records]

    interesting = [step for step in history if step[1] in {PartState.READY, PartState.STARTING, PartState.STOPPED}]
    assert interesting == [
        ("database", PartState.STARTING),
        ("database", PartState.READY),
        ("api", PartState.STARTING),
        ("api", PartState.READY),
        ("api", PartState.STOPPED),
        ("database", PartState.STOPPED),
    ]
    assert not any(psutil.pid_exists(pid) for pid in pids if pid is not None)


async def test_one_part_that_fails_stops_the_others(state: StateDirectory, exists: ExistsProbe) -> None:
    broken = Part("broken", (sys.executable, "-c", "raise SystemExit(3)"), probe=None, after=("database",))
    supervisor = Supervisor([_serving("database", state, exists), broken], state, _nothing)

    with pytest.raises(PartFailedError, match="broken exited with code 3"):
        async with supervisor:
            await supervisor.start()

    states = {record.name: record.state for record in supervisor.records}
    assert states == {"database": PartState.STOPPED, "broken": PartState.FAILED}


async def test_the_start_ends_when_the_final_probes_succeed_too(state: StateDirectory, exists: ExistsProbe) -> None:
    api = replace(_serving("api", state, exists), final_probe=exists(state.root / "indexer"))
    supervisor = Supervisor([api, _serving("indexer", state, exists, "api")], state, _nothing)
    async with supervisor:
        await supervisor.start()


async def test_a_final_probe_that_never_succeeds_fails_its_part(state: StateDirectory, exists: ExistsProbe) -> None:
    api = replace(_serving("api", state, exists), final_probe=exists(state.root / "never"), ready_seconds=0.3)
    supervisor = Supervisor([api], state, _nothing)
    with pytest.raises(PartFailedError, match="api was not ready within"):
        async with supervisor:
            await supervisor.start()


async def test_a_stop_during_the_start_leaves_nothing(state: StateDirectory, exists: ExistsProbe) -> None:
    slow = Part("slow", ("sleep", "60"), exists(state.root / "never"))

    async def run() -> None:
        async with supervisor:
            await supervisor.start()

    supervisor = Supervisor([slow], state, _nothing)
    running = asyncio.create_task(run())
    async with asyncio.timeout(10):
        while supervisor.records[0].pid is None:
            await asyncio.sleep(0.02)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    pid = supervisor.records[0].pid
    assert pid is not None
    assert not psutil.pid_exists(pid)
    assert supervisor.records[0].state is PartState.STOPPED
