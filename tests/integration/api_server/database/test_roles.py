"""Nothing serves as a role for which row-level security does not hold."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest
from sqlalchemy import URL, create_engine, make_url, text
from sqlalchemy.exc import ProgrammingError

from api_server.database import migration
from api_server.database.roles import UnfitRoleError

SETTINGS = {
    "WHODEX_STORE_URL": "file:///nowhere",
    "WHODEX_BROKER_URL": "redis://127.0.0.1:9/0",
    "WHODEX_API_LISTEN": "127.0.0.1:0",
    "WHODEX_INTERNAL_LISTEN": "127.0.0.1:0",
    "WHODEX_INDEXER_ADDRESS": "127.0.0.1:9",
    "WHODEX_ANALYSIS_ADDRESS": "127.0.0.1:9",
    "WHODEX_SCHEDULER_HEALTH_LISTEN": "127.0.0.1:0",
    "WHODEX_INTERNAL_TOKEN": "x" * 16,
    "WHODEX_ADMIN_KEY": "y" * 16,
    "WHODEX_RECEIPT_KEY": "A" * 43,
}


@pytest.fixture
def role(owner_database_url: str) -> Any:
    """Makes a role of a kind; returns the URL that it connects by. Roles belong to the whole server."""
    engine = create_engine(owner_database_url, isolation_level="AUTOCOMMIT")
    made: list[str] = []

    def make(kind: str) -> str:
        name = f"test_{kind.lower()}"
        made.append(name)
        with engine.connect() as connection:
            connection.execute(text(f"CREATE ROLE {name} LOGIN PASSWORD 'secret' {kind}"))
        return _as_role(owner_database_url, name)

    yield make
    with engine.connect() as connection:
        for name in made:
            connection.execute(text(f"DROP OWNED BY {name}"))
            connection.execute(text(f"DROP ROLE {name}"))
    engine.dispose()


def _as_role(url: str, name: str) -> str:
    return make_url(url).set(username=name, password="secret").render_as_string(hide_password=False)  # noqa: S106


@pytest.mark.parametrize(("kind", "power"), [("SUPERUSER", "is a superuser"), ("BYPASSRLS", "has BYPASSRLS")])
def test_a_process_does_not_start_as_a_role_that_sees_everything(
    owner_database_url: str, role: Any, kind: str, power: str
) -> None:
    url = role(kind)
    with pytest.raises(UnfitRoleError, match=power):
        migration.upgrade(owner_database_url, url)
    for module in ("api_server", "api_server.scheduler"):
        started = subprocess.run(
            [sys.executable, "-m", module],
            env={"PATH": os.environ["PATH"], "WHODEX_DATABASE_URL": url} | SETTINGS,
            capture_output=True,
            encoding="utf-8",
            timeout=60,
            check=False,
        )
        assert started.returncode == 1
        assert started.stderr.startswith("cannot start: the role test_")
        assert power in started.stderr
        assert len(started.stderr.splitlines()) == 1


def test_an_owner_is_refused_though_it_is_no_superuser(owner_database_url: str, role: Any) -> None:
    url = role("CREATEROLE")
    engine = create_engine(owner_database_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("ALTER TABLE feed_state OWNER TO test_createrole"))
    with pytest.raises(UnfitRoleError, match="owns the tables"):
        migration.check(url)
    engine.dispose()


def test_a_role_that_was_not_admitted_is_told_what_to_run(role: Any) -> None:
    with pytest.raises(UnfitRoleError, match=r"may not read the tables: run `python -m api_server\.database upgrade`"):
        migration.check(role("NOCREATEROLE"))


def test_an_owner_that_is_no_superuser_upgrades_and_makes_the_other_role(owner_database_url: str, role: Any) -> None:
    owner = make_url(role("CREATEROLE"))
    empty = f"of_{owner.username}"
    superuser = create_engine(owner_database_url, isolation_level="AUTOCOMMIT")
    with superuser.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {empty} OWNER {owner.username}"))
    try:
        owner_url, url = _in_database(owner, empty), _in_database(owner.set(username="test_made"), empty)
        migration.upgrade(owner_url, url)
        assert migration.check(url) == migration.upgrade(owner_url, url)
    finally:
        with superuser.connect() as connection:
            connection.execute(text(f"DROP DATABASE {empty} WITH (FORCE)"))
            connection.execute(text("DROP ROLE IF EXISTS test_made"))
        superuser.dispose()


def _in_database(url: URL, database: str) -> str:
    return url.set(database=database).render_as_string(hide_password=False)


def test_a_role_that_cannot_be_made_is_one_line_that_says_how(owner_database_url: str, role: Any) -> None:
    powerless = role("NOCREATEROLE")
    engine = create_engine(owner_database_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("GRANT ALL ON ALL TABLES IN SCHEMA public TO test_nocreaterole"))
    with pytest.raises(UnfitRoleError, match="CREATE ROLE test_missing LOGIN PASSWORD"):
        migration.upgrade(powerless, _as_role(powerless, "test_missing"))
    engine.dispose()


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE people DISABLE ROW LEVEL SECURITY",
        "ALTER TABLE people NO FORCE ROW LEVEL SECURITY",
        "DROP POLICY own_library ON people",
        "TRUNCATE people CASCADE",
        "UPDATE alembic_version SET version_num = '9999'",
        "CREATE TABLE mine (x int)",
    ],
)
def test_the_applications_role_cannot_change_the_schema(database_url: str, statement: str) -> None:
    engine = create_engine(database_url)
    with engine.connect() as connection, pytest.raises(ProgrammingError, match=r"must be owner|permission denied"):
        connection.execute(text(statement))
    engine.dispose()
