"""The life of one stack, from the lock on its state directory to the last process gone."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import grpc

from whodex.stack import leftovers, preflight
from whodex.stack.certificates import StackTls
from whodex.stack.errors import PartFailedError, StackError
from whodex.stack.parts import MESH_PARTS, PORT_NAMES, all_parts
from whodex.stack.ports import LOOPBACK, claimed_ports
from whodex.stack.provision import provision
from whodex.stack.state import Connection, StackRecord, StateDirectory
from whodex.stack.supervisor import Supervisor

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

Observer = Callable[[StackRecord], None]


def run(state: StateDirectory, observe: Observer, *, encrypted: bool = False) -> None:
    """Starts the stack and keeps it running until SIGINT, SIGTERM or SIGHUP; then stops it.

    Args:
        state: the directory that holds its data.
        observe: sees the record after each change.
        encrypted: the parts speak TLS, and prove themselves to each other.

    Raises:
        StackError: it cannot start; nothing is left running.
    """
    if lines := preflight.unmet(state):
        raise StackError("\n".join(lines))
    state.create()
    with state.lock(), claimed_ports(PORT_NAMES) as ports:
        earlier = state.record()
        if earlier is not None:
            leftovers.end_leftovers(earlier)
        tls = StackTls.of(state) if encrypted else None
        if tls is not None:
            tls.issue(MESH_PARTS)
        asyncio.run(_supervise(state, ports, tls, observe))


async def _supervise(state: StateDirectory, ports: dict[str, int], tls: StackTls | None, observe: Observer) -> None:
    secrets = state.secrets()
    record = StackRecord(pid=os.getpid(), address=f"{LOOPBACK}:{ports['api']}", ports=ports, tls=tls is not None)

    def publish(**changes: Any) -> None:
        nonlocal record
        record = record.model_copy(update={"parts": supervisor.records, **changes})
        state.write_record(record)
        # The terminal that reads along may be gone. The stack stays, or stops in order.
        with contextlib.suppress(OSError):
            observe(record)

    supervisor = Supervisor(all_parts(state, ports, secrets, tls), state, publish)
    stopping = _cancel_on_signals()
    try:
        async with supervisor:
            publish()
            await supervisor.start()
            state.write_connection(await _provision(state, record.address, secrets.admin_key, tls))
            publish(ready_at=datetime.now(UTC))
            await supervisor.watch()
    except asyncio.CancelledError:
        if not stopping.is_set():
            raise


async def _provision(state: StateDirectory, address: str, admin_key: str, tls: StackTls | None) -> Connection:
    try:
        return await provision(address, admin_key, state.connection(), tls.public_ca if tls else None)
    except grpc.aio.AioRpcError as error:
        reason = f"did not make the default library: {error.code().name}: {error.details()}"
        raise PartFailedError("api_server", reason) from error


def _cancel_on_signals() -> asyncio.Event:
    """Lets the first stop signal cancel the running task; later ones change nothing."""
    stopping = asyncio.Event()
    running = asyncio.current_task()

    def stop() -> None:
        if running is not None and not stopping.is_set():
            stopping.set()
            running.cancel()

    for number in STOP_SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, stop)
    return stopping
