import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from whodex.stack.errors import AlreadyRunningError, NotStateDirectoryError
from whodex.stack.state import Connection, StackRecord, StateDirectory

CONNECTION = Connection(address="127.0.0.1:7700", library="libraries/1", api_key="key", admin_key="admin")


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_argument_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WHODEX_STATE_DIR", str(tmp_path / "environment"))
    assert StateDirectory.locate(tmp_path / "argument").root == tmp_path / "argument"
    assert StateDirectory.locate().root == tmp_path / "environment"


def test_the_default_is_in_the_working_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("WHODEX_STATE_DIR", raising=False)
    monkeypatch.chdir(tmp_path)
    assert StateDirectory.locate().root == tmp_path / ".whodex"


def test_nobody_else_can_read_the_state(state: StateDirectory) -> None:
    state.secrets()
    state.write_connection(CONNECTION)
    assert _mode(state.root) == 0o700
    assert {_mode(state.root / name) for name in ("secrets.json", "client.json", "lock")} == {0o600}
    assert _mode(state.logs) == 0o700


def test_a_directory_that_exists_keeps_its_mode(tmp_path: Path) -> None:
    existing = tmp_path / "existing"
    existing.mkdir()
    existing.chmod(0o755)
    StateDirectory(existing).create()
    StateDirectory(existing).create()
    assert _mode(existing) == 0o755
    assert {_mode(path) for path in existing.iterdir()} == {0o600, 0o700}


@pytest.mark.parametrize("names", [["letters/to-ada.txt"], ["lock", "status"], ["logs/syslog"]])
def test_a_directory_of_something_else_is_refused_and_left_as_it_was(tmp_path: Path, names: list[str]) -> None:
    home = tmp_path / "home"
    for name in names:
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text("")
    home.chmod(0o755)
    before = sorted(home.rglob("*"))
    with pytest.raises(NotStateDirectoryError, match=rf"{home} holds something else .* --state-dir"):
        StateDirectory(home).create()
    assert sorted(home.rglob("*")) == before
    assert _mode(home) == 0o755


def test_a_file_is_no_state_directory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NotStateDirectoryError):
        StateDirectory(tmp_path / "file").create()


def test_secrets_are_made_once(state: StateDirectory, tmp_path: Path) -> None:
    other = StateDirectory(tmp_path / "other")
    other.create()
    assert state.secrets() == state.secrets()
    assert state.secrets() != other.secrets()


def test_a_secret_that_an_earlier_version_did_not_know_is_added_once(state: StateDirectory) -> None:
    earlier = state.secrets().model_dump(exclude={"database_password"}, by_alias=True)
    (state.root / "secrets.json").write_text(json.dumps(earlier))
    assert state.secrets() == state.secrets()
    assert state.secrets().postgres_password == earlier["postgresPassword"]


def test_a_connection_is_read_as_it_was_written(state: StateDirectory) -> None:
    assert state.connection() is None
    state.write_connection(CONNECTION)
    assert state.connection() == CONNECTION


def test_the_lock_names_its_holder(state: StateDirectory) -> None:
    assert state.supervisor_pid() is None
    with state.lock():
        assert state.supervisor_pid() == os.getpid()
    assert state.supervisor_pid() is None


def test_a_directory_that_does_not_exist_has_no_holder(tmp_path: Path) -> None:
    assert StateDirectory(tmp_path / "missing").supervisor_pid() is None


def test_a_second_holder_is_told_where_the_first_one_answers(state: StateDirectory) -> None:
    with state.lock():
        state.write_record(StackRecord(pid=os.getpid(), address="127.0.0.1:7720", ports={}))
        with pytest.raises(AlreadyRunningError, match=r"127\.0\.0\.1:7720"), state.lock():
            pass
        assert state.supervisor_pid() == os.getpid()


def test_the_lock_is_free_after_its_holder_was_killed(state: StateDirectory) -> None:
    hold = (
        "import sys, pathlib, whodex.stack.state as s\n"
        "with s.StateDirectory(pathlib.Path(sys.argv[1])).lock():\n"
        "    print('held', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", hold, state.root], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        assert state.supervisor_pid() == holder.pid
        holder.kill()
        holder.wait()
    assert state.supervisor_pid() is None
