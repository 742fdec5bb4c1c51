"""The query embedding of a person: derived from their READY photos whenever one comes or goes.

Which of them are near-duplicates of others is derived along with it: when an original goes, its duplicate counts again.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import numpy as np
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from api_server.database.schema import CollectionKind, Vector
from api_server.database.vectors import vector_base64
from api_server.feed import Change, FeedPosition, record_changes
from api_server.results.aggregation import aggregate, near_duplicates

# FOR NO KEY UPDATE does not block an upload, whose photo refers to the person.
_LOCK = text("""
SELECT id, library_id, query_space FROM people WHERE id = :id FOR NO KEY UPDATE
""")
# Ordered, so that two batches with people in common wait for each other and never deadlock.
_LOCK_OF_PHOTOS = text("""
SELECT reference_photos.id AS photo_id, people.id, people.library_id, people.query_space
FROM reference_photos JOIN people ON people.id = reference_photos.person_id
WHERE reference_photos.id = ANY(:photo_ids) ORDER BY people.id FOR NO KEY UPDATE OF people
""")
# One row per person however many photos there are: what a photo costs must not grow with those before it. Photos of
# an older space than the newest photo's do not count.
_READY = text("""
SELECT DISTINCT ON (person_id)
    person_id, space, string_agg(embedding, '' ORDER BY id) AS vectors, array_agg(weight ORDER BY id) AS weights,
    array_agg(id ORDER BY id) AS ids, array_agg(duplicate_of ORDER BY id) AS duplicates_of
FROM reference_photos
WHERE person_id = ANY(:ids) AND state = 'ready'
GROUP BY person_id, space
ORDER BY person_id, max(create_time) DESC
""")
_MARK_DUPLICATES = text("""
UPDATE reference_photos SET duplicate_of = row.duplicate_of
FROM json_to_recordset(CAST(:rows AS json)) AS row (id uuid, duplicate_of uuid)
WHERE reference_photos.id = row.id
""")
_STORE = text("""
UPDATE people
SET query_embedding = decode(vector, 'base64'), query_space = space, embedding_sequence = sequence, update_time = now()
FROM json_to_recordset(CAST(:rows AS json)) AS row (id uuid, vector text, space text, sequence bigint)
WHERE people.id = row.id
""")


@dataclass(frozen=True)
class LockedPerson:
    """What an aggregation needs of a person whose row is locked.

    Attributes:
        query_space: of the query embedding; None without one.
    """

    id: UUID
    library_id: UUID
    query_space: str | None


async def recompute_query_embedding(session: AsyncSession, person_id: UUID) -> FeedPosition:
    """Derives a person's query embedding anew and records the change. Call it last in the transaction.

    Without a READY photo there is none, and the feed gets a tombstone if there was one. Nothing happens to a person who
    does not exist.

    Returns:
        The position from which on an index knows of the change.
    """
    rows = await session.execute(_LOCK, {"id": person_id})
    return await recompute_locked(session, [LockedPerson(*row) for row in rows])


async def lock_people_of(session: AsyncSession, photo_ids: Collection[UUID]) -> Mapping[UUID, LockedPerson]:
    """Locks the people whom photos belong to; returns them by photo. Photos that do not exist are left out."""
    rows = await session.execute(_LOCK_OF_PHOTOS, {"photo_ids": list(photo_ids)})
    return {row.photo_id: LockedPerson(row.id, row.library_id, row.query_space) for row in rows}


async def recompute_locked(session: AsyncSession, people: Collection[LockedPerson]) -> FeedPosition:
    """Does what `recompute_query_embedding` does for several people whose rows are locked, each once."""
    found = await _query_embeddings(session, [person.id for person in people])
    changes = [_change(person, found.get(person.id)) for person in people if person.query_space or person.id in found]
    position = await record_changes(session, changes)
    first = position.sequence - len(changes) + 1
    rows = [_row(change, first + offset) for offset, change in enumerate(changes)]
    if rows:
        await session.execute(_STORE, {"rows": json.dumps(rows)})
    return position


async def _query_embeddings(session: AsyncSession, person_ids: Collection[UUID]) -> Mapping[UUID, tuple[Vector, str]]:
    """The vector and its space for each person who has a READY photo; marks the near-duplicates among the photos."""
    found: dict[UUID, tuple[Vector, str]] = {}
    marks: list[dict[str, str | None]] = []
    for row in await session.execute(_READY, {"ids": list(person_ids)}):
        vectors = np.frombuffer(row.vectors, dtype="<f4").reshape(len(row.ids), -1)
        duplicate_of = near_duplicates(vectors)
        counted = [index for index, original in enumerate(duplicate_of) if original is None]
        found[row.person_id] = aggregate(vectors[counted], np.array(row.weights, np.float32)[counted]), row.space
        marks += _changed_marks(row.ids, row.duplicates_of, duplicate_of)
    if marks:
        await session.execute(_MARK_DUPLICATES, {"rows": json.dumps(marks)})
    return found


def _changed_marks(
    ids: Sequence[UUID], before: Sequence[UUID | None], duplicate_of: Sequence[int | None]
) -> list[dict[str, str | None]]:
    now = [None if original is None else ids[original] for original in duplicate_of]
    return [
        {"id": str(id_), "duplicate_of": None if original is None else str(original)}
        for id_, earlier, original in zip(ids, before, now, strict=True)
        if original != earlier
    ]


def _change(person: LockedPerson, found: tuple[Vector, str] | None) -> Change:
    vector, space = found or (None, person.query_space or "")
    return Change(CollectionKind.PEOPLE, person.id, person.library_id, space, vector)


def _row(change: Change, sequence: int) -> dict[str, Any]:
    return {
        "id": str(change.id),
        "vector": None if change.vector is None else vector_base64(change.vector),
        "space": None if change.vector is None else change.space,
        "sequence": sequence,
    }
