"""The connection pools, and the ways to use them: a transaction, a snapshot, or single reads without either.

Whose rows a session sees is decided here, and nowhere else (docs/decisions/0007-row-level-security.md).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Self
from uuid import UUID

from sqlalchemy import Executable, text
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, create_async_engine

from api_server.access.caller import Caller
from api_server.cancellation import to_the_end
from api_server.database.rows import AnyRow
from whodex.errors import UnavailableError
from whodex.runtime.interceptors import caller
from whodex.v1 import error_reason_pb2

# Every statement is short; one that is not would hold locks or a connection that others wait for.
_SERVER_SETTINGS = {
    "statement_timeout": "30s",
    "lock_timeout": "10s",
    "idle_in_transaction_session_timeout": "60s",
    "timezone": "UTC",
}
# What the policies of the tables ask for; see `api_server.database.migrations.row_security`.
_SYSTEM_SETTINGS = {"whodex.system": "on"}
# Sent as it is, which saves half of what SQLAlchemy takes for a statement with parameters.
_AS_IT_IS = {"no_parameters": True}
_CONNECT_TIMEOUT_SECONDS = 5
_POOL_TIMEOUT_SECONDS = 10


class Database:
    """Sessions over two pools of connections: one sees a library at a time, the other all of them.

    What is called sees the rows of its caller's library; there is nothing that a servicer could forget. What works for
    all libraries says so by `system`.

    Every kind of session turns an answer that does not come (a lost connection, a timeout, an exhausted pool) into
    `UnavailableError` with STORAGE_UNAVAILABLE.
    """

    def __init__(self, of_a_library: AsyncEngine, of_all: AsyncEngine, *, system: bool = False) -> None:
        self._of_a_library = of_a_library
        self._of_all = of_all
        self._is_system = system

    @classmethod
    def from_url(cls, url: str, *, application: str, pool_size: int = 20) -> Self:
        """Opens no connection yet.

        Args:
            url: `postgresql+psycopg://user:password@host:port/database`.
            application: what Postgres lists the connections under.
            pool_size: connections kept open for each of the two; as many again for a burst.
        """
        return cls(
            _engine(url, application, pool_size, _SERVER_SETTINGS),
            _engine(url, application, pool_size, _SERVER_SETTINGS | _SYSTEM_SETTINGS),
        )

    @property
    def system(self) -> Self:
        """The same database for what works for all libraries: workers, scheduler, feed, authentication, operations."""
        return type(self)(self._of_a_library, self._of_all, system=True)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """A session whose work is committed at the end of the block, and rolled back if it raises.

        A cancelled call does not interrupt the commit: nobody would know whether it happened.
        """
        async with self._begun("BEGIN") as session:
            yield session
            await to_the_end(session.commit())

    @asynccontextmanager
    async def reads(self) -> AsyncIterator[AsyncSession]:
        """A session for reads that need no common snapshot: a statement is one round trip, without BEGIN and COMMIT."""
        async with self._connection() as connection, AsyncSession(connection, expire_on_commit=False) as session:
            yield session

    async def fetch_one(self, statement: Executable, parameters: Mapping[str, Any]) -> AnyRow | None:
        """Reads at most one row, with as little around it as there can be: this is in the path of every call."""
        async with self._connection() as connection:
            return (await connection.execute(statement, parameters)).one_or_none()

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[AsyncSession]:
        """A session whose reads all see the same moment."""
        async with self._begun("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY") as session:
            yield session

    async def check(self) -> None:
        """Raises `UnavailableError` unless Postgres answers."""
        async with self.system.reads() as session:
            await session.execute(text("SELECT 1"))

    async def aclose(self) -> None:
        """Closes the pools."""
        await self._of_a_library.dispose()
        await self._of_all.dispose()

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[AsyncConnection]:
        """A connection on which each statement is a transaction of its own."""
        library_id = self._library_id()
        with _unavailable_when_silent():
            async with self._engine(library_id).connect() as connection:
                if library_id is not None:
                    await _show_library(connection, library_id)
                yield connection

    @asynccontextmanager
    async def _begun(self, begin: str) -> AsyncIterator[AsyncSession]:
        library_id = self._library_id()
        # One message to Postgres, so that the library costs no round trip of its own.
        statement = begin if library_id is None else f"{begin}; SET LOCAL whodex.library_id = '{library_id}'"
        with _unavailable_when_silent():
            async with self._engine(library_id).connect() as connection:
                await connection.exec_driver_sql(statement, execution_options=_AS_IT_IS)
                async with AsyncSession(
                    connection, expire_on_commit=False, join_transaction_mode="control_fully"
                ) as session:
                    yield session

    def _engine(self, library_id: UUID | None) -> AsyncEngine:
        return self._of_all if library_id is None else self._of_a_library

    def _library_id(self) -> UUID | None:
        """Whose rows to show; None: all. To the admin no library is foreign.

        Raises:
            RuntimeError: no authenticated caller of a public service, and not `system`: a defect of ours.
        """
        if self._is_system:
            return None
        try:
            who = caller()
        except LookupError:
            who = None
        if not isinstance(who, Caller):
            raise RuntimeError("nobody calls: what works for all libraries uses Database.system")  # noqa: TRY004
        return who.library_id


def _engine(url: str, application: str, pool_size: int, server_settings: Mapping[str, str]) -> AsyncEngine:
    return create_async_engine(
        url,
        # Transactions say BEGIN themselves: switching a connection to autocommit and back costs more than a query.
        isolation_level="AUTOCOMMIT",
        # Errors go to the log: they must not take names and embeddings along.
        hide_parameters=True,
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_timeout=_POOL_TIMEOUT_SECONDS,
        connect_args={
            "application_name": application,
            "connect_timeout": _CONNECT_TIMEOUT_SECONDS,
            "options": " ".join(f"-c {name}={value}" for name, value in server_settings.items()),
        },
    )


async def _show_library(connection: AsyncConnection, library_id: UUID) -> None:
    """Lets a connection that commits each statement see a library.

    It is sent only when the connection showed another one before, since it costs a round trip. Every use of a
    connection comes through here or begins a transaction, so that none sees what the one before it saw.
    """
    shown = connection.info
    if shown.get("library_id") == library_id:
        return
    # Whatever ends the call in between, nothing is assumed of the connection afterwards.
    shown.pop("library_id", None)
    await connection.exec_driver_sql(f"SET whodex.library_id = '{library_id}'", execution_options=_AS_IT_IS)
    shown["library_id"] = library_id


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
