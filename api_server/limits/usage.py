"""What a library holds, counted by Postgres itself: triggers keep the counts in each transaction that changes it."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import bindparam, select
from sqlalchemy.ext.asyncio import AsyncSession

from api_server.access.caller import Caller
from api_server.database.schema import Library
from api_server.names import LIBRARY, name
from whodex.errors import QuotaViolation, ResourceExhaustedError
from whodex.runtime.interceptors import caller
from whodex.v1 import error_reason_pb2

_HELD = select(Library.stored_bytes, Library.people_count).where(Library.id == bindparam("library_id"))


async def require_within_limits(session: AsyncSession, library_id: UUID) -> None:
    """Call it after what adds to a library, in the same transaction, which the error undoes.

    It is exact: whoever has added to a library holds the lock on its row until the end of the transaction, so that two
    cannot both take what is left. The admin is not limited.

    Raises:
        ResourceExhaustedError: STORAGE_LIMIT_REACHED or PEOPLE_LIMIT_REACHED.
    """
    who: Caller = caller()
    if who.limits is None:
        return
    held = (await session.execute(_HELD, {"library_id": library_id})).one_or_none()
    if held is None:
        return
    if held.stored_bytes > who.limits.stored_bytes:
        raise storage_limit_reached(library_id, who.limits.stored_bytes)
    if held.people_count > who.limits.people:
        raise ResourceExhaustedError(
            f"The library may hold {who.limits.people} people and does. Delete some, or have the limit raised.",
            reason=error_reason_pb2.ERROR_REASON_PEOPLE_LIMIT_REACHED,
            quota=QuotaViolation(name(LIBRARY, library_id), "people", who.limits.people),
        )


def storage_limit_reached(library_id: UUID, limit_bytes: int) -> ResourceExhaustedError:
    """There would be more bytes than the library may hold."""
    return ResourceExhaustedError(
        f"The library may hold {limit_bytes} bytes ({limit_bytes / 2**30:.1f} GiB), and this would be more. Delete "
        "what is no longer needed, or have the limit raised.",
        reason=error_reason_pb2.ERROR_REASON_STORAGE_LIMIT_REACHED,
        quota=QuotaViolation(name(LIBRARY, library_id), "bytes stored", limit_bytes),
    )
