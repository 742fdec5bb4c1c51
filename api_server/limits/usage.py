"""What a library holds, counted by Postgres itself: triggers keep the counts in each transaction that changes it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import bindparam, select
from sqlalchemy.ext.asyncio import AsyncSession

from api_server.access.caller import Caller
from api_server.database.engine import Database
from api_server.database.schema import Library
from api_server.names import LIBRARY, name
from whodex.errors import QuotaViolation, ResourceExhaustedError
from whodex.runtime.interceptors import caller
from whodex.v1 import error_reason_pb2

_HELD = select((Library.stored_bytes + Library.reserved_bytes).label("bytes"), Library.people_count).where(
    Library.id == bindparam("library_id")
)


@dataclass(frozen=True)
class Room:
    """How many more bytes a library may hold, as of some moment.

    Attributes:
        subject: the name of the library.
        limit_bytes: how many it may hold in all.
        left_bytes: how many are left of them.
    """

    subject: str
    limit_bytes: float
    left_bytes: float

    def require(self, size_bytes: int) -> None:
        """Raises ResourceExhaustedError, STORAGE_LIMIT_REACHED, when so many bytes are too many."""
        if size_bytes > self.left_bytes:
            raise ResourceExhaustedError(
                f"The library may hold {self.limit_bytes} bytes ({self.limit_bytes / 2**30:.1f} GiB), and this would "
                "be more. Delete what is no longer needed, or have the limit raised.",
                reason=error_reason_pb2.ERROR_REASON_STORAGE_LIMIT_REACHED,
                quota=QuotaViolation(self.subject, "bytes stored", self.limit_bytes),
            )


UNLIMITED = Room("", math.inf, math.inf)


async def find_room(database: Database, library_id: UUID) -> Room:
    """The room that there is now, to refuse early what cannot fit; `require_within_limits` has the last word."""
    who: Caller = caller()
    if who.limits is None:
        return UNLIMITED
    held = await database.fetch_one(_HELD, {"library_id": library_id})
    limit_bytes = who.limits.stored_bytes
    return Room(name(LIBRARY, library_id), limit_bytes, limit_bytes - held.bytes if held else limit_bytes)


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
    held = (await session.execute(_HELD, {"library_id": library_id})).one()
    Room(name(LIBRARY, library_id), who.limits.stored_bytes, who.limits.stored_bytes).require(held.bytes)
    if held.people_count > who.limits.people:
        raise ResourceExhaustedError(
            f"The library may hold {who.limits.people} people and does. Delete some, or have the limit raised.",
            reason=error_reason_pb2.ERROR_REASON_PEOPLE_LIMIT_REACHED,
            quota=QuotaViolation(name(LIBRARY, library_id), "people", who.limits.people),
        )
