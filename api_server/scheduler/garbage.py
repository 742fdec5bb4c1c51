"""Blobs that no row names: what late or failed attempts wrote, and uploads that broke off before their row."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from api_server.contents.keys import WORK
from api_server.database.engine import Database
from whodex.runtime.log import get_logger
from whodex.runtime.store import ObjectStore

_BATCH = 500
# The library and the owner come first.
_OF_CLAIM = re.compile(rf"{WORK}/[0-9a-f-]{{36}}/[0-9a-f-]{{36}}/(?P<item>[0-9a-f-]{{36}})/(?P<token>[0-9]+)/")
_RUNNING = text("SELECT id, fencing_token FROM work_items WHERE id = ANY(:ids) AND state = 'running'")
_NAMED = text("SELECT key FROM contents WHERE key = ANY(:keys)")
_log = get_logger()


async def collect_garbage(database: Database, store: ObjectStore, older_than: timedelta) -> int:
    """Deletes the blobs that no content names and no running attempt has written; returns how many.

    Blobs that are not `older_than` this are kept, since an upload's row comes after its bytes.
    """
    latest = datetime.now(UTC) - older_than
    count, batch = 0, list[str]()
    async for stored in store.list():
        if stored.modify_time < latest:
            batch.append(stored.key)
        if len(batch) == _BATCH:
            count += await _collect(database, store, batch)
            batch = []
    count += await _collect(database, store, batch)
    count += await store.delete_abandoned(latest)
    if count:
        _log.info("garbage collected", blobs=count)
    return count


async def _collect(database: Database, store: ObjectStore, keys: Sequence[str]) -> int:
    async with database.reads() as session:
        # In this order: an attempt that ends between the two queries has named its blobs by the second one.
        running = await _of_running_attempts(session, keys)
        named = set((await session.scalars(_NAMED, {"keys": list(keys)})).all())
    garbage = [key for key in keys if key not in running and key not in named]
    await store.delete(garbage)
    return len(garbage)


async def _of_running_attempts(session: AsyncSession, keys: Sequence[str]) -> set[str]:
    attempts = {
        key: (UUID(found["item"]), int(found["token"])) for key in keys if (found := _OF_CLAIM.match(key)) is not None
    }
    ids = list({item for item, _ in attempts.values()})
    alive = {(row.id, row.fencing_token) for row in await session.execute(_RUNNING, {"ids": ids})}
    return {key for key, attempt in attempts.items() if attempt in alive}
