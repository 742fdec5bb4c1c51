"""One scheduler at work, the others ready to take over: an advisory lock of Postgres.

It only saves work. Two schedulers at once would do no harm: they skip each other's rows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import NoReturn

import psycopg
from sqlalchemy import make_url

from whodex.runtime.log import get_logger

# The number is arbitrary, but must stay the same, and differ from that of the migrations.
_LOCK = 0x77_68_6F_64_65_79
_INTERVAL_SECONDS = 2.0
_TIMEOUT_SECONDS = 5
_log = get_logger()


async def lead(database_url: str, duties: Callable[[], Coroutine[None, None, None]]) -> NoReturn:
    """Runs the duties whenever this process holds the lock; what they raise ends it.

    Args:
        database_url: SQLAlchemy's URL; the lock has a connection of its own.
        duties: runs until it is cancelled.
    """
    # libpq knows no drivers.
    url = make_url(database_url).set(drivername="postgresql").render_as_string(hide_password=False)
    while True:
        try:
            async with await psycopg.AsyncConnection.connect(
                url, autocommit=True, connect_timeout=_TIMEOUT_SECONDS
            ) as connection:
                await _acquire(connection)
                _log.info("leading")
                await _run_while_connected(connection, duties)
        except (psycopg.OperationalError, TimeoutError) as error:
            _log.warning("not leading: the database does not answer", why=str(error))
            await asyncio.sleep(_INTERVAL_SECONDS)


async def _acquire(connection: psycopg.AsyncConnection) -> None:
    while True:
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            cursor = await connection.execute("SELECT pg_try_advisory_lock(%s)", (_LOCK,))
            row = await cursor.fetchone()
        if row is not None and row[0]:
            return
        await asyncio.sleep(_INTERVAL_SECONDS)


async def _run_while_connected(
    connection: psycopg.AsyncConnection, duties: Callable[[], Coroutine[None, None, None]]
) -> None:
    running = asyncio.create_task(duties())
    try:
        while not running.done():
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                await connection.execute("SELECT 1")
            await asyncio.wait([running], timeout=_INTERVAL_SECONDS)
        running.result()
    finally:
        running.cancel()
        await asyncio.wait([running])
