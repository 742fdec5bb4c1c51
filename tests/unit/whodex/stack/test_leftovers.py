import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest

from whodex.stack import leftovers as leftovers_module
from whodex.stack.leftovers import end_leftovers, leftovers
from whodex.stack.state import PartRecord, PartState, StackRecord


@pytest.fixture
def part() -> Iterator[subprocess.Popen[bytes]]:
    """A part with a descendant, as a killed supervisor leaves it."""
    process = subprocess.Popen(
        ["sh", "-c", "sleep 60 & echo started; wait"],  # noqa: S607
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdout is not None
    process.stdout.readline()
    yield process
    process.stdout.close()
    process.kill()
    process.wait()


def _record(pid: int, create_time: float) -> StackRecord:
    one = PartRecord(
        name="part",
        state=PartState.READY,
        pid=pid,
        create_time=create_time,
        port=None,
        restarts=0,
        since=datetime.now(UTC),
        log=Path("part.log"),
    )
    return StackRecord(pid=1, address="", ports={}, parts=[one])


def test_a_part_is_found_with_its_descendants(part: subprocess.Popen[bytes]) -> None:
    record = _record(part.pid, psutil.Process(part.pid).create_time())
    assert {process.name() for process in leftovers(record)} == {"sh", "sleep"}


def test_a_process_that_got_the_same_id_later_is_left_alone(part: subprocess.Popen[bytes]) -> None:
    record = _record(part.pid, psutil.Process(part.pid).create_time() - 3600)
    assert leftovers(record) == []


def test_what_does_not_finish_is_killed(part: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leftovers_module, "GRACE_SECONDS", 0.2)
    record = _record(part.pid, psutil.Process(part.pid).create_time())
    assert end_leftovers(record) == 2
    assert leftovers(record) == []


def test_nothing_left_is_nothing_killed(part: subprocess.Popen[bytes]) -> None:
    create_time = psutil.Process(part.pid).create_time()
    for process in leftovers(_record(part.pid, create_time)):
        process.kill()
    part.wait()
    assert end_leftovers(_record(part.pid, create_time)) == 0
