"""What a transaction promises when its call is cancelled or Postgres goes away."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import text

from api_server.database.engine import Database
from whodex.errors import UnavailableError
from whodex.v1 import error_reason_pb2

INSERT = text("INSERT INTO libraries (id, display_name) VALUES (gen_random_uuid(), 'Library')")


async def test_a_block_that_raises_is_rolled_back(database: Database, rows: Any) -> None:
    async def refuse() -> None:
        async with database.transaction() as session:
            await session.execute(INSERT)
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await refuse()
    assert await rows.one("SELECT count(*) FROM libraries") == (0,)


async def test_a_commit_under_way_is_not_interrupted(database: Database, rows: Any) -> None:
    # A deferred trigger makes the commit itself last.
    await rows.do(
        "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.5); RETURN NULL; END'"
    )
    await rows.do(
        "CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON libraries DEFERRABLE INITIALLY DEFERRED"
        " FOR EACH ROW EXECUTE FUNCTION wait()"
    )
    committing = asyncio.Event()

    async def insert() -> None:
        async with database.transaction() as session:
            await session.execute(INSERT)
            committing.set()

    call = asyncio.create_task(insert())
    await committing.wait()
    await asyncio.sleep(0.1)
    call.cancel()
    await asyncio.sleep(0.1)
    call.cancel()
    await asyncio.wait([call])
    assert await rows.one("SELECT count(*) FROM libraries") == (1,)
    # The connection goes on to serve others.
    await database.check()


async def test_a_lost_connection_is_unavailable_once(database: Database) -> None:
    async def lose() -> None:
        async with database.transaction() as session:
            await session.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

    with pytest.raises(UnavailableError) as caught:
        await lose()
    assert caught.value.reason == error_reason_pb2.ERROR_REASON_STORAGE_UNAVAILABLE
    await database.check()


async def test_a_database_that_does_not_answer_is_unavailable() -> None:
    away = Database.from_url("postgresql+psycopg://whodex@127.0.0.1:9/whodex", application="tests")
    with pytest.raises(UnavailableError):
        await away.check()
    await away.aclose()


async def test_a_snapshot_sees_one_moment(database: Database, rows: Any) -> None:
    count = text("SELECT count(*) FROM libraries")
    async with database.snapshot() as session:
        before = await session.scalar(count)
        await rows.do(INSERT.text)
        assert await session.scalar(count) == before
    async with database.snapshot() as session:
        assert await session.scalar(count) == before + 1
