"""Blobs that no row names: what late or failed attempts wrote, and uploads that broke off or were abandoned."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from api_server.contents.keys import PARTIAL, UPLOADS, WORK
from api_server.database.engine import Database
from api_server.uploads import uploads
from whodex.runtime.log import get_logger
from whodex.runtime.store import ObjectStore

_BATCH = 500
# The library and the owner come first.
_OF_CLAIM = re.compile(rf"{WORK}/[0-9a-f-]{{36}}/[0-9a-f-]{{36}}/(?P<item>[0-9a-f-]{{36}})/(?P<token>[0-9]+)/")
_RUNNING = text("SELECT id, fencing_token FROM work_items WHERE id = ANY(:ids) AND state = 'running'")
_NAMED = text("SELECT key FROM contents WHERE key = ANY(:keys)")
_OF_UPLOAD = re.compile(rf"({PARTIAL}|{UPLOADS})/[0-9a-f-]{{36}}/(?P<upload>[0-9a-f-]{{36}})(/|$)")
_OPEN = text("SELECT id FROM uploads WHERE id = ANY(:ids) AND state = 'open'")
_log = get_logger()


async def collect_garbage(database: Database, store: ObjectStore, older_than: timedelta) -> int:
    """Deletes the blobs that no content, no running attempt and no open upload has written; returns how many.

    Uploads that have expired go first.

    Blobs that are not `older_than` this are kept, since an upload's row comes after its bytes.
    """
    latest = datetime.now(UTC) - older_than
    async with database.transaction() as session:
        await uploads.delete_expired(session)
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
        # In this order: an attempt or an upload that ends between the queries has named its blobs by the last one.
        running = await _of_running_attempts(session, keys)
        unfinished = await _of_open_uploads(session, keys)
        named = set((await session.scalars(_NAMED, {"keys": list(keys)})).all())
    garbage = [key for key in keys if key not in running | unfinished | named]
    await store.delete(garbage)
    return len(garbage)


async def _of_running_attempts(session: AsyncSession, keys: Sequence[str]) -> set[str]:
    attempts = {
        key: (UUID(found["item"]), int(found["token"])) for key in keys if (found := _OF_CLAIM.match(key)) is not None
    }
    ids = list({item for item, _ in attempts.values()})
    alive = {(row.id, row.fencing_token) for row in await session.execute(_RUNNING, {"ids": ids})}
    return {key for key, attempt in attempts.items() if attempt in alive}


async def _of_open_uploads(session: AsyncSession, keys: Sequence[str]) -> set[str]:
    of_upload = {key: UUID(found["upload"]) for key in keys if (found := _OF_UPLOAD.match(key)) is not None}
    alive = set((await session.scalars(_OPEN, {"ids": list(set(of_upload.values()))})).all())
    return {key for key, upload in of_upload.items() if upload in alive}
