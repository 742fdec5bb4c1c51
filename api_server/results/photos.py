"""A reference photo was analysed: it is READY, and its person is found by it from now on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast
from uuid import UUID

from sqlalchemy import ARRAY, Uuid, any_, bindparam, func, insert, null, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from api_server.database.schema import Content, MediaState, ReferencePhoto
from api_server.results.completed import Completed
from api_server.results.people import recompute_query_embeddings
from api_server.results.spaces import checked_vector, registered_dimensions
from whodex.v1 import geometry_pb2, tasks_pb2

_PEOPLE = select(ReferencePhoto.id, ReferencePhoto.person_id).where(
    ReferencePhoto.id == any_(bindparam("ids", type_=ARRAY(Uuid())))
)
_MEASURED = (
    "thumbnail_id",
    "width",
    "height",
    "face_box",
    "face_size_px",
    "sharpness",
    "detection_score",
    "weight",
    "embedding",
    "space",
)
_FAILURE = ("failure_reason", "failure_message", "failure_retryable", "failure_attempts", "failure_time")
_STORE = (
    update(ReferencePhoto)
    .where(ReferencePhoto.id == bindparam("photo"))
    .values(
        state=MediaState.READY,
        update_time=func.now(),
        **{name: bindparam(name) for name in _MEASURED},
        **dict.fromkeys(_FAILURE, null()),
    )
)


async def apply_photos(session: AsyncSession, completed: Sequence[Completed]) -> None:
    """Stores what was measured, adopts the thumbnails and derives the query embeddings of the people anew.

    A photo that was deleted meanwhile is left out; its staged thumbnail is garbage.

    Raises:
        InvalidArgumentError: EMBEDDING_MISMATCH when a result is not of a registered embedding space.
    """
    people: dict[UUID | None, UUID] = {
        row.id: row.person_id for row in await session.execute(_PEOPLE, {"ids": [one.resource_id for one in completed]})
    }
    dimensions = await registered_dimensions(session)
    alive = [one for one in completed if one.resource_id in people]
    if not alive:
        return
    contents, photos = zip(*(_rows(one, dimensions) for one in alive), strict=True)
    connection = await session.connection()
    await connection.execute(insert(Content), contents)
    await connection.execute(_STORE, photos)
    await recompute_query_embeddings(session, set(people.values()))


def _rows(one: Completed, dimensions: Mapping[str, int]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The rows of the thumbnail and of the photo."""
    result = cast("tasks_pb2.AnalyzeReferencePhotoResult", one.result)
    photo_id = cast("UUID", one.resource_id)
    thumbnail = one.content(result.thumbnail, photo_id)
    photo = {
        "photo": photo_id,
        "thumbnail_id": thumbnail["id"],
        "width": result.width,
        "height": result.height,
        "face_box": _edges(result.face_box),
        "face_size_px": result.quality.face_size_px,
        "sharpness": result.quality.sharpness,
        "detection_score": result.quality.detection_score,
        "weight": result.weight,
        "embedding": checked_vector(result.embedding, dimensions),
        "space": result.embedding.space,
    }
    return thumbnail, photo


def _edges(box: geometry_pb2.Box) -> list[float]:
    return [box.left, box.top, box.right, box.bottom]
