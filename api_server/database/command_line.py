"""`python -m api_server.database upgrade|check|restored`."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

from sqlalchemy.exc import OperationalError

from api_server.database import migration
from api_server.database.roles import UnfitRoleError
from whodex.runtime.settings import Secret, Settings, load_settings


class DatabaseSettings(Settings):
    """Where the database is, with the role that the services connect by."""

    database_url: Secret


class UpgradeSettings(DatabaseSettings):
    """The same, and the role that owns the tables."""

    database_owner_url: Secret


def main(arguments: Sequence[str] | None = None) -> int | str:
    """Runs the command; returns 0, or the one line that says why not."""
    parser = argparse.ArgumentParser(prog="python -m api_server.database")
    commands: dict[str, Callable[[str], str]] = {
        "upgrade": _upgrade,
        "check": migration.check,
        "restored": migration.start_new_epoch,
    }
    help_text = "bring the schema up to date; only look; or say that this database comes out of a backup"
    parser.add_argument("command", choices=commands, help=help_text)
    command = commands[parser.parse_args(arguments).command]
    url = load_settings(DatabaseSettings).database_url.get_secret_value()
    try:
        version = command(url)
    except (migration.SchemaMismatchError, UnfitRoleError) as error:
        return f"the database does not fit: {error}"
    except OperationalError as error:
        return f"the database does not answer: {str(error.orig).splitlines()[0]}"
    print(f"the database's schema is at version {version}")  # noqa: T201 - this is the command's output
    return 0


def _upgrade(url: str) -> str:
    return migration.upgrade(load_settings(UpgradeSettings).database_owner_url.get_secret_value(), url)
