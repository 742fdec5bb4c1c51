"""The schema's version, and that the migrations make exactly the tables that the code names."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine, make_url, text

from api_server.database import migration, migrations
from api_server.database.schema import Base
from whodex.v1.person_pb2 import FaceQuality


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


@pytest.fixture
def upgrade_to(owner_database_url: str, execute: Any) -> Any:
    """Makes the tables of an older version."""

    def run(revision: str) -> None:
        execute("DROP SCHEMA public CASCADE")
        execute("CREATE SCHEMA public")
        config = Config()
        config.set_main_option("script_location", str(Path(migrations.__file__).parent))
        engine = create_engine(owner_database_url)
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, revision)
        engine.dispose()

    return run


def test_what_was_measured_of_photos_before_is_kept(
    owner_database_url: str, database_url: str, execute: Any, upgrade_to: Any
) -> None:
    upgrade_to("0003")
    execute("""
        WITH library AS (INSERT INTO libraries (id, display_name) VALUES (gen_random_uuid(), 'Library') RETURNING id),
        person AS (
            INSERT INTO people (id, library_id, display_name) SELECT gen_random_uuid(), id, 'Ada' FROM library
            RETURNING id, library_id
        ), content AS (
            INSERT INTO contents (id, library_id, owner_id, key, media_type, size_bytes)
            SELECT gen_random_uuid(), library_id, id, 'key', 'image/jpeg', 1 FROM person RETURNING id
        )
        INSERT INTO reference_photos (id, person_id, library_id, file_name, state, content_sha256, content_id,
            face_size_px, sharpness, detection_score)
        SELECT gen_random_uuid(), person.id, library_id, 'ada.jpg', 'ready', '', content.id, 120.5, 8.25, 0.75
        FROM person, content
    """)

    migration.upgrade(owner_database_url, database_url)

    engine = create_engine(owner_database_url)
    with engine.connect() as connection:
        row = connection.execute(text("SELECT * FROM reference_photos")).one()
    engine.dispose()
    expected = FaceQuality(face_size_px=120.5, sharpness=8.25, detection_score=0.75)
    assert FaceQuality.FromString(row.quality) == expected
    assert (row.quality_warnings, row.same_person_confirmed, row.duplicate_of) == ([], False, None)
