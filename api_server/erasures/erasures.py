"""Erasures: begun in the transaction of a deletion, read. How they are completed is in `scheduler.erasure`."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from google.protobuf.json_format import MessageToDict
from sqlalchemy import delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncSession
from uuid_utils.compat import uuid7

from api_server.contents.deletion import delete_blobs, delete_contents, delete_library_contents
from api_server.contents.keys import unfinished_keys
from api_server.database.rows import AnyRow
from api_server.database.schema import Erasure, ErasureKind, Upload
from api_server.erasures.counting import Contents
from api_server.names import ERASURE, name, not_found
from api_server.work import Cancelled
from whodex.v1.erasure_pb2 import RemovedCounts

ERASURE_COLUMNS = (
    Erasure.id,
    Erasure.library_id,
    Erasure.target,
    Erasure.removed,
    Erasure.waits_for,
    Erasure.receipt,
    Erasure.create_time,
    Erasure.complete_time,
)


async def begin(  # noqa: PLR0913, PLR0917 - what a deletion knows
    session: AsyncSession,
    kind: ErasureKind,
    library_id: UUID,
    target: str,
    contents: Contents,
    cancelled: Cancelled,
) -> UUID:
    """Orders that everything of a resource is removed, whose rows the caller has deleted; returns the erasure's id.

    Call it after the rows are deleted and before the feed is told.

    Args:
        session: the transaction of the deletion.
        kind: of the resource.
        library_id: the library.
        target: the resource's name.
        contents: what belonged to it.
        cancelled: the work for it that was called off.
    """
    erasure_id = uuid7()
    if kind is ErasureKind.LIBRARY:
        blobs = await delete_library_contents(session, library_id, erasure_id)
    else:
        blobs = await delete_contents(session, library_id, contents.media_ids, erasure_id)
    unfinished = [key for upload_id in contents.upload_ids for key in unfinished_keys(library_id, upload_id)]
    await delete_blobs(session, library_id, unfinished, erasure_id)
    # Of finished ones the row is what is left: it names the file.
    await session.execute(delete(Upload).where(Upload.resource_id.in_(contents.media_ids)))
    removed = RemovedCounts(blobs=blobs + len(contents.upload_ids), work_items=cancelled.count)
    removed.MergeFrom(contents.counts)
    await session.execute(
        insert(Erasure).values(
            id=erasure_id,
            library_id=library_id,
            kind=kind,
            target=target,
            media_ids=[] if kind is ErasureKind.LIBRARY else contents.media_ids,
            removed=MessageToDict(removed, preserving_proto_field_name=True),
            content_digest=contents.content_digest,
            settle_time=cancelled.lease_expire_time or func.now(),
        )
    )
    return erasure_id


async def get(session: AsyncSession, library_id: UUID, erasure_id: UUID) -> AnyRow:
    """Returns an erasure."""
    query = select(*ERASURE_COLUMNS).where(Erasure.id == erasure_id, Erasure.library_id == library_id)
    row = (await session.execute(query)).one_or_none()
    if row is None:
        raise not_found(name(ERASURE, library_id, erasure_id))
    return row


async def list_page(session: AsyncSession, library_id: UUID, *, after: UUID | None, limit: int) -> Sequence[AnyRow]:
    """Returns up to `limit` erasures, oldest first."""
    query = select(*ERASURE_COLUMNS).where(Erasure.library_id == library_id).order_by(Erasure.id).limit(limit)
    if after is not None:
        query = query.where(Erasure.id > after)
    return (await session.execute(query)).all()
