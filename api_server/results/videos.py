"""A video was processed: its staged parts become scenes and appearances, all at once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast
from uuid import UUID

from google.protobuf import any_pb2
from sqlalchemy import bindparam, func, insert, null, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from uuid_utils.compat import uuid7

from api_server.contents.conversion import to_content
from api_server.database.schema import (
    Appearance,
    CollectionKind,
    Content,
    EmbeddingSpace,
    MediaState,
    Scene,
    StagedPart,
    Vector,
    Video,
)
from api_server.feed import Change, record_changes
from api_server.results.completed import Completed
from api_server.results.spaces import checked_vector, registered_spaces
from whodex.errors import FieldViolation, InvalidArgumentError
from whodex.v1 import content_pb2, error_reason_pb2, tasks_pb2, video_pb2

# Parts read at once: bounds the memory, since a part holds the boxes of a whole scene.
_PARTS_PER_READ = 100
_READ_PARTS = (
    select(StagedPart.ordinal, StagedPart.part)
    .where(StagedPart.work_item_id == bindparam("work_item_id"))
    .where(StagedPart.fencing_token == bindparam("fencing_token"))
    .where(StagedPart.ordinal >= bindparam("first"))
    .order_by(StagedPart.ordinal)
    .limit(_PARTS_PER_READ)
)
_EXISTS = select(Video.id).where(Video.id == bindparam("video"))
_MEASURED = (
    "duration_us",
    "width",
    "height",
    "frame_rate",
    "scene_count",
    "appearance_count",
    "embedding_sequence",
)
_FAILURE = ("failure_reason", "failure_message", "failure_retryable", "failure_attempts", "failure_time")
_STORE = (
    update(Video)
    .where(Video.id == bindparam("video"))
    .values(
        state=MediaState.READY,
        progress=1.0,
        update_time=func.now(),
        **{name: bindparam(name) for name in _MEASURED},
        **dict.fromkeys(_FAILURE, null()),
    )
)


@dataclass(eq=False)
class _Rows:
    """What the parts of one video become; parents stand before what refers to them."""

    contents: list[dict[str, Any]] = field(default_factory=list)
    scenes: list[dict[str, Any]] = field(default_factory=list)
    appearances: list[dict[str, Any]] = field(default_factory=list)


async def apply_videos(session: AsyncSession, completed: Sequence[Completed]) -> None:
    """Stores scenes, appearances and their pictures, and tells the feed.

    A video that was deleted meanwhile is left out; its staged blobs are garbage.

    Raises:
        InvalidArgumentError: EMBEDDING_MISMATCH when an appearance is not of a registered embedding space;
            INVALID_FIELD when the number of staged parts is not the one announced.
    """
    spaces = await registered_spaces(session)
    for one in completed:
        if (await session.execute(_EXISTS, {"video": one.resource_id})).first() is not None:
            await _apply(session, one, spaces)


async def _apply(session: AsyncSession, one: Completed, spaces: Mapping[str, EmbeddingSpace]) -> None:
    result = cast("tasks_pb2.ProcessVideoResult", one.result)
    rows, count = _Rows(), 0
    async for part in _parts(session, one):
        _add_scene(rows, one, part, count, spaces)
        count += 1
    if count != result.part_count:
        raise _wrong_part_count(result.part_count, count)
    await _insert(session, Content, rows.contents)
    await _insert(session, Scene, rows.scenes)
    # The feed last: its lock makes every other writer of embeddings wait.
    position = await record_changes(session, [_change(row) for row in rows.appearances])
    first = position.sequence - len(rows.appearances) + 1
    for offset, row in enumerate(rows.appearances):
        row["embedding_sequence"] = first + offset
    await _insert(session, Appearance, rows.appearances)
    measured = _measured(result, rows) | {"embedding_sequence": position.sequence}
    connection = await session.connection()
    await connection.execute(_STORE, {"video": one.resource_id, **measured})


async def _parts(session: AsyncSession, one: Completed) -> AsyncIterator[tasks_pb2.ProcessVideoPart]:
    """Yields the staged parts from ordinal 0 on, up to the first gap."""
    parameters = {"work_item_id": one.work_item_id, "fencing_token": one.fencing_token, "first": 0}
    while rows := (await session.execute(_READ_PARTS, parameters)).all():
        for row in rows:
            if row.ordinal != parameters["first"]:
                return
            part = tasks_pb2.ProcessVideoPart()
            any_pb2.Any.FromString(row.part).Unpack(part)
            yield part
            parameters["first"] = row.ordinal + 1


def _add_scene(
    rows: _Rows,
    one: Completed,
    part: tasks_pb2.ProcessVideoPart,
    index: int,
    spaces: Mapping[str, EmbeddingSpace],
) -> None:
    video_id = cast("UUID", one.resource_id)
    thumbnail = one.content(part.thumbnail, video_id)
    scene = {
        "id": uuid7(),
        "video_id": video_id,
        "library_id": one.library_id,
        "index": index,
        "start_us": part.start_offset.ToMicroseconds(),
        "end_us": part.end_offset.ToMicroseconds(),
        "thumbnail_id": thumbnail["id"],
    }
    rows.contents.append(thumbnail)
    rows.scenes.append(scene)
    for staged in part.appearances:
        vector = checked_vector(staged.embedding, spaces)
        rows.appearances.append(_appearance(rows, one, staged, scene, vector))


def _appearance(
    rows: _Rows, one: Completed, staged: tasks_pb2.StagedAppearance, scene: Mapping[str, Any], vector: Vector
) -> dict[str, Any]:
    record = video_pb2.Appearance(start_offset=staged.start_offset, end_offset=staged.end_offset, boxes=staged.boxes)
    for shot in staged.best_shots:
        content = one.content(shot.thumbnail, scene["video_id"])
        rows.contents.append(content)
        record.best_shots.add(offset=shot.offset, box=shot.box, quality=shot.quality, thumbnail=_reference(content))
    return {
        "id": uuid7(),
        "scene_id": scene["id"],
        "video_id": scene["video_id"],
        "library_id": one.library_id,
        "start_us": staged.start_offset.ToMicroseconds(),
        "end_us": staged.end_offset.ToMicroseconds(),
        "record": record.SerializeToString(),
        "embedding": vector,
        "space": staged.embedding.space,
    }


def _reference(content: Mapping[str, Any]) -> content_pb2.Content:
    return to_content(content["library_id"], content["id"], content["media_type"], content["size_bytes"])


def _change(appearance: Mapping[str, Any]) -> Change:
    return Change(
        CollectionKind.APPEARANCES,
        appearance["id"],
        appearance["library_id"],
        appearance["space"],
        appearance["embedding"],
    )


def _measured(result: tasks_pb2.ProcessVideoResult, rows: _Rows) -> dict[str, Any]:
    return {
        "duration_us": result.duration.ToMicroseconds(),
        "width": result.width,
        "height": result.height,
        "frame_rate": result.frame_rate,
        "scene_count": len(rows.scenes),
        "appearance_count": len(rows.appearances),
    }


async def _insert(session: AsyncSession, table: type[Content | Scene | Appearance], rows: Sequence[Any]) -> None:
    if rows:
        connection = await session.connection()
        await connection.execute(insert(table), rows)


def _wrong_part_count(announced: int, staged: int) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"The result announces {announced} parts, but {staged} are staged from ordinal 0 on. Report the missing ones.",
        reason=error_reason_pb2.ERROR_REASON_INVALID_FIELD,
        violations=[FieldViolation("result.part_count", f"{staged} parts are staged")],
    )
