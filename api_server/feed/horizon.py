"""Forgetting deletions that every follower has seen, or is too far behind for."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import text

from api_server.database.engine import Database

# The lock of the feed first, as every writer takes it.
_LOCK = text("SELECT 1 FROM feed_state FOR UPDATE")
_FORGET = text("""
WITH forgotten AS (
    DELETE FROM embedding_changes WHERE vector IS NULL AND change_time < now() - CAST(:age AS interval)
    RETURNING sequence
)
UPDATE feed_state SET horizon_sequence = (SELECT max(sequence) FROM forgotten)
WHERE horizon_sequence < (SELECT max(sequence) FROM forgotten)
""")


async def forget_deletions(database: Database, older_than: timedelta) -> None:
    """Drops old tombstones. A follower that has not read them by now must build its index anew."""
    async with database.transaction() as session:
        await session.execute(_LOCK)
        await session.execute(_FORGET, {"age": older_than})
