"""How a stack is right now: what its supervisor recorded, and what each part answers to its probe."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Group, RenderableType
from rich.table import Table

from whodex.stack.certificates import StackTls
from whodex.stack.parts import Part, all_parts
from whodex.stack.probes import NotReadyError
from whodex.stack.state import PartRecord, PartState, StackModel, StackRecord, StateDirectory

STYLES = {
    PartState.READY: "green",
    PartState.DONE: "green",
    PartState.FAILED: "red",
    PartState.UNRESPONSIVE: "red",
}


class Status(StackModel):
    """A stack at one moment.

    Attributes:
        pid: the supervisor; None: no stack is running.
        ready: every part answers, and clients find their key.
        parts: empty when none is running.
    """

    state_dir: Path
    pid: int | None
    address: str | None
    ready: bool
    parts: list[PartRecord]


def current_status(state: StateDirectory) -> Status:
    """Asks every part of the stack in this directory."""
    pid, record = state.supervisor_pid(), state.record()
    if pid is None or record is None or record.pid != pid:
        return Status(state_dir=state.root, pid=pid, address=None, ready=False, parts=[])
    parts = asyncio.run(_answering(state, record))
    healthy = all(part.state in {PartState.READY, PartState.DONE} for part in parts)
    ready = record.ready_at is not None and healthy
    return Status(state_dir=state.root, pid=pid, address=record.address, ready=ready, parts=parts)


def as_json(status: Status) -> str:
    """The status for programs."""
    return status.model_dump_json(by_alias=True, indent=2)


def as_table(status: Status) -> RenderableType:
    """The status for people."""
    if status.pid is None:
        return f"No stack is running with the state in {status.state_dir}."
    table = Table("part", "state", "pid", "port", "restarts", "uptime", "log", box=None, pad_edge=False)
    for part in status.parts:
        table.add_row(
            part.name,
            f"[{STYLES.get(part.state, 'yellow')}]{part.state}[/]",
            str(part.pid or ""),
            str(part.port or ""),
            str(part.restarts),
            _uptime(part),
            part.log.name,
        )
    head = f"Whodex at {status.address}, supervised by process {status.pid}. The logs are in {status.state_dir}/logs."
    return Group(head, table)


async def _answering(state: StateDirectory, record: StackRecord) -> list[PartRecord]:
    tls = StackTls.of(state) if record.tls else None
    parts = {part.name: part for part in all_parts(state, record.ports, state.secrets(), tls)}
    return await asyncio.gather(*(_answer(one, parts[one.name]) for one in record.parts))


async def _answer(record: PartRecord, part: Part) -> PartRecord:
    probe = part.final_probe or part.probe
    if record.state is not PartState.READY or probe is None:
        return record
    try:
        await probe()
    except NotReadyError:
        return record.model_copy(update={"state": PartState.UNRESPONSIVE})
    return record


def _uptime(part: PartRecord) -> str:
    if part.create_time is None or part.state not in {PartState.READY, PartState.UNRESPONSIVE}:
        return ""
    seconds = int(datetime.now(UTC).timestamp() - part.create_time)
    hours, rest = divmod(seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"
