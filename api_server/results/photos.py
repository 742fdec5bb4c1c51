"""A reference photo was analysed: it is READY, and its person is found by it from now on.

Unless its face is not that of the person's other photos: then it is FAILED. This is the place that can tell, since it
holds the lock on the person under which photos become READY one after the other.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any, cast
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
from uuid_utils.compat import uuid7

from api_server.database.notifications import Channel
from api_server.database.schema import EmbeddingSpace, MediaState
from api_server.database.vectors import vector_base64
from api_server.results.completed import Completed
from api_server.results.people import lock_people_of, recompute_locked
from api_server.results.same_person import NewPhoto, find_strangers
from api_server.results.spaces import checked_vector, registered_spaces
from whodex.v1 import failure_pb2, geometry_pb2, tasks_pb2

# One statement for a batch: a thumbnail's row is there before the photo refers to it.
_STORE = text(f"""
WITH result AS (
    SELECT * FROM json_to_recordset(CAST(:rows AS json)) AS result (
        id uuid, library_id uuid, state text, failure_reason int, failure_message text, attempts int,
        thumbnail_id uuid, key text, media_type text, size_bytes bigint,
        width int, height int, face_box real[], quality text, quality_warnings jsonb,
        weight real, embedding text, space text
    )
), thumbnail AS (
    INSERT INTO contents (id, library_id, owner_id, key, media_type, size_bytes)
    SELECT thumbnail_id, library_id, id, key, media_type, size_bytes FROM result WHERE state = 'ready'
)
UPDATE reference_photos
SET state = result.state, update_time = now(),
    thumbnail_id = CASE result.state WHEN 'ready' THEN result.thumbnail_id END,
    width = result.width, height = result.height, face_box = result.face_box,
    quality = decode(result.quality, 'base64'), quality_warnings = result.quality_warnings,
    weight = result.weight, embedding = decode(result.embedding, 'base64'), space = result.space,
    failure_reason = result.failure_reason, failure_message = result.failure_message,
    failure_retryable = CASE result.state WHEN 'failed' THEN true END,
    failure_attempts = CASE result.state WHEN 'failed' THEN result.attempts END,
    failure_time = CASE result.state WHEN 'failed' THEN now() END
FROM result WHERE reference_photos.id = result.id AND reference_photos.state <> 'ready'
RETURNING pg_notify('{Channel.READY_PHOTOS.value}', '')
""")  # noqa: S608 - the channel is a constant


async def apply_photos(session: AsyncSession, completed: Sequence[Completed]) -> None:
    """Stores what was measured, adopts the thumbnails and derives the query embeddings of the people anew.

    A photo that shows somebody else than the person's other photos is FAILED. What was measured on it is kept, for
    those who look into it and for the photos that come after it; its staged thumbnail is garbage, as is that of a photo
    that was deleted meanwhile.

    Raises:
        InvalidArgumentError: EMBEDDING_MISMATCH when a result is not of a registered embedding space.
    """
    spaces = await registered_spaces(session)
    by_photo = {one.resource_id: one for one in completed if one.resource_id is not None}
    people = await lock_people_of(session, by_photo.keys())
    photos = [_new_photo(by_photo[id_], id_, people[id_].id, spaces) for id_ in sorted(people)]
    if not photos:
        return
    strangers = await find_strangers(session, photos, spaces)
    rows = [_row(by_photo[photo.id], photo, strangers.get(photo.id)) for photo in photos]
    await session.execute(_STORE, {"rows": json.dumps(rows)})
    await recompute_locked(session, {people[photo.id] for photo in photos if photo.id not in strangers})


def _new_photo(one: Completed, id_: UUID, person_id: UUID, spaces: Mapping[str, EmbeddingSpace]) -> NewPhoto:
    result = _result(one)
    vector = checked_vector(result.embedding, spaces)
    return NewPhoto(id_, person_id, result.embedding.space, vector, result.weight)


def _row(one: Completed, photo: NewPhoto, problem: str | None) -> dict[str, Any]:
    """The row of the photo, and of its thumbnail."""
    result = _result(one)
    return {
        "id": str(photo.id),
        "library_id": str(one.library_id),
        "state": MediaState.FAILED if problem else MediaState.READY,
        "failure_reason": failure_pb2.FAILURE_REASON_DIFFERENT_PERSON if problem else None,
        "failure_message": problem,
        "attempts": one.attempts,
        "thumbnail_id": str(uuid7()),
        "key": one.key(result.thumbnail),
        "media_type": result.thumbnail.media_type,
        "size_bytes": result.thumbnail.size_bytes,
        "width": result.width,
        "height": result.height,
        "face_box": _edges(result.face_box),
        "quality": b64encode(result.quality.SerializeToString()).decode(),
        "quality_warnings": [{"kind": warning.kind, "message": warning.message} for warning in result.warnings],
        "weight": result.weight,
        "embedding": vector_base64(photo.vector),
        "space": photo.space,
    }


def _result(one: Completed) -> tasks_pb2.AnalyzeReferencePhotoResult:
    return cast("tasks_pb2.AnalyzeReferencePhotoResult", one.result)


def _edges(box: geometry_pb2.Box) -> list[float]:
    return [box.left, box.top, box.right, box.bottom]
