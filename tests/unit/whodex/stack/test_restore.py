from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path

import pytest

from whodex.stack.backup import Backup, BackupDirectory, back_up
from whodex.stack.errors import StackError
from whodex.stack.restore import restore
from whodex.stack.state import StackRecord, StateDirectory, write_model


def _nobody_looks(record: StackRecord) -> None:
    """Observes nothing."""


@pytest.fixture
def backup(tmp_path: Path) -> BackupDirectory:
    """A backup as far as its own description goes."""
    made = BackupDirectory(tmp_path / "backup")
    made.objects.mkdir(parents=True)
    made.dump.write_bytes(b"rows")
    (made.objects / "photo").write_bytes(b"bytes")
    made.describe(datetime(2026, 1, 1, tzinfo=UTC))
    return made


def test_a_backup_tells_what_it_holds(backup: BackupDirectory) -> None:
    read = backup.read()
    assert (read.object_count, read.object_bytes) == (1, 5)
    assert read.dump_sha256 == hashlib.sha256(b"rows").hexdigest()


def test_a_directory_that_is_no_backup_is_refused(tmp_path: Path) -> None:
    state = StateDirectory(tmp_path / "state")
    with pytest.raises(StackError, match="is no backup of Whodex"):
        restore(tmp_path, state, _nobody_looks)
    assert not state.root.exists()


def test_a_dump_that_was_changed_is_refused(backup: BackupDirectory, tmp_path: Path) -> None:
    backup.dump.write_bytes(b"rowz")
    with pytest.raises(StackError, match="damaged"):
        restore(backup.root, StateDirectory(tmp_path / "state"), _nobody_looks)


def test_a_description_of_a_later_version_is_read(backup: BackupDirectory) -> None:
    class Later(Backup):
        compression: str

    write_model(backup.root / "backup.json", Later(compression="zstd", **backup.read().model_dump()))
    assert backup.read().object_count == 1


def test_nothing_that_exists_is_overwritten(backup: BackupDirectory, state: StateDirectory) -> None:
    (state.root / "secrets.json").write_text("{}")
    with pytest.raises(StackError, match="is not empty"):
        restore(backup.root, state, _nobody_looks)
    assert (state.root / "secrets.json").read_text() == "{}"


def test_a_stack_that_does_not_run_is_not_backed_up(state: StateDirectory, tmp_path: Path) -> None:
    with pytest.raises(StackError, match="No stack is running"):
        back_up(state, tmp_path / "backup")
    assert not (tmp_path / "backup").exists()
