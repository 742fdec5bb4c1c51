import io
from datetime import UTC, datetime, timedelta

from whodex.stack.progress import Progress
from whodex.stack.state import PartRecord, PartState, StackRecord, StateDirectory

STARTED = datetime.now(UTC) - timedelta(seconds=3)


def _record(state: StateDirectory, part_state: PartState, *, ready_at: datetime | None = None) -> StackRecord:
    part = PartRecord(
        name="postgres",
        state=part_state,
        pid=None,
        create_time=None,
        port=None,
        restarts=0,
        since=STARTED + timedelta(seconds=1.25),
        log=state.log("postgres"),
    )
    return StackRecord(pid=1, address="127.0.0.1:7700", ports={}, started_at=STARTED, ready_at=ready_at, parts=[part])


def test_each_piece_of_news_is_told_once(state: StateDirectory) -> None:
    output = io.StringIO()
    progress = Progress(output, state)
    for part_state in (PartState.WAITING, PartState.STARTING, PartState.READY, PartState.READY):
        progress.show(_record(state, part_state))
    assert output.getvalue() == "   1.2 s  postgres       ready\n"


def test_the_address_is_told_when_all_is_ready(state: StateDirectory) -> None:
    output = io.StringIO()
    progress = Progress(output, state)
    for _ in range(2):
        progress.show(_record(state, PartState.READY, ready_at=STARTED + timedelta(seconds=8)))
    assert output.getvalue().count("Ready at 127.0.0.1:7700 after 8.0 s.") == 1
    assert str(state.root) in output.getvalue()
