"""Makes a state directory out of a backup: the next `whodex up` starts from it."""

from __future__ import annotations

import asyncio
import os
import shutil
from dataclasses import replace
from pathlib import Path

from whodex.stack import postgres, preflight
from whodex.stack.backup import Backup, BackupDirectory
from whodex.stack.errors import StackError
from whodex.stack.parts import PORT_NAMES, Part, all_parts
from whodex.stack.ports import LOOPBACK, claimed_ports
from whodex.stack.run import Observer
from whodex.stack.state import StackRecord, StateDirectory
from whodex.stack.supervisor import Supervisor

# As long as the largest database takes.
RESTORE_SECONDS = 24 * 3600.0


def scratch(state: StateDirectory) -> StateDirectory:
    """Where the state is made; what a restore that failed has left there tells why."""
    return StateDirectory(state.root.with_name(f"{state.root.name}.restoring"))


def restore(directory: Path, state: StateDirectory, observe: Observer) -> Backup:
    """Makes the state directory, all of it or nothing.

    Args:
        directory: the backup.
        state: where the stack is to have its data; it must not exist, or be empty.
        observe: sees the parts that take part in it.

    Raises:
        StackError: the backup or the state directory is not fit.
        PartFailedError: Postgres does not take the dump; its log is in `scratch`.
    """
    backup = BackupDirectory(directory)
    described = backup.read()
    if state.root.exists() and any(state.root.iterdir()):
        raise StackError(f"{state.root} is not empty. Move it away first, or name another by --state-dir.")
    made = scratch(state)
    shutil.rmtree(made.root, ignore_errors=True)
    if lines := preflight.unmet(made):
        raise StackError("\n".join(lines))
    made.create()
    with made.lock(), claimed_ports(PORT_NAMES) as ports:
        _copy_files(backup, made)
        asyncio.run(_fill_database(backup, made, ports, observe))
        made.root.rename(state.root)
    return described


def _copy_files(backup: BackupDirectory, made: StateDirectory) -> None:
    try:
        shutil.copytree(backup.state, made.root, dirs_exist_ok=True)
        shutil.copytree(backup.objects, made.folder("objects"), dirs_exist_ok=True)
    except (OSError, shutil.Error) as error:
        raise StackError(f"The backup's files cannot be copied to {made.root}: {error}") from error


async def _fill_database(
    backup: BackupDirectory, state: StateDirectory, ports: dict[str, int], observe: Observer
) -> None:
    record = StackRecord(pid=os.getpid(), address=f"{LOOPBACK}:{ports['api']}", ports=ports)
    parts = _parts(backup, state, ports)
    supervisor = Supervisor(parts, state, lambda: observe(record.model_copy(update={"parts": supervisor.records})))
    async with supervisor:
        await supervisor.start()


def _parts(backup: BackupDirectory, state: StateDirectory, ports: dict[str, int]) -> list[Part]:
    """Postgres, the dump into it, the migrations since, and a new history of the feed."""
    secrets = state.secrets()
    known = {part.name: part for part in all_parts(state, ports, secrets)}
    dump = Part(
        name="dump",
        command=(
            *(str(postgres.binary("pg_restore")), "--exit-on-error", "--single-transaction", "--no-owner"),
            *("--no-privileges", "--host", LOOPBACK, "--port", str(ports["postgres"])),
            *("--username", postgres.SUPERUSER, "--dbname", postgres.DATABASE, str(backup.dump.absolute())),
        ),
        probe=None,
        environment=os.environ | {"PGPASSWORD": secrets.postgres_password},
        after=("postgres",),
        ready_seconds=RESTORE_SECONDS,
    )
    migrations = replace(known["migrations"], after=("dump",), ready_seconds=RESTORE_SECONDS)
    restored = replace(
        migrations, name="restored", command=(*migrations.command[:-1], "restored"), after=(migrations.name,)
    )
    return [known["postgres"], dump, migrations, restored]
