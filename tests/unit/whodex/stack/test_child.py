"""Children here are real processes: small Python programs."""

import asyncio
import itertools
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from whodex.stack import child as child_module
from whodex.stack.child import Child
from whodex.stack.errors import PartFailedError
from whodex.stack.parts import Part
from whodex.stack.probes import Probe
from whodex.stack.state import PartRecord, PartState

ExistsProbe = Callable[[Path], Probe]
SERVE = "import pathlib, time; pathlib.Path('ready').touch(); time.sleep(60)"


class Harness:
    """Makes children whose working directory and log are in one folder, and keeps what they report."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "part.log"
        self.records: list[PartRecord] = []

    def child(self, program: str, probe: Probe | None, **more: Any) -> Child:
        part = Part("part", (sys.executable, "-c", program), probe, **more)

        def note() -> None:
            self.records.append(child.record)

        child = Child(part, log=self.log, directory=self.folder, on_change=note)
        return child

    @property
    def states(self) -> list[PartState]:
        return [record.state for record in self.records]


@pytest.fixture
def harness(tmp_path: Path) -> Harness:
    return Harness(tmp_path)


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.02)


async def test_a_part_is_ready_when_its_probe_says_so(harness: Harness, exists: ExistsProbe) -> None:
    child = harness.child(SERVE, exists(harness.folder / "ready"))
    await child.start()
    assert child.record.state is PartState.READY
    assert child.record.pid is not None
    await child.stop()
    assert harness.states == [PartState.STARTING, PartState.READY, PartState.STOPPING, PartState.STOPPED]
    assert not psutil.pid_exists(child.record.pid)


async def test_a_part_that_runs_once_is_done_when_it_exits(harness: Harness) -> None:
    child = harness.child("print('migrated')", probe=None)
    await child.start()
    assert child.record.state is PartState.DONE
    assert harness.log.read_text() == "migrated\n"


async def test_a_part_that_exits_while_it_starts_has_failed(harness: Harness, exists: ExistsProbe) -> None:
    child = harness.child("import sys; sys.exit('no such model')", exists(harness.folder / "ready"))
    with pytest.raises(PartFailedError, match="exited with code 1"):
        await child.start()
    assert child.record.state is PartState.FAILED
    assert harness.log.read_text() == "no such model\n"


async def test_a_part_that_is_never_ready_is_killed(harness: Harness, exists: ExistsProbe) -> None:
    child = harness.child("import time; time.sleep(60)", exists(harness.folder / "ready"), ready_seconds=0.3)
    with pytest.raises(PartFailedError, match=r"not ready within 0\.3 s \(no ready\)"):
        await child.start()
    assert child.record.pid is not None
    assert not psutil.pid_exists(child.record.pid)


async def test_preparation_runs_before_the_command(harness: Harness) -> None:
    child = harness.child(
        "print(open('configuration').read())",
        probe=None,
        prepare=lambda: _write(harness.folder / "configuration", "port 1"),
    )
    await child.start()
    assert harness.log.read_text() == "port 1\n"


def _write(path: Path, text: str) -> None:
    path.write_text(text)


async def test_a_part_sees_no_variable_but_its_own(harness: Harness) -> None:
    child = harness.child(
        "import os; print(os.environ.get('HOME'), os.environ['WHODEX_X'])",
        probe=None,
        environment={"WHODEX_X": "1"},
    )
    await child.start()
    assert harness.log.read_text() == "None 1\n"


async def test_a_crashed_part_is_started_again(
    harness: Harness, exists: ExistsProbe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child_module, "FIRST_BACKOFF_SECONDS", 0.05)
    child = harness.child(SERVE, exists(harness.folder / "ready"))
    await child.start()
    first_pid = child.record.pid
    assert first_pid is not None
    keeper = asyncio.create_task(child.keep_running())

    os.kill(first_pid, signal.SIGKILL)
    await _until(lambda: child.record.state is PartState.READY and child.record.pid != first_pid)

    assert child.record.restarts == 1
    assert PartState.RESTARTING in harness.states
    keeper.cancel()
    await child.stop()


async def test_pauses_grow_while_a_part_keeps_crashing(
    harness: Harness, exists: ExistsProbe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child_module, "FIRST_BACKOFF_SECONDS", 0.05)
    child = harness.child("import time; time.sleep(0.2)", exists(harness.folder))
    await child.start()
    keeper = asyncio.create_task(child.keep_running())
    await _until(lambda: child.record.restarts == 4)
    keeper.cancel()
    await child.stop()

    restarting = [record.since for record in harness.records if record.state is PartState.RESTARTING]
    first, *_, last = (later - earlier for earlier, later in itertools.pairwise(restarting))
    assert last > first


async def test_a_part_that_ignores_the_stop_signal_is_killed(harness: Harness, exists: ExistsProbe) -> None:
    program = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SERVE}"
    child = harness.child(program, exists(harness.folder / "ready"), stop_seconds=0.2)
    await child.start()
    assert child.record.pid is not None
    await child.stop()
    assert not psutil.pid_exists(child.record.pid)


async def test_descendants_are_stopped_too(harness: Harness, exists: ExistsProbe) -> None:
    program = (
        "import pathlib, subprocess, time\n"
        "orphan = subprocess.Popen(['sleep', '60'])\n"
        "pathlib.Path('orphan').write_text(str(orphan.pid))\n"
        "pathlib.Path('ready').touch()\n"
        "time.sleep(60)\n"
    )
    child = harness.child(program, exists(harness.folder / "ready"))
    await child.start()
    orphan = int((harness.folder / "orphan").read_text())
    await child.stop()
    await _until(lambda: not _is_alive(orphan))


async def test_a_part_stops_when_its_supervisor_is_killed(tmp_path: Path) -> None:
    supervise = (
        "import asyncio, sys, pathlib\n"
        "from whodex.stack.child import Child\n"
        "from whodex.stack.parts import Part\n"
        "async def ready(): pass\n"
        "async def main():\n"
        "    part = Part('part', ('sleep', '60'), ready)\n"
        "    folder = pathlib.Path(sys.argv[1])\n"
        "    child = Child(part, log=folder / 'log', directory=folder, on_change=lambda: None)\n"
        "    await child.start()\n"
        "    print(child.record.pid, flush=True)\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    supervisor = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", supervise, str(tmp_path)), stdout=asyncio.subprocess.PIPE
    )
    assert supervisor.stdout is not None
    part = int(await supervisor.stdout.readline())
    # Before that setpriv(1) may not have asked for the signal yet; `down` finds what a kill at that moment leaves.
    await _until(lambda: psutil.Process(part).name() == "sleep")
    supervisor.kill()
    await supervisor.wait()
    await _until(lambda: not _is_alive(part))


async def test_the_log_of_the_run_before_is_kept(harness: Harness) -> None:
    await harness.child("print('first')", probe=None).start()
    await harness.child("print('second')", probe=None).start()
    assert harness.log.read_text() == "second\n"
    assert (harness.folder / "part.log.1").read_text() == "first\n"


async def test_a_part_that_never_started_needs_no_stop(harness: Harness) -> None:
    started = time.monotonic()
    await harness.child(SERVE, probe=None).stop()
    assert harness.states == []
    assert time.monotonic() - started < 1


def _is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
