"""A reference photo was analysed: it is READY, and its person is found by it from now on."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
from uuid_utils.compat import uuid7

from api_server.database.vectors import vector_base64
from api_server.results.completed import Completed
from api_server.results.people import lock_people_of, recompute_locked
from api_server.results.spaces import checked_vector, registered_dimensions
from whodex.v1 import geometry_pb2, tasks_pb2

# One statement for a batch: a thumbnail's row is there before the photo refers to it.
_STORE = text("""
WITH result AS (
    SELECT * FROM json_to_recordset(CAST(:rows AS json)) AS result (
        id uuid, library_id uuid, thumbnail_id uuid, key text, media_type text, size_bytes bigint,
        width int, height int, face_box real[], face_size_px real, sharpness real, detection_score real,
        weight real, embedding text, space text
    )
), thumbnail AS (
    INSERT INTO contents (id, library_id, owner_id, key, media_type, size_bytes)
    SELECT thumbnail_id, library_id, id, key, media_type, size_bytes FROM result
)
UPDATE reference_photos
SET state = 'ready', update_time = now(), thumbnail_id = result.thumbnail_id,
    width = result.width, height = result.height, face_box = result.face_box,
    face_size_px = result.face_size_px, sharpness = result.sharpness, detection_score = result.detection_score,
    weight = result.weight, embedding = decode(result.embedding, 'base64'), space = result.space,
    failure_reason = NULL, failure_message = NULL, failure_retryable = NULL, failure_attempts = NULL,
    failure_time = NULL
FROM result WHERE reference_photos.id = result.id
""")


async def apply_photos(session: AsyncSession, completed: Sequence[Completed]) -> None:
    """Stores what was measured, adopts the thumbnails and derives the query embeddings of the people anew.

    A photo that was deleted meanwhile is left out; its staged thumbnail is garbage.

    Raises:
        InvalidArgumentError: EMBEDDING_MISMATCH when a result is not of a registered embedding space.
    """
    dimensions = await registered_dimensions(session)
    by_photo = {one.resource_id: one for one in completed if one.resource_id is not None}
    people = await lock_people_of(session, by_photo.keys())
    rows = [_row(by_photo[photo_id], photo_id, dimensions) for photo_id in people]
    if rows:
        await session.execute(_STORE, {"rows": json.dumps(rows)})
        await recompute_locked(session, set(people.values()))


def _row(one: Completed, photo_id: UUID, dimensions: Mapping[str, int]) -> dict[str, Any]:
    """The row of the photo, and of its thumbnail."""
    result = cast("tasks_pb2.AnalyzeReferencePhotoResult", one.result)
    return {
        "id": str(photo_id),
        "library_id": str(one.library_id),
        "thumbnail_id": str(uuid7()),
        "key": one.key(result.thumbnail),
        "media_type": result.thumbnail.media_type,
        "size_bytes": result.thumbnail.size_bytes,
        "width": result.width,
        "height": result.height,
        "face_box": _edges(result.face_box),
        "face_size_px": result.quality.face_size_px,
        "sharpness": result.quality.sharpness,
        "detection_score": result.quality.detection_score,
        "weight": result.weight,
        "embedding": vector_base64(checked_vector(result.embedding, dimensions)),
        "space": result.embedding.space,
    }


def _edges(box: geometry_pb2.Box) -> list[float]:
    return [box.left, box.top, box.right, box.bottom]
