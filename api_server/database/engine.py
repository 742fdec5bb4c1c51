"""The connection pools, and the ways to use it: a transaction, a snapshot, or single reads without either."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from typing import Any, Self

from sqlalchemy import Executable, text
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from api_server.database.rows import AnyRow
from whodex.errors import UnavailableError
from whodex.v1 import error_reason_pb2

# Every statement is short; one that is not would hold locks or a connection that others wait for.
_SERVER_SETTINGS = {
    "statement_timeout": "30s",
    "lock_timeout": "10s",
    "idle_in_transaction_session_timeout": "60s",
    "timezone": "UTC",
}
_CONNECT_TIMEOUT_SECONDS = 5
_POOL_TIMEOUT_SECONDS = 10


class Database:
    """Sessions over pools of connections.

    Every kind of session turns an answer that does not come (a lost connection, a timeout, an exhausted pool) into
    `UnavailableError` with STORAGE_UNAVAILABLE.
    """

    def __init__(self, transactions: AsyncEngine, single_reads: AsyncEngine) -> None:
        self._transactions = transactions
        self._snapshots = transactions.execution_options(isolation_level="REPEATABLE READ")
        self._single_reads = single_reads

    @classmethod
    def from_url(cls, url: str, *, application: str, pool_size: int = 10) -> Self:
        """Opens no connection yet.

        Args:
            url: `postgresql+psycopg://user:password@host:port/database`.
            application: what Postgres lists the connections under.
            pool_size: connections kept open for each of transactions and reads; as many again for a burst.
        """
        shared: dict[str, Any] = {
            "pool_size": pool_size,
            "max_overflow": pool_size,
            "pool_timeout": _POOL_TIMEOUT_SECONDS,
            "connect_args": {
                "application_name": application,
                "connect_timeout": _CONNECT_TIMEOUT_SECONDS,
                "options": " ".join(f"-c {name}={value}" for name, value in _SERVER_SETTINGS.items()),
            },
        }
        # A pool of its own, since switching a connection to autocommit and back costs more than a small query.
        single_reads = create_async_engine(url, isolation_level="AUTOCOMMIT", pool_reset_on_return=None, **shared)
        return cls(create_async_engine(url, **shared), single_reads)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """A session whose work is committed at the end of the block, and rolled back if it raises.

        A cancelled call does not interrupt the commit: nobody would know whether it happened.
        """
        with _unavailable_when_silent():
            async with AsyncSession(self._transactions, expire_on_commit=False) as session:
                yield session
                await _to_the_end(session.commit())

    @asynccontextmanager
    async def reads(self) -> AsyncIterator[AsyncSession]:
        """A session for reads that need no common snapshot: a statement is one round trip, without BEGIN and COMMIT."""
        with _unavailable_when_silent():
            async with AsyncSession(self._single_reads, expire_on_commit=False) as session:
                yield session

    async def fetch_one(self, statement: Executable, parameters: Mapping[str, Any]) -> AnyRow | None:
        """Reads at most one row, with as little around it as there can be: this is in the path of every call."""
        with _unavailable_when_silent():
            async with self._single_reads.connect() as connection:
                return (await connection.execute(statement, parameters)).one_or_none()

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[AsyncSession]:
        """A session whose reads all see the same moment."""
        with _unavailable_when_silent():
            async with AsyncSession(self._snapshots, expire_on_commit=False) as session, session.begin():
                yield session

    async def check(self) -> None:
        """Raises `UnavailableError` unless Postgres answers."""
        async with self.reads() as session:
            await session.execute(text("SELECT 1"))

    async def aclose(self) -> None:
        """Closes the pools."""
        await self._transactions.dispose()
        await self._single_reads.dispose()


async def _to_the_end(operation: Coroutine[Any, Any, None]) -> None:
    task = asyncio.create_task(operation)
    while not task.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.shield(task)
    task.result()


class _unavailable_when_silent:  # noqa: N801 - reads as the `with` statement that it is
    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, OperationalError | InterfaceError | PoolTimeoutError):
            raise UnavailableError(
                "The database does not answer. Try again in a moment.",
                reason=error_reason_pb2.ERROR_REASON_STORAGE_UNAVAILABLE,
                retry_after_seconds=1,
            ) from error
