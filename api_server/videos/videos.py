"""Videos with their scenes and appearances: read and deleted. How they come in is in `videos.upload`."""

from __future__ import annotations

import struct
from uuid import UUID

from sqlalchemy import bindparam, delete, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from api_server import feed, work
from api_server.database.rows import AnyRow
from api_server.database.schema import Appearance, CollectionKind, Content, ErasureKind, FeedState, Scene, Video
from api_server.erasures import erasures
from api_server.erasures.counting import count_contents
from api_server.erasures.deleted import Deleted
from api_server.names import VIDEO, name, not_found

VIDEO_COLUMNS = (
    Video.id,
    Video.library_id,
    Video.display_name,
    Video.file_name,
    Video.state,
    Video.failure_reason,
    Video.failure_message,
    Video.failure_retryable,
    Video.failure_attempts,
    Video.failure_time,
    Video.progress,
    Video.size_bytes,
    Video.duration_us,
    Video.width,
    Video.height,
    Video.frame_rate,
    Video.scene_count,
    Video.appearance_count,
    Video.create_time,
    Video.update_time,
    Video.embedding_sequence,
    select(FeedState.epoch).scalar_subquery().label("epoch"),
)
# Built once: watches and waiting clients run it all the time.
_ONE = select(*VIDEO_COLUMNS).where(Video.id == bindparam("video_id"), Video.library_id == bindparam("library_id"))
_APPEARANCE_PLACE = struct.Struct(">q16s")


async def get(session: AsyncSession, library_id: UUID, video_id: UUID) -> AnyRow:
    """Returns a video."""
    row = (await session.execute(_ONE, {"video_id": video_id, "library_id": library_id})).one_or_none()
    if row is None:
        raise not_found(name(VIDEO, library_id, video_id))
    return row


async def list_page(session: AsyncSession, library_id: UUID, *, after: UUID | None, limit: int) -> list[AnyRow]:
    """Returns up to `limit` videos, oldest first."""
    query = select(*VIDEO_COLUMNS).where(Video.library_id == library_id).order_by(Video.id).limit(limit)
    if after is not None:
        query = query.where(Video.id > after)
    return list((await session.execute(query)).all())


async def list_scenes(session: AsyncSession, video_id: UUID, *, after: int | None, limit: int) -> list[AnyRow]:
    """Returns up to `limit` scenes of a video in order of time.

    Args:
        session: where to read.
        video_id: the video.
        after: the index of the last scene of the page before.
        limit: how many at most.
    """
    query = (
        select(
            Scene.id,
            Scene.library_id,
            Scene.video_id,
            # A row is a tuple, and a tuple has an index of its own.
            Scene.index.label("scene_index"),
            Scene.start_us,
            Scene.end_us,
            Scene.thumbnail_id,
            Content.media_type.label("thumbnail_media_type"),
            Content.size_bytes.label("thumbnail_size_bytes"),
        )
        .join(Content, Content.id == Scene.thumbnail_id)
        .where(Scene.video_id == video_id)
        .order_by(Scene.index)
        .limit(limit)
    )
    if after is not None:
        query = query.where(Scene.index > after)
    return list((await session.execute(query)).all())


async def list_appearances(
    session: AsyncSession, video_id: UUID, *, after: tuple[int, UUID] | None, limit: int
) -> list[AnyRow]:
    """Returns up to `limit` appearances of a video in order of time.

    Args:
        session: where to read.
        video_id: the video.
        after: start in microseconds and id of the last one of the page before.
        limit: how many at most.
    """
    query = (
        select(Appearance.id, Appearance.library_id, Appearance.video_id, Appearance.scene_id, Appearance.record)
        .add_columns(Appearance.start_us)
        .where(Appearance.video_id == video_id)
        .order_by(Appearance.start_us, Appearance.id)
        .limit(limit)
    )
    if after is not None:
        query = query.where(tuple_(Appearance.start_us, Appearance.id) > after)
    return list((await session.execute(query)).all())


def appearance_place(row: AnyRow) -> bytes:
    """What a list of appearances goes on after."""
    return _APPEARANCE_PLACE.pack(row.start_us, row.id.bytes)


def unpack_appearance_place(place: bytes) -> tuple[int, UUID]:
    """The reverse: start in microseconds and id."""
    start_us, id_ = _APPEARANCE_PLACE.unpack(place)
    return start_us, UUID(bytes=id_)


async def delete_whole(session: AsyncSession, library_id: UUID, video_id: UUID) -> Deleted:
    """Deletes a video: rows now, embeddings from the feed, its processing loses its lease; the erasure does the rest.

    Returns:
        The position from which on an index no longer finds it.
    """
    cancelled = await work.cancel(session, [video_id])
    # The lock keeps a result that is being applied from adding appearances between the two statements.
    locked = select(Video.id).where(Video.id == video_id, Video.library_id == library_id).with_for_update()
    target = name(VIDEO, library_id, video_id)
    if await session.scalar(locked) is None:
        raise not_found(target)
    contents = await count_contents(session, ErasureKind.VIDEO, video_id)
    appearances = await session.execute(select(Appearance.id, Appearance.space).where(Appearance.video_id == video_id))
    tombstones = [feed.Change(CollectionKind.APPEARANCES, row.id, library_id, row.space, None) for row in appearances]
    await session.execute(delete(Video).where(Video.id == video_id))
    erasure_id = await erasures.begin(session, ErasureKind.VIDEO, library_id, target, contents, cancelled)
    return Deleted(await feed.record_changes(session, tombstones), erasure_id)
