"""Holding the lease of an upload for the time of a call."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from uuid import UUID

from api_server.cancellation import to_the_end
from api_server.database.engine import Database
from api_server.database.rows import AnyRow
from api_server.uploads import uploads
from api_server.uploads.uploads import LEASE, Lease
from whodex.errors import TransientError, WhodexError
from whodex.runtime.store import ObjectStore
from whodex.v1 import error_reason_pb2

# After one of these an upload cannot go on, and nothing is kept of it.
_FINAL = (
    error_reason_pb2.ERROR_REASON_UNSUPPORTED_FORMAT,
    error_reason_pb2.ERROR_REASON_UPLOAD_DIGEST_MISMATCH,
    error_reason_pb2.ERROR_REASON_REQUEST_ID_REUSED,
    error_reason_pb2.ERROR_REASON_RESOURCE_NOT_FOUND,
    error_reason_pb2.ERROR_REASON_STORAGE_FULL,
)


@contextlib.asynccontextmanager
async def leased(database: Database, store: ObjectStore, library_id: UUID, upload_id: UUID) -> AsyncIterator[AnyRow]:
    """Leases an OPEN upload for the block, and yields its row.

    When the block ends in an error after which the upload cannot go on (bytes that are gone are one), the upload is
    deleted.

    Raises:
        NotFoundError: there is none, or not any more: then the block is cut off within some seconds.
        FailedPreconditionError: UPLOAD_FINISHED.
        AbortedError: UPLOAD_BUSY, somebody else has it, or has it by now.
    """
    async with database.transaction() as session:
        row = await uploads.take_lease(session, library_id, upload_id)
    lease = Lease.of(row)
    try:
        async with _extended(database, lease):
            yield row
    except FileNotFoundError as error:
        await to_the_end(uploads.discard(database, store, library_id, upload_id))
        raise uploads.gone(library_id, upload_id) from error
    except WhodexError as error:
        if error.reason in _FINAL:
            await to_the_end(uploads.discard(database, store, library_id, upload_id))
        raise
    finally:
        await to_the_end(_release(database, lease))


@contextlib.asynccontextmanager
async def _extended(database: Database, lease: Lease) -> AsyncIterator[None]:
    """Extends a lease during the block, and cuts the block off with the reason when it is lost."""
    lost: list[WhodexError] = []
    try:
        async with asyncio.timeout(None) as block:
            extending = asyncio.create_task(_extend(database, lease, lost, block))
            try:
                yield
            finally:
                extending.cancel()
    except TimeoutError:
        raise lost[0] if lost else TimeoutError from None


async def _extend(database: Database, lease: Lease, lost: list[WhodexError], block: asyncio.Timeout) -> None:
    while not lost:
        await asyncio.sleep(LEASE.total_seconds() / 3)
        try:
            async with database.transaction() as session:
                await uploads.extend(session, lease)
        except TransientError:
            # The database is away: what has become of the lease shows when it is back.
            continue
        except WhodexError as error:
            lost.append(error)
            block.reschedule(0.0)


async def _release(database: Database, lease: Lease) -> None:
    with contextlib.suppress(WhodexError):
        async with database.transaction() as session:
            await uploads.release(session, lease)
