"""Backs a running stack up into one directory: what cannot be made again (docs/backup.md).

The database is dumped first, in one snapshot, and then the objects are copied that its rows name. What is deleted in
between has lost its objects: then the database is dumped again, and names them no longer. An object that a later dump
still names is lost, since a row always goes before its objects: the backup says so.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from whodex.stack import postgres
from whodex.stack.errors import StackError
from whodex.stack.ports import LOOPBACK
from whodex.stack.state import StackModel, StateDirectory, write_model

# What a start makes again, or what another part of the backup holds. All else in a state directory is copied.
MADE_AGAIN = frozenset({"index", "lock", "logs", "objects", "postgres", "stack.json", "triton", "valkey"})

_COPY = re.compile(r"^COPY \S*\bcontents \((?P<columns>.+)\) FROM stdin;$")


class Backup(StackModel):
    """What a backup says of itself: `backup.json`, written last.

    Attributes:
        create_time: what was committed until then is in it.
        dump_sha256: of the database's dump, in hexadecimal.
        object_count: how many objects the rows of the dump name.
        object_bytes: their size.
        missing_objects: keys that rows name and the object store does not have.
    """

    create_time: datetime
    dump_sha256: str
    object_count: int
    object_bytes: int
    missing_objects: tuple[str, ...] = ()


class BackupDirectory:
    """The files of a backup."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.dump = root / "database.dump"
        self.objects = root / "objects"
        self.state = root / "state"
        self._description = root / "backup.json"

    def read(self) -> Backup:
        """What the backup says of itself.

        Raises:
            StackError: it is no backup, or its dump is not the one that was written.
        """
        try:
            described = Backup.model_validate_json(self._description.read_bytes())
        except (OSError, ValidationError) as error:
            raise StackError(f"{self.root} is no backup of Whodex: it has no readable backup.json.") from error
        if not self.dump.is_file() or _sha256(self.dump) != described.dump_sha256:
            raise StackError(f"{self.dump} is damaged: its SHA-256 is not the one in backup.json. Use another backup.")
        return described

    def describe(self, create_time: datetime, missing_objects: Collection[str] = ()) -> Backup:
        """Writes down what is there: from now on it is a backup."""
        sizes = [path.stat().st_size for path in self.objects.rglob("*") if path.is_file()]
        described = Backup(
            create_time=create_time,
            dump_sha256=_sha256(self.dump),
            object_count=len(sizes),
            object_bytes=sum(sizes),
            missing_objects=tuple(sorted(missing_objects)),
        )
        write_model(self._description, described)
        return described


def back_up(state: StateDirectory, directory: Path) -> Backup:
    """Writes a backup of the running stack.

    Args:
        state: the stack's.
        directory: where the backup goes; it must not exist, and exists only once it is whole.

    Raises:
        StackError: no stack is running, or the backup cannot be made; nothing of it is left.
    """
    record = state.record()
    if record is None or state.supervisor_pid() is None:
        raise StackError(
            f"No stack is running with the state in {state.root}. Start it by `whodex up --detach` and try again; "
            "of one that is stopped, copy the directory."
        )
    with _whole_or_nothing(directory) as scratch:
        backup = BackupDirectory(scratch)
        _copy_state(state, backup)
        described = backup.describe(*_copy_data(state, record.ports["postgres"], backup))
        # A backup that a power failure can undo is none.
        os.sync()
    return described


@contextmanager
def _whole_or_nothing(directory: Path) -> Iterator[Path]:
    if directory.exists():
        raise StackError(f"{directory} exists. Give each backup a directory of its own.")
    scratch = directory.with_name(f"{directory.name}.partial")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True, mode=0o700)
    try:
        yield scratch
        scratch.rename(directory)
    except OSError as error:
        raise StackError(f"The backup cannot be written: {error}") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _copy_state(state: StateDirectory, backup: BackupDirectory) -> None:
    backup.state.mkdir(mode=0o700)
    for entry in state.root.iterdir():
        if entry.is_dir() and entry.name not in MADE_AGAIN:
            shutil.copytree(entry, backup.state / entry.name)
        elif entry.name not in MADE_AGAIN and entry.suffix != ".new":
            shutil.copy2(entry, backup.state / entry.name)


def _copy_data(state: StateDirectory, port: int, backup: BackupDirectory) -> tuple[datetime, set[str]]:
    """Dumps the database and copies the objects that it names; returns when, and the keys of those that are lost."""
    backup.objects.mkdir(mode=0o700)
    missing = set[str]()
    while True:
        create_time = datetime.now(UTC)
        _dump(port, state.secrets().postgres_password, backup.dump)
        named = set(named_keys(backup.dump))
        missing_before = missing
        missing = {key for key in named if not _copy_object(state.folder("objects"), backup.objects, key)}
        if missing <= missing_before:
            _drop_others(backup.objects, named)
            return create_time, missing


def _copy_object(source: Path, target: Path, key: str) -> bool:
    """Copies an object unless it was copied before; whether it was there. Objects never change."""
    copy = target / key
    if copy.exists():
        return True
    copy.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        shutil.copy2(source / key, copy)
    except FileNotFoundError:
        return False
    return True


def _drop_others(objects: Path, named: set[str]) -> None:
    """Removes what an earlier dump named and the last one does not: it was deleted meanwhile."""
    for path in objects.rglob("*"):
        if path.is_file() and str(path.relative_to(objects)) not in named:
            path.unlink()


def named_keys(dump: Path) -> Iterator[str]:
    """Yields the keys of all objects that the dump's rows name.

    Raises:
        StackError: the dump cannot be read.
    """
    command: list[str | Path] = [postgres.binary("pg_restore"), "--data-only", "--table=contents", "--file=-", dump]
    with subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8") as reading:
        yield from _column(reading.stdout or (), "key")
    if reading.returncode != 0:
        raise StackError(f"{dump} cannot be read: pg_restore ended with {reading.returncode}.")


def _column(lines: Iterable[str], name: str) -> Iterator[str]:
    """Yields the values of a column of the table in COPY's text format; ours hold nothing that it escapes."""
    index: int | None = None
    for line in lines:
        if found := _COPY.match(line):
            index = found["columns"].split(", ").index(name)
        elif line == "\\.\n":
            index = None
        elif index is not None:
            yield line.rstrip("\n").split("\t")[index]


def _dump(port: int, password: str, file: Path) -> None:
    # Neither owners nor privileges: whoever restores it decides about both.
    done = subprocess.run(
        [
            *(postgres.binary("pg_dump"), "--format=custom", "--no-owner", "--no-privileges", f"--file={file}"),
            *("--host", LOOPBACK, "--port", str(port), "--username", postgres.SUPERUSER, postgres.DATABASE),
        ],
        env=os.environ | {"PGPASSWORD": password},
        stderr=subprocess.PIPE,
        encoding="utf-8",
        check=False,
    )
    if done.returncode != 0:
        raise StackError(f"Postgres cannot be dumped: {done.stderr.strip()}")


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
