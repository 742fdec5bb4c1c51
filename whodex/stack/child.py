"""One part's process: started, watched, started again when it dies, stopped with all its descendants."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from asyncio.subprocess import DEVNULL, STDOUT, Process
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import psutil

from whodex.stack.errors import PartFailedError
from whodex.stack.parts import Part
from whodex.stack.probes import NotReadyError, Probe
from whodex.stack.state import PartRecord, PartState

POLL_SECONDS = 0.1
FIRST_BACKOFF_SECONDS = 1.0
LONGEST_BACKOFF_SECONDS = 30.0
# A part that has run this long is forgiven its earlier crashes.
STABLE_SECONDS = 60.0


class Child:
    """Runs one part.

    Args:
        part: what to run.
        log: where its output goes; the log of the run before is kept as `NAME.log.1`.
        directory: the working directory.
        on_change: called after each change of state.
    """

    def __init__(self, part: Part, *, log: Path, directory: Path, on_change: Callable[[], None]) -> None:
        self.part = part
        self._log = log
        self._directory = directory
        self._on_change = on_change
        self._state = PartState.WAITING
        self._since = datetime.now(UTC)
        self._process: Process | None = None
        self._group_is_ours = False
        self._create_time: float | None = None
        self._restarts = 0

    @property
    def record(self) -> PartRecord:
        """The part as it is now."""
        return PartRecord(
            name=self.part.name,
            state=self._state,
            pid=self._process.pid if self._process else None,
            create_time=self._create_time,
            port=self.part.port,
            restarts=self._restarts,
            since=self._since,
            log=self._log,
        )

    async def start(self) -> None:
        """Starts the part and returns once it is ready, or done if it is one that runs once.

        Raises:
            PartFailedError: it exited, or was not ready in time.
        """
        if self._log.exists():
            self._log.replace(self._log.with_suffix(".log.1"))
        try:
            if self.part.prepare is not None:
                self._enter(PartState.STARTING)
                await asyncio.to_thread(self.part.prepare)
            await self._launch()
        except PartFailedError:
            self._enter(PartState.FAILED)
            raise

    async def confirm(self) -> None:
        """Returns once the part's final probe succeeds, if it has one.

        Raises:
            PartFailedError: it exited, or did not answer in time.
        """
        if self.part.final_probe is not None and self._process is not None:
            await self._until_ready(self._process, self.part.final_probe)

    async def keep_running(self) -> None:
        """Starts the part again whenever it exits, with growing pauses. Runs until it is cancelled."""
        backoff_seconds = FIRST_BACKOFF_SECONDS
        while self._process is not None:
            started = time.monotonic()
            await self._process.wait()
            await self._kill_group()
            if time.monotonic() - started > STABLE_SECONDS:
                backoff_seconds = FIRST_BACKOFF_SECONDS
            self._restarts += 1
            self._enter(PartState.RESTARTING)
            await asyncio.sleep(backoff_seconds)
            backoff_seconds = min(2 * backoff_seconds, LONGEST_BACKOFF_SECONDS)
            # A part that fails again has exited by now: the next turn waits longer.
            with contextlib.suppress(PartFailedError):
                await self._launch()

    async def stop(self) -> None:
        """Asks the part to finish, and kills it if it does not, and the descendants that it leaves behind."""
        if self._process is None or not self._group_is_ours:
            return
        self._enter(PartState.STOPPING)
        # Its own process alone: what it has started, it ends in its own order.
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(self.part.stop_signal)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait(), self.part.stop_seconds)
        await self._kill_group()
        self._enter(PartState.STOPPED)

    async def _launch(self) -> None:
        # The kernel sends the part this signal when the supervisor dies, even by SIGKILL.
        death_signal = f"--pdeathsig={self.part.stop_signal.name.removeprefix('SIG')}"
        with self._log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *("setpriv", *self.part.privileges, death_signal, "--", *self.part.command),
                env=dict(self.part.environment),
                cwd=self._directory,
                stdin=DEVNULL,
                stdout=log,
                stderr=STDOUT,
                start_new_session=True,
            )
        self._process = process
        self._group_is_ours = True
        with contextlib.suppress(psutil.NoSuchProcess):
            self._create_time = psutil.Process(process.pid).create_time()
        self._enter(PartState.STARTING)
        try:
            if self.part.probe is None:
                await self._until_done(process)
            else:
                await self._until_ready(process, self.part.probe)
        except PartFailedError:
            await self._kill_group()
            raise
        self._enter(PartState.DONE if self.part.probe is None else PartState.READY)

    async def _until_done(self, process: Process) -> None:
        try:
            await asyncio.wait_for(process.wait(), self.part.ready_seconds)
        except TimeoutError:
            late = f"was not done within {self.part.ready_seconds:g} s"
            raise PartFailedError(self.part.name, late) from None
        if process.returncode != 0:
            raise PartFailedError(self.part.name, _exit_reason(process))
        await self._kill_group()

    async def _until_ready(self, process: Process, probe: Probe) -> None:
        deadline = time.monotonic() + self.part.ready_seconds
        while True:
            reason = await _reason_not_ready(probe)
            if process.returncode is not None:
                raise PartFailedError(self.part.name, _exit_reason(process))
            if reason is None:
                return
            if time.monotonic() > deadline:
                late = f"was not ready within {self.part.ready_seconds:g} s ({reason})"
                raise PartFailedError(self.part.name, late)
            await asyncio.sleep(POLL_SECONDS)

    async def _kill_group(self) -> None:
        """Kills what is left of the part. Once only: the id may belong to another group later on."""
        if self._process is None or not self._group_is_ours:
            return
        # The part leads a session and a process group of its own, so that the group's id is its pid.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._group_is_ours = False
        await self._process.wait()

    def _enter(self, state: PartState) -> None:
        self._state = state
        self._since = datetime.now(UTC)
        self._on_change()


async def _reason_not_ready(probe: Probe) -> str | None:
    try:
        await probe()
    except NotReadyError as error:
        return str(error)
    return None


def _exit_reason(process: Process) -> str:
    code = process.returncode or 0
    if code < 0:
        return f"was ended by {signal.Signals(-code).name} while it started"
    return f"exited with code {code} while it started"
