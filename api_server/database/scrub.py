"""Takes the bytes of deleted rows out of Postgres' files: its pages, and the log that it would recover from.

What deletes in Postgres only marks. VACUUM gives the space free without clearing it; only what is written anew holds
the living rows and nothing else (docs/decisions/0042-erasure.md says what was measured).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy import make_url

# A table that is in use is left for the next time, so that those who come after do not wait behind us for long.
_LOCK_TIMEOUT = "2s"
_CONNECT_TIMEOUT_SECONDS = 5
# Statements of ours run for at most 30 s, so that what is older is soon gone; it is looked for again in the next round.
_POLLS = 50
_POLL_SECONDS = 0.2
# Whoever may still see the rows keeps VACUUM from dropping them.
_OLDER = """
SELECT string_agg(who, ', ') FROM (
    SELECT format('session %%s of %%s', pid, coalesce(nullif(application_name, ''), usename)) AS who
    FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
        AND greatest(age(backend_xid), age(backend_xmin)) > age(%(horizon)s::xid)
    UNION ALL
    SELECT format('replication slot %%s', slot_name) FROM pg_replication_slots WHERE age(xmin) > age(%(horizon)s::xid)
    UNION ALL
    SELECT format('prepared transaction %%s', gid) FROM pg_prepared_xacts
    WHERE age(transaction) > age(%(horizon)s::xid)
) AS older
"""
_KEPT_LOG = """
SELECT count(*) FROM pg_ls_waldir() WHERE name ~ '^[0-9A-F]{24}$' AND name <= pg_walfile_name(%(end)s::pg_lsn - 1)
"""


class NotScrubbedError(Exception):
    """Bytes of deleted rows may be left; the message says what keeps them. Trying again can help."""


async def scrub(database_url: str, tables: Sequence[str]) -> None:
    """Returns when no file of Postgres holds rows of the tables that were deleted before the call.

    Each table is locked while it is written anew; the log of changes is cut off behind that.

    Args:
        database_url: SQLAlchemy's URL. Its role may MAINTAIN the tables and is in pg_checkpoint and pg_monitor.
        tables: their names.

    Raises:
        NotScrubbedError: a session still sees them, a table is in use, or the log is kept.
    """
    try:
        async with _connect(database_url) as connection:
            await _wait_for_older_transactions(connection)
            for table in tables:
                await connection.execute(sql.SQL("VACUUM (FULL) {}").format(sql.Identifier(table)))
            await _cut_log(connection)
    except psycopg.Error as error:
        raise NotScrubbedError(f"Postgres answers: {str(error).splitlines()[0]}") from error


class _connect(AbstractAsyncContextManager[psycopg.AsyncConnection[Any]]):  # noqa: N801 - reads as a `with` statement
    def __init__(self, database_url: str) -> None:
        # libpq knows no drivers.
        self._url = make_url(database_url).set(drivername="postgresql").render_as_string(hide_password=False)

    async def __aenter__(self) -> psycopg.AsyncConnection[Any]:
        self._connection = await psycopg.AsyncConnection.connect(
            self._url,
            autocommit=True,
            connect_timeout=_CONNECT_TIMEOUT_SECONDS,
            application_name="whodex erasure",
            options=f"-c lock_timeout={_LOCK_TIMEOUT}",
        )
        return self._connection

    async def __aexit__(self, *_: object) -> None:
        await self._connection.close()


async def _wait_for_older_transactions(connection: psycopg.AsyncConnection[Any]) -> None:
    horizon = await _value(connection, "SELECT pg_current_xact_id()::xid::text")
    for _ in range(_POLLS):
        older = await _value(connection, _OLDER, horizon=horizon)
        if older is None:
            return
        await asyncio.sleep(_POLL_SECONDS)
    raise NotScrubbedError(f"the deleted rows may still be seen by {older}")


async def _cut_log(connection: psycopg.AsyncConnection[Any]) -> None:
    if await _value(connection, "SHOW wal_recycle") != "off":
        raise NotScrubbedError("Postgres keeps old segments of its log for reuse: set wal_recycle to off")
    end = await _value(connection, "SELECT pg_current_wal_insert_lsn()::text")
    await connection.execute("SELECT pg_switch_wal()")
    await connection.execute("CHECKPOINT")
    if kept := await _value(connection, _KEPT_LOG, end=end):
        raise NotScrubbedError(
            f"Postgres keeps {kept} older segments of its log: look at replication slots, wal_keep_size and archiving"
        )


async def _value(connection: psycopg.AsyncConnection[Any], query: str, **parameters: str) -> Any:
    row = await (await connection.execute(query, parameters or None)).fetchone()
    return None if row is None else row[0]
