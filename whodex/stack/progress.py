"""Tells a person how far the start of a stack is."""

from __future__ import annotations

from typing import TextIO

from whodex.stack.state import PartRecord, PartState, StackRecord, StateDirectory

NEWS = {PartState.READY, PartState.DONE, PartState.RESTARTING, PartState.FAILED, PartState.STOPPED}


class Progress:
    """Prints a line whenever a part enters a state that matters, and the address once all are ready."""

    def __init__(self, output: TextIO, state: StateDirectory) -> None:
        self._output = output
        self._state = state
        self._shown: dict[str, PartState] = {}
        self._ready_shown = False

    def show(self, record: StackRecord) -> None:
        """Prints what is new in the record."""
        for part in record.parts:
            if self._shown.get(part.name) != part.state:
                self._shown[part.name] = part.state
                self._show_part(part, record)
        if record.ready_at is not None and not self._ready_shown:
            self._ready_shown = True
            seconds = (record.ready_at - record.started_at).total_seconds()
            where = f"Ready at {record.address} after {seconds:.1f} s. State and logs: {self._state.root}"
            print(where, file=self._output, flush=True)

    def _show_part(self, part: PartRecord, record: StackRecord) -> None:
        if part.state in NEWS:
            seconds = (part.since - record.started_at).total_seconds()
            print(f"{seconds:6.1f} s  {part.name:<14} {part.state}", file=self._output, flush=True)
