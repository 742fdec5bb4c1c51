"""Postgres keeps libraries apart by itself: also where a query forgets to, and on connections that many share."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Table, delete, func, select, text, update
from sqlalchemy.exc import DBAPIError

from api_server.access.caller import Caller
from api_server.database.engine import Database
from api_server.database.schema import Base, Person
from whodex.runtime.interceptors import called_by

# Tables that hold nothing of any library.
SHARED = {"feed_state", "embedding_spaces", "receipt_keys"}
# Tables without a column for the library: what they hold is for the system alone.
OF_THE_SYSTEM = {"staged_parts", "outbox", "decoder_hosts"}
TENANT_TABLES = [table for table in Base.metadata.sorted_tables if table.name not in SHARED | OF_THE_SYSTEM]
# What is in the audit log stays as it was written: the role may not change it at all, see public/test_audit.py.
CHANGEABLE_TABLES = [table for table in TENANT_TABLES if table.name != "audit_entries"]


@dataclass(frozen=True)
class Two:
    """A library and another, each with a row in every table."""

    own: UUID
    other: UUID


@pytest.fixture
async def two(rows: Any, worker: Any, samples: Any) -> Two:
    await rows.space()
    libraries = [await rows.library() for _ in range(2)]
    for library_id in libraries:
        person_id = await rows.person(library_id)
        photo_id = await rows.photo(library_id, person_id)
        video_id = await rows.video(library_id)
        (photo,) = await worker.claim(worker.photos)
        await worker.complete((photo, samples.photo_result(1, 2)))
        (video,) = await worker.claim(worker.videos)
        await worker.stage(video, samples.video_part(0, [3, 4]))
        await worker.complete((video, samples.video_result(1)))
        await rows.do(
            "INSERT INTO api_keys (id, library_id, display_name, prefix, role, secret_sha256) "
            "VALUES (gen_random_uuid(), :library_id, 'Key', 'wdx_', 'admin', :digest)",
            library_id=library_id,
            digest=library_id.bytes,
        )
        await rows.do(
            "INSERT INTO erasures (id, library_id, kind, target, media_ids, removed, settle_time) "
            "VALUES (gen_random_uuid(), :library_id, 'video', 'a video', '{}', '{}', now())",
            library_id=library_id,
        )
        await rows.do(
            "INSERT INTO audit_chains (library_id, sequence, hash) VALUES (:library_id, 1, sha256(''))",
            library_id=library_id,
        )
        await rows.do(
            "INSERT INTO audit_entries SELECT library_id, sequence, now(), 'admin', 'DELETE', 'a video', 'OK', 0, '', "
            "'call', hash, hash FROM audit_chains WHERE library_id = :library_id",
            library_id=library_id,
        )
        await rows.do(
            "INSERT INTO uploads (id, library_id, request, size_bytes, expire_time) "
            "VALUES (gen_random_uuid(), :library_id, '', 1, now())",
            library_id=library_id,
        )
        await rows.blob_deletion(library_id, f"uploads/{photo_id}", f"uploads/{video_id}")
    return Two(*libraries)


@pytest.fixture
async def two_with_parts(two: Two, rows: Any, worker: Any, samples: Any) -> Two:
    """The same, with parts of a video of the own library that is being processed, on a machine that said what it is."""
    await rows.do("INSERT INTO decoder_hosts (host, missing_layers) VALUES ('machine', '{}')")
    await rows.video(two.own)
    (video,) = await worker.claim(worker.videos)
    await worker.stage(video, samples.video_part(0, [3, 4]))
    return two


def library_of(table: Table) -> Any:
    return table.c.id if table.name == "libraries" else table.c.library_id


def test_every_table_is_known_here() -> None:
    without = {table.name for table in Base.metadata.sorted_tables if "library_id" not in table.c}
    assert without == SHARED | OF_THE_SYSTEM | {"libraries"}


async def test_every_table_that_is_not_shared_has_forced_row_level_security(rows: Any) -> None:
    """A new table needs `protect("its_name")` in its migration, or a place in SHARED with its reason."""
    found = await rows.all(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' "
        "AND NOT (relrowsecurity AND relforcerowsecurity)"
    )
    assert {row.relname for row in found} == SHARED | {"alembic_version"}


@pytest.mark.parametrize("table", TENANT_TABLES, ids=lambda table: table.name)
async def test_a_query_without_its_where_sees_one_library_only(
    two: Two, tenant_database: Database, rows: Any, table: Table
) -> None:
    everything = str(select(library_of(table).label("library")))
    # Without row-level security the query does show the other library: the test can fail.
    assert {row.library for row in await rows.all(everything)} == {two.own, two.other}
    with called_by(Caller(two.own)):
        async with tenant_database.reads() as session:
            single = set((await session.scalars(text(everything))).all())
        async with tenant_database.transaction() as session:
            in_transaction = set((await session.scalars(text(everything))).all())
        async with tenant_database.snapshot() as session:
            in_snapshot = set((await session.scalars(text(everything))).all())
    assert single == in_transaction == in_snapshot == {two.own}


@pytest.mark.parametrize("table", CHANGEABLE_TABLES, ids=lambda table: table.name)
async def test_a_change_without_its_where_changes_one_library_only(
    two: Two, tenant_database: Database, rows: Any, table: Table
) -> None:
    column = library_of(table)
    others = select(func.count()).select_from(table).where(column == two.other)
    # A blob's row cannot go before the photo that names it; a changed row shows as much.
    changed = update(table).values({column: column}).returning(column)
    with called_by(Caller(two.own)):
        async with tenant_database.transaction() as session:
            assert set((await session.scalars(changed)).all()) == {two.own}
        if table.name != "contents":
            async with tenant_database.transaction() as session:
                await session.execute(delete(table))
    async with rows.database.reads() as session:
        assert await session.scalar(others) > 0


@pytest.mark.parametrize("table", CHANGEABLE_TABLES, ids=lambda table: table.name)
async def test_a_row_cannot_be_given_to_another_library(two: Two, tenant_database: Database, table: Table) -> None:
    give = update(table).values({library_of(table): two.other})
    with called_by(Caller(two.own)), pytest.raises(DBAPIError, match="row-level security"):
        async with tenant_database.transaction() as session:
            await session.execute(give)


@pytest.mark.parametrize("table", sorted(OF_THE_SYSTEM))
async def test_what_is_the_systems_is_shown_to_no_library(
    two_with_parts: Two, tenant_database: Database, rows: Any, table: str
) -> None:
    count = select(func.count()).select_from(Base.metadata.tables[table])
    async with rows.database.reads() as session:
        assert await session.scalar(count) > 0
    with called_by(Caller(two_with_parts.own)):
        async with tenant_database.reads() as session:
            assert await session.scalar(count) == 0


@pytest.mark.usefixtures("two")
async def test_a_session_that_says_nothing_sees_nothing(database_url: str) -> None:
    database = Database.from_url(database_url, application="tests")
    async with contextlib.aclosing(database), database._of_a_library.connect() as connection:
        for table in TENANT_TABLES:
            assert await connection.scalar(select(func.count()).select_from(table)) == 0, table.name


async def test_without_a_caller_there_is_no_session(tenant_database: Database) -> None:
    with pytest.raises(RuntimeError, match=r"Database\.system"):
        async with tenant_database.reads():
            pass
    with called_by("the internal token"), pytest.raises(RuntimeError, match=r"Database\.system"):
        async with tenant_database.transaction():
            pass


@pytest.fixture
async def one_connection(database_url: str) -> AsyncIterator[Database]:
    """A database through one connection, which everybody shares."""
    database = Database.from_url(database_url, application="tests", pool_size=1)
    database._of_a_library.pool._max_overflow = 0  # type: ignore[attr-defined]
    yield database
    await database.aclose()


async def _seen(database: Database) -> set[UUID]:
    async with database.reads() as session:
        return set((await session.scalars(select(Person.library_id))).all())


async def _fails(database: Database) -> None:
    with pytest.raises(DBAPIError):
        async with database.reads() as session:
            await session.execute(text("SELECT 1 / 0"))


async def _fails_in_a_transaction(database: Database) -> None:
    with pytest.raises(DBAPIError):
        async with database.transaction() as session:
            await session.execute(text("SELECT 1 / 0"))


async def _is_cancelled(database: Database) -> None:
    call = asyncio.create_task(_sleeps(database))
    await asyncio.sleep(0.05)
    call.cancel()
    await asyncio.wait([call])


async def _sleeps(database: Database) -> None:
    async with database.reads() as session:
        await session.execute(text("SELECT pg_sleep(10)"))


async def _is_cancelled_in_a_transaction(database: Database) -> None:
    call = asyncio.create_task(_sleeps_in_a_transaction(database))
    await asyncio.sleep(0.05)
    call.cancel()
    await asyncio.wait([call])


async def _sleeps_in_a_transaction(database: Database) -> None:
    async with database.transaction() as session:
        await session.execute(text("SELECT pg_sleep(10)"))


async def _commits(database: Database) -> None:
    async with database.transaction() as session:
        await session.execute(text("SELECT 1"))


async def _loses_its_connection(database: Database) -> None:
    with contextlib.suppress(Exception):
        async with database.reads() as session:
            await session.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))


@pytest.mark.parametrize(
    "what",
    [
        _seen,
        _commits,
        _fails,
        _fails_in_a_transaction,
        _is_cancelled,
        _is_cancelled_in_a_transaction,
        _loses_its_connection,
    ],
)
async def test_a_connection_shows_nothing_of_who_used_it_before(two: Two, one_connection: Database, what: Any) -> None:
    for _ in range(3):
        with called_by(Caller(two.own)):
            await what(one_connection)
            assert await _seen(one_connection) == {two.own}
            await what(one_connection)
        with called_by(Caller(two.other)):
            await what(one_connection)
            assert await _seen(one_connection) == {two.other}


async def test_calls_at_the_same_time_see_their_own_libraries(two: Two, tenant_database: Database) -> None:
    async def call(library_id: UUID) -> None:
        with called_by(Caller(library_id)):
            for _ in range(20):
                assert await _seen(tenant_database) == {library_id}

    async with asyncio.TaskGroup() as calls:
        for number in range(20):
            calls.create_task(call(two.own if number % 2 else two.other))


async def test_the_admin_and_the_system_see_all(two: Two, tenant_database: Database) -> None:
    with called_by(Caller(None)):
        assert await _seen(tenant_database) == {two.own, two.other}
    assert await _seen(tenant_database.system) == {two.own, two.other}
