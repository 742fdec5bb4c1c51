"""Contents whose owner goes: their rows now, their blobs as work in the same transaction."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession

from api_server import work
from api_server.database.schema import Content
from whodex.runtime.log import current_correlation_id
from whodex.v1 import tasks_pb2

# As many keys as one DeleteBlobsPayload may carry.
_KEYS_PER_ITEM = 1000


async def delete_contents(
    session: AsyncSession, library_id: UUID, owner_ids: Collection[UUID], erasure_id: UUID
) -> int:
    """Deletes what belongs to some photos or videos, whose own rows are gone already; returns how many blobs.

    The work has the erasure for its resource: as long as there is any, the erasure is not complete.
    """
    query = delete(Content).where(Content.owner_id.in_(owner_ids)).returning(Content.key)
    return await delete_blobs(session, library_id, (await session.scalars(query)).all(), erasure_id)


async def delete_library_contents(session: AsyncSession, library_id: UUID, erasure_id: UUID) -> int:
    """Deletes what belongs to a library, whose photos and videos are gone already; returns how many blobs."""
    query = delete(Content).where(Content.library_id == library_id).returning(Content.key)
    return await delete_blobs(session, library_id, (await session.scalars(query)).all(), erasure_id)


async def delete_blobs(session: AsyncSession, library_id: UUID, keys: Sequence[str], erasure_id: UUID) -> int:
    """Orders the deletion of blobs that no row will name after this transaction; returns how many."""
    for first in range(0, len(keys), _KEYS_PER_ITEM):
        await work.enqueue(
            session,
            tasks_pb2.DeleteBlobsPayload(content_keys=keys[first : first + _KEYS_PER_ITEM]),
            library_id=library_id,
            resource_id=erasure_id,
            correlation_id=current_correlation_id(),
        )
    return len(keys)
