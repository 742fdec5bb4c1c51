"""The schema's version, and that the migrations make exactly the tables that the code names."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine, make_url, text

from api_server.database import migration
from api_server.database.schema import Base


@pytest.fixture
def execute(owner_database_url: str) -> Any:
    """Runs a statement."""
    url = make_url(owner_database_url).set(drivername="postgresql").render_as_string(hide_password=False)

    def run(statement: str) -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(statement)  # type: ignore[call-overload]

    return run


def _run(module: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        env={"PATH": os.environ["PATH"]} | environment,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )


def test_the_migrations_make_the_tables_of_the_schema(owner_database_url: str) -> None:
    engine = create_engine(owner_database_url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, Base.metadata) == []
    engine.dispose()


def test_upgrading_twice_changes_nothing(owner_database_url: str, database_url: str) -> None:
    assert (
        migration.upgrade(owner_database_url, database_url)
        == migration.expected_version()
        == migration.check(database_url)
    )


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("DROP TABLE alembic_version", "empty"),
        ("UPDATE alembic_version SET version_num = '9999'", "newer"),
    ],
)
def test_a_schema_that_does_not_fit_is_refused_in_one_line(
    database_url: str, execute: Any, statement: str, problem: str
) -> None:
    execute(statement)
    with pytest.raises(migration.SchemaMismatchError, match=problem):
        migration.check(database_url)
    checked = _run("api_server.database", "check", WHODEX_DATABASE_URL=database_url)
    assert checked.returncode == 1
    assert problem in checked.stderr
    assert len(checked.stderr.splitlines()) == 1


def test_the_server_does_not_start_on_a_schema_that_does_not_fit(
    database_url: str, execute: Any, tmp_path: Any
) -> None:
    execute("UPDATE alembic_version SET version_num = '9999'")
    started = _run(
        "api_server",
        WHODEX_DATABASE_URL=database_url,
        WHODEX_STORE_URL=tmp_path.as_uri(),
        WHODEX_API_LISTEN="127.0.0.1:0",
        WHODEX_INTERNAL_LISTEN="127.0.0.1:0",
        WHODEX_INDEXER_ADDRESS="127.0.0.1:9",
        WHODEX_ANALYSIS_ADDRESS="127.0.0.1:9",
        WHODEX_INTERNAL_TOKEN="x" * 16,
        WHODEX_ADMIN_KEY="y" * 16,
    )
    assert started.returncode == 1
    assert started.stderr.startswith("cannot start: the database's schema (9999) is newer")
    assert len(started.stderr.splitlines()) == 1


def test_a_database_that_is_away_is_one_line() -> None:
    url = "postgresql+psycopg://whodex:secret@127.0.0.1:9/whodex"
    checked = _run("api_server.database", "check", WHODEX_DATABASE_URL=url)
    assert checked.returncode == 1
    assert "does not answer" in checked.stderr
    assert "secret" not in checked.stderr
    assert len(checked.stderr.splitlines()) == 1


def test_a_setting_that_is_missing_is_named() -> None:
    checked = _run("api_server.database", "check")
    assert checked.returncode == 1
    assert "WHODEX_DATABASE_URL" in checked.stderr


def test_a_restored_database_starts_a_new_history(database_url: str) -> None:
    engine = create_engine(database_url)
    with engine.connect() as connection:
        before = connection.scalar(text("SELECT epoch FROM feed_state"))
    done = _run("api_server.database", "restored", WHODEX_DATABASE_URL=database_url)
    assert done.returncode == 0, done.stderr
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT epoch FROM feed_state")) != before
    engine.dispose()
