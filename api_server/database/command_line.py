"""`python -m api_server.database upgrade|check`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from sqlalchemy.exc import OperationalError

from api_server.database import migration
from whodex.runtime.settings import Secret, Settings, load_settings


class DatabaseSettings(Settings):
    """Where the database is."""

    database_url: Secret


def main(arguments: Sequence[str] | None = None) -> int | str:
    """Runs the command; returns 0, or the one line that says why not."""
    parser = argparse.ArgumentParser(prog="python -m api_server.database")
    parser.add_argument("command", choices=["upgrade", "check"], help="bring the schema up to date, or only look")
    command = parser.parse_args(arguments).command
    url = load_settings(DatabaseSettings).database_url.get_secret_value()
    try:
        version = migration.upgrade(url) if command == "upgrade" else migration.check(url)
    except migration.SchemaMismatchError as error:
        return f"the schema does not fit: {error}"
    except OperationalError as error:
        return f"the database does not answer: {str(error.orig).splitlines()[0]}"
    print(f"the database's schema is at version {version}")  # noqa: T201 - this is the command's output
    return 0
