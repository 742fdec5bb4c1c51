import json
import socket
from datetime import UTC, datetime

from rich.console import Console

from whodex.stack.parts import PORT_NAMES
from whodex.stack.state import PartRecord, PartState, StackRecord, StateDirectory
from whodex.stack.status import as_json, as_table, current_status


def _part(state: StateDirectory, name: str, part_state: PartState) -> PartRecord:
    return PartRecord(
        name=name,
        state=part_state,
        pid=4711,
        create_time=datetime.now(UTC).timestamp() - 3725,
        port=None,
        restarts=2,
        since=datetime.now(UTC),
        log=state.log(name),
    )


def _record(state: StateDirectory, *parts: PartRecord) -> None:
    pid = state.supervisor_pid()
    assert pid is not None
    with socket.create_server(("127.0.0.1", 0)) as free:
        closed_port = free.getsockname()[1]
    ports = dict.fromkeys(PORT_NAMES, closed_port)
    record = StackRecord(pid=pid, address="127.0.0.1:7700", ports=ports, ready_at=datetime.now(UTC), parts=list(parts))
    state.write_record(record)


def _printed(state: StateDirectory) -> str:
    console = Console(width=200)
    with console.capture() as capture:
        console.print(as_table(current_status(state)))
    return capture.get()


def test_without_a_stack_there_is_nothing_to_show(state: StateDirectory) -> None:
    assert "No stack is running" in _printed(state)
    assert json.loads(as_json(current_status(state)))["parts"] == []


def test_the_record_of_an_earlier_supervisor_does_not_count(state: StateDirectory) -> None:
    state.write_record(StackRecord(pid=1, address="127.0.0.1:7700", ready_at=datetime.now(UTC), ports={}))
    with state.lock():
        assert current_status(state).ready is False
        assert current_status(state).parts == []


def test_a_part_that_does_not_answer_is_unresponsive(state: StateDirectory) -> None:
    with state.lock():
        _record(state, _part(state, "valkey", PartState.READY))
        status = current_status(state)
    assert status.ready is False
    assert [part.state for part in status.parts] == [PartState.UNRESPONSIVE]


def test_a_part_that_is_restarting_is_shown_so_and_not_asked(state: StateDirectory) -> None:
    with state.lock():
        _record(state, _part(state, "valkey", PartState.RESTARTING))
        assert [part.state for part in current_status(state).parts] == [PartState.RESTARTING]


def test_the_table_names_state_restarts_uptime_and_log(state: StateDirectory) -> None:
    with state.lock():
        _record(state, _part(state, "migrations", PartState.DONE), _part(state, "valkey", PartState.READY))
        printed = _printed(state)
    assert "127.0.0.1:7700" in printed
    assert "migrations" in printed
    assert "done" in printed
    assert "unresponsive" in printed
    assert "1:02:05" in printed
    assert str(state.logs) in printed
    assert "valkey.log" in printed
