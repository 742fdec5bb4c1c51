"""The schema's version: bringing a database to it, and refusing one that is at another."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, NullPool, create_engine, make_url, text

from api_server.database import roles
from api_server.database.counts import recount

# Two processes that upgrade at once take turns. The number is arbitrary, but must stay the same.
_UPGRADE_LOCK = 0x77_68_6F_64_65_78


class SchemaMismatchError(Exception):
    """The database's schema is not the one that this code was written for."""


def upgrade(owner_url: str, url: str) -> str:
    """Applies the migrations that are missing, all in one transaction, and returns the schema's version.

    Args:
        owner_url: of the role that owns the tables.
        url: of the role that the services connect by; it is made if there is none, and may use every table.

    Raises:
        UnfitRoleError: the second role cannot be made.
    """
    config = _config()
    with _engine(owner_url).begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _UPGRADE_LOCK})
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        roles.admit(connection, make_url(url))
    check(url)
    return expected_version()


def check(url: str) -> str:
    """Returns the schema's version if it is this code's, and row-level security holds for the URL's role.

    Raises:
        SchemaMismatchError: it is older or newer; the message says which and what to do.
        UnfitRoleError: libraries would not be kept apart; the message says why and what to do.
    """
    with _engine(url).connect() as connection:
        roles.check(connection)
        _check(connection)
    return expected_version()


def start_new_epoch(url: str) -> str:
    """Gives the feed of embeddings a new history: after a restore, the same sequence means something else than before.

    Every index rebuilds itself, and consistency and page tokens from before are refused. What libraries hold is counted
    anew.

    Raises:
        SchemaMismatchError: as `check`.
    """
    with _engine(url).begin() as connection:
        _check(connection)
        connection.execute(text("UPDATE feed_state SET epoch = gen_random_uuid()"))
        # A dump of the rows alone, loaded into tables that are there, has been counted twice.
        recount(connection)
    return expected_version()


def expected_version() -> str:
    """The version of the newest migration in this package."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    if head is None:
        raise SchemaMismatchError("this installation holds no migrations: install it again")
    return head


def _check(connection: Connection) -> None:
    actual, expected = MigrationContext.configure(connection).get_current_revision(), expected_version()
    if actual == expected:
        return
    if actual is None:
        raise SchemaMismatchError("the database is empty: run `python -m api_server.database upgrade`")
    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    if actual in known:
        raise SchemaMismatchError(
            f"the database's schema is older ({actual}) than this code ({expected}): "
            "run `python -m api_server.database upgrade`"
        )
    raise SchemaMismatchError(
        f"the database's schema ({actual}) is newer than this code ({expected}): install the newer release"
    )


def _engine(url: str) -> Engine:
    # One connection each time; no pool is left behind. Row-level security holds for the owner too, unless it says this.
    return create_engine(url, poolclass=NullPool, connect_args={"options": "-c whodex.system=on"})


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("file_template", "v%%(rev)s_%%(slug)s")
    return config
