"""The pages and the log of a real Postgres, after rows were deleted."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import make_url, text

from api_server.database.engine import Database
from api_server.database.schema import Base, ErasureKind
from api_server.database.scrub import NotScrubbedError, scrub
from api_server.erasures.personal import personal_tables

# What is in a table without being about anybody: ids, times, counts, measures.
IMPERSONAL = {
    "scenes",
    "contents",
    "outbox",
    "feed_state",
    "embedding_spaces",
    "decoder_hosts",
    "erasures",
    "receipt_keys",
    "audit_chains",
    "audit_entries",
}


@pytest.fixture
def connect(database_url: str) -> Any:
    """Opens a connection."""
    url = make_url(database_url).set(drivername="postgresql").render_as_string(hide_password=False)
    return lambda: psycopg.AsyncConnection.connect(url)


async def _files_with(database: Database, marker: str) -> list[str]:
    async with database.reads() as session:
        root = Path(await session.scalar(text("SHOW data_directory")))
    found = [path for path in await asyncio.to_thread(lambda: list(root.rglob("*"))) if path.is_file()]
    return [str(path.relative_to(root)) for path in found if marker.encode() in path.read_bytes()]


async def test_deleted_rows_are_in_no_page_and_not_in_the_log(rows: Any, database: Database, database_url: str) -> None:
    library, marker = await rows.library(), uuid4().hex
    await rows.do("UPDATE libraries SET display_name = :marker", marker=marker)
    for _ in range(20):
        await rows.person(library)
    await rows.do("UPDATE people SET display_name = :marker", marker=marker)
    await rows.do("UPDATE people SET display_name = 'other'")
    for statement in ("CHECKPOINT", "ANALYZE", "DELETE FROM libraries", "CHECKPOINT"):
        await rows.do(statement)
    assert {path.partition("/")[0] for path in await _files_with(database, marker)} == {"base", "pg_wal"}

    await scrub(database_url, ["people", "libraries"])

    assert await _files_with(database, marker) == []


async def test_rows_that_a_session_still_sees_are_not_said_to_be_gone(
    rows: Any, connect: Any, database_url: str
) -> None:
    await rows.library()
    async with await connect() as connection:
        await connection.set_isolation_level(psycopg.IsolationLevel.REPEATABLE_READ)
        await connection.execute("SELECT 1 FROM libraries")
        await rows.do("DELETE FROM libraries")
        with pytest.raises(NotScrubbedError, match=f"may still be seen by session {connection.info.backend_pid}"):
            await scrub(database_url, ["people"])


async def test_a_table_that_is_in_use_is_left_for_the_next_time(connect: Any, database_url: str) -> None:
    async with await connect() as connection:
        await connection.execute("LOCK TABLE people IN ACCESS SHARE MODE")
        with pytest.raises(NotScrubbedError, match="lock timeout"):
            await scrub(database_url, ["people"])


def test_every_table_is_known_to_hold_personal_data_or_none() -> None:
    personal = personal_tables(set(ErasureKind))

    assert set(personal).isdisjoint(IMPERSONAL)
    assert set(personal) | IMPERSONAL == set(Base.metadata.tables)


async def test_the_planner_keeps_no_value_of_a_personal_column(rows: Any) -> None:
    columns = await rows.all(
        "SELECT attrelid::regclass || '.' || attname AS name FROM pg_attribute "
        "WHERE attrelid::regclass::text = ANY(:tables) AND attnum > 0 AND NOT attisdropped "
        "AND atttypid IN ('text'::regtype, 'bytea'::regtype, 'jsonb'::regtype) AND attstattarget IS DISTINCT FROM 0",
        tables=personal_tables(set(ErasureKind)),
    )

    # States, kinds, names of tasks, spaces and workers; correlation ids; limits.
    assert {column.name.partition(".")[2] for column in columns} <= {
        "state", "kind", "task", "space", "query_space", "worker", "correlation_id", "limit_overrides",
    }  # fmt: skip
