"""The query embedding of a person: derived from their READY photos whenever one comes or goes."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from api_server.database.schema import CollectionKind, Vector
from api_server.database.vectors import vector_base64
from api_server.feed import Change, FeedPosition, record_changes

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
    person_id, space, string_agg(embedding, '' ORDER BY id) AS vectors, array_agg(weight ORDER BY id) AS weights
FROM reference_photos
WHERE person_id = ANY(:ids) AND state = 'ready'
GROUP BY person_id, space
ORDER BY person_id, max(create_time) DESC
""")
_STORE = text("""
UPDATE people
SET query_embedding = decode(vector, 'base64'), query_space = space, embedding_sequence = sequence, update_time = now()
FROM json_to_recordset(CAST(:rows AS json)) AS row (id uuid, vector text, space text, sequence bigint)
WHERE people.id = row.id
""")
# A mean shorter than this has no direction that a float32 could tell from noise.
_SHORTEST_MEAN = 1e-6


@dataclass(frozen=True)
class LockedPerson:
    """What an aggregation needs of a person whose row is locked.

    Attributes:
        query_space: of the query embedding; None without one.
    """

    id: UUID
    library_id: UUID
    query_space: str | None


def aggregate(vectors: NDArray[np.float32], weights: NDArray[np.float32]) -> Vector:
    """Returns the weighted normalised mean of the embeddings of a person's READY photos.

    There are no READY photos for which this fails: it runs in the transaction that makes a photo READY, and must not
    undo that. Photos that cancel each other out (one of them shows somebody else, most likely) leave the one of the
    greatest weight.

    Args:
        vectors: float32 (n, d), n at least 1, each of unit length.
        weights: float32 (n,), each above 0, at most 1.

    Returns:
        float32 (d,) of unit length.
    """
    mean = weights.astype(np.float64) @ vectors.astype(np.float64)
    length = float(np.linalg.norm(mean))
    if length < _SHORTEST_MEAN * float(weights.sum()):
        mean, length = vectors[int(weights.argmax())], 1.0
    vector: Vector = (mean / length).astype(np.float32)
    return vector


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
    """The vector and its space for each person who has a READY photo."""
    rows = await session.execute(_READY, {"ids": list(person_ids)})
    return {row.person_id: (_aggregate_row(row.vectors, row.weights), row.space) for row in rows}


def _aggregate_row(vectors: bytes, weights: Sequence[float]) -> Vector:
    matrix = np.frombuffer(vectors, dtype="<f4").reshape(len(weights), -1)
    return aggregate(matrix, np.array(weights, dtype=np.float32))


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
