"""The state directory: where a stack keeps its data, and where its clients find it."""

from __future__ import annotations

import enum
import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from whodex.stack.errors import AlreadyRunningError, NotStateDirectoryError

STATE_DIR_VARIABLE = "WHODEX_STATE_DIR"
DEFAULT_STATE_DIR = Path(".whodex")


class StackModel(BaseModel):
    """What the stack writes into files, and prints as JSON with names in camel case like all other commands."""

    # A file may come from a later version that knows more.
    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=to_camel, validate_by_name=True)


_ModelT = TypeVar("_ModelT", bound=StackModel)


class Secrets(StackModel):
    """What the parts prove themselves with to each other; made once for a state directory.

    Attributes:
        postgres_password: of Postgres' superuser.
        database_password: of the role that the services connect by.
    """

    postgres_password: str = Field(default_factory=lambda: secrets.token_hex(16))
    database_password: str = Field(default_factory=lambda: secrets.token_hex(16))
    valkey_password: str = Field(default_factory=lambda: secrets.token_hex(16))
    internal_token: str = Field(default_factory=lambda: secrets.token_urlsafe(32))
    receipt_key: str = Field(default_factory=lambda: secrets.token_urlsafe(32))
    admin_key: str = Field(default_factory=lambda: secrets.token_urlsafe(32))


class Connection(StackModel):
    """What a client needs: `client.json`, written once the stack is ready.

    Attributes:
        address: host:port of the public API.
        library: resource name of the default library.
        api_key: opens that library.
        admin_key: creates libraries.
        tls_ca: who signs the certificate of the public API; None: it speaks plaintext.
    """

    address: str
    library: str
    api_key: str
    admin_key: str
    tls_ca: Path | None = None


class PartState(enum.StrEnum):
    """Where a part is in its life."""

    WAITING = "waiting"
    STARTING = "starting"
    READY = "ready"
    DONE = "done"
    UNRESPONSIVE = "unresponsive"
    RESTARTING = "restarting"
    STOPPING = "stopping"
    STOPPED = "stopped"
    FAILED = "failed"


class PartRecord(StackModel):
    """One part as the supervisor saw it last.

    Attributes:
        pid: process id, which is also the id of the part's session and process group.
        create_time: when that process started, seconds since the epoch; tells it from a later one of that id.
        since: when the part entered its state.
    """

    name: str
    state: PartState
    pid: int | None
    create_time: float | None
    port: int | None
    restarts: int
    since: datetime
    log: Path


class StackRecord(StackModel):
    """The running stack, or the last one: `stack.json`, replaced on each change.

    Attributes:
        pid: the supervisor.
        address: host:port of the public API.
        tls: whether the parts speak TLS.
        ready_at: when every part was up and `client.json` written; None before.
    """

    pid: int
    address: str
    ports: dict[str, int]
    tls: bool = False
    started_at: datetime = Field(default_factory=lambda: datetime.now(UTC))
    ready_at: datetime | None = None
    parts: list[PartRecord] = []


@dataclass(frozen=True)
class StateDirectory:
    """Paths and files below one directory. No file in it is readable by other users."""

    root: Path

    @classmethod
    def locate(cls, state_dir: Path | None = None) -> StateDirectory:
        """The directory given, else `WHODEX_STATE_DIR`, else `./.whodex`."""
        root = state_dir or Path(os.environ.get(STATE_DIR_VARIABLE) or DEFAULT_STATE_DIR)
        return cls(root.expanduser().absolute())

    @property
    def logs(self) -> Path:
        """One log for each part, and the one before."""
        return self.root / "logs"

    @property
    def _lock_file(self) -> Path:
        return self.root / "lock"

    def log(self, part: str) -> Path:
        """The log of a part."""
        return self.logs / f"{part}.log"

    def folder(self, name: str) -> Path:
        """A part's own folder, made if need be."""
        folder = self.root / name
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return folder

    def create(self) -> None:
        """Makes the directory, mode 0700, and in it what tells it from others. One that exists keeps its mode.

        Raises:
            NotStateDirectoryError: something else is there.
        """
        if self._is_foreign():
            raise NotStateDirectoryError(
                f"{self.root} holds something else than a stack's state. Choose a new or an empty directory by "
                f"--state-dir or {STATE_DIR_VARIABLE}."
            )
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock_file.touch(mode=0o600)
        self.logs.mkdir(exist_ok=True, mode=0o700)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Holds the directory for this process; the kernel lets go of it however the process ends.

        Raises:
            AlreadyRunningError: another supervisor holds it.
        """
        with self._lock_file.open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise AlreadyRunningError(self._running_line()) from None
            lock.truncate(0)
            lock.write(str(os.getpid()))
            lock.flush()
            yield

    def supervisor_pid(self) -> int | None:
        """The process that holds the directory, if one does."""
        try:
            with self._lock_file.open() as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return None
        except BlockingIOError:
            return int(self._lock_file.read_text(encoding="ascii"))
        return None

    def refuse_if_running(self) -> None:
        """Raises `AlreadyRunningError` when a supervisor holds the directory."""
        if self.supervisor_pid() is not None:
            raise AlreadyRunningError(self._running_line())

    def secrets(self) -> Secrets:
        """The stack's secrets, made at the first call; those that an earlier version did not know are added."""
        path = self.root / "secrets.json"
        made = _read(path, Secrets) or Secrets()
        if made.model_fields_set != Secrets.model_fields.keys():
            write_model(path, made)
        return made

    def connection(self) -> Connection | None:
        """What `client.json` says, if a stack was ever ready here."""
        return _read(self.root / "client.json", Connection)

    def write_connection(self, connection: Connection) -> None:
        """Leaves what a client needs in `client.json`."""
        write_model(self.root / "client.json", connection)

    def record(self) -> StackRecord | None:
        """The running stack, or the last one."""
        return _read(self.root / "stack.json", StackRecord)

    def write_record(self, record: StackRecord) -> None:
        """Replaces `stack.json`."""
        write_model(self.root / "stack.json", record)

    def _is_foreign(self) -> bool:
        if not self.root.is_dir():
            return self.root.exists()
        found = {entry.name for entry in self.root.iterdir()}
        # Another `up` may be between the two just now.
        return not (found <= {self._lock_file.name} or found >= {self._lock_file.name, self.logs.name})

    def _running_line(self) -> str:
        record = self.record()
        where = f" at {record.address} (pid {record.pid})" if record else ""
        return f"A stack is already running{where} with the state in {self.root}. `whodex down` stops it."


def _read(path: Path, model: type[_ModelT]) -> _ModelT | None:
    try:
        return model.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None


def write_model(path: Path, content: StackModel) -> None:
    """Replaces a file, which its owner alone can read, at once: a reader sees the old content or the new."""
    scratch = path.with_suffix(".new")
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(content.model_dump_json(indent=2) + "\n")
    scratch.replace(path)
