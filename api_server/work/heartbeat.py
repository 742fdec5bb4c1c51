"""Signs of life."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from sqlalchemy import text

from api_server.database.engine import Database
from api_server.results.resources import Resource, advance_videos
from api_server.work.claim import LEASE
from api_server.work.items import Effects, Lease, lock_held

_EXTEND = text("UPDATE work_items SET lease_expire_time = now() + :lease WHERE id = ANY(:ids)")


async def heartbeat(database: Database, effects: Effects, progress: Mapping[Lease, float]) -> list[Lease]:
    """Extends the leases and shows the progress, 0 to 1, on the videos.

    Returns:
        The leases that are lost.
    """
    async with database.transaction() as session:
        held = await lock_held(session, progress.keys())
        if held:
            await session.execute(_EXTEND, {"lease": LEASE, "ids": [item.id for item in held]})
        shares: dict[UUID, float] = {
            item.resource_id: progress[item.lease]
            for item in held
            if item.resource_id is not None and effects[item.task].resource is Resource.VIDEO
        }
        if shares:
            await advance_videos(session, shares)
    alive = {item.lease for item in held}
    return [lease for lease in progress if lease not in alive]
