"""The query embedding of a person: derived from their READY photos whenever one comes or goes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ARRAY, Uuid, any_, bindparam, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from api_server.database.schema import CollectionKind, Person, Vector
from api_server.feed import Change, FeedPosition, record_changes

_LOCK = (
    select(Person.id, Person.library_id, Person.query_space)
    .where(Person.id == any_(bindparam("ids", type_=ARRAY(Uuid()))))
    .order_by(Person.id)
    # FOR NO KEY UPDATE: it does not block an upload, whose photo refers to the person.
    .with_for_update(key_share=True)
)
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
_STORE = (
    update(Person)
    .where(Person.id == bindparam("person"))
    .values(
        query_embedding=bindparam("query_embedding"),
        query_space=bindparam("query_space"),
        embedding_sequence=bindparam("embedding_sequence"),
        update_time=func.now(),
    )
)
# A mean shorter than this has no direction that a float32 could tell from noise.
_SHORTEST_MEAN = 1e-6


@dataclass(frozen=True)
class _LockedPerson:
    """What an aggregation needs of a person whose row is locked."""

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
    """Does for one person what `recompute_query_embeddings` does for several."""
    return await recompute_query_embeddings(session, [person_id])


async def recompute_query_embeddings(session: AsyncSession, person_ids: Collection[UUID]) -> FeedPosition:
    """Derives the query embeddings anew and records the changes. Call it last in the transaction.

    Without a READY photo a person has none, and the feed gets a tombstone if there was one. People who do not exist
    are left out.

    Returns:
        The position from which on an index knows of the changes.
    """
    people = await _lock_people(session, person_ids)
    found = await _query_embeddings(session, people)
    changes = [
        _change(person, found.get(person.id)) for person in people.values() if person.query_space or person.id in found
    ]
    position = await record_changes(session, changes)
    first = position.sequence - len(changes) + 1
    rows = [_row(change, first + offset) for offset, change in enumerate(changes)]
    if rows:
        connection = await session.connection()
        await connection.execute(_STORE, rows)
    return position


async def _lock_people(session: AsyncSession, person_ids: Collection[UUID]) -> dict[UUID, _LockedPerson]:
    """Locks the rows in the order of their ids, so that two transactions that aggregate one person take turns."""
    rows = await session.execute(_LOCK, {"ids": list(person_ids)})
    return {row.id: _LockedPerson(row.id, row.library_id, row.query_space) for row in rows}


async def _query_embeddings(session: AsyncSession, person_ids: Collection[UUID]) -> Mapping[UUID, tuple[Vector, str]]:
    """The vector and its space for each person who has a READY photo."""
    rows = await session.execute(_READY, {"ids": list(person_ids)})
    return {row.person_id: (_aggregate_row(row.vectors, row.weights), row.space) for row in rows}


def _aggregate_row(vectors: bytes, weights: Sequence[float]) -> Vector:
    matrix = np.frombuffer(vectors, dtype="<f4").reshape(len(weights), -1)
    return aggregate(matrix, np.array(weights, dtype=np.float32))


def _change(person: _LockedPerson, found: tuple[Vector, str] | None) -> Change:
    vector, space = found or (None, person.query_space or "")
    return Change(CollectionKind.PEOPLE, person.id, person.library_id, space, vector)


def _row(change: Change, sequence: int) -> dict[str, Any]:
    return {
        "person": change.id,
        "query_embedding": change.vector,
        "query_space": None if change.vector is None else change.space,
        "embedding_sequence": sequence,
    }
