"""The query embedding of a person: derived from their READY photos whenever one comes or goes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import numpy as np
from sqlalchemy import ARRAY, Uuid, any_, bindparam, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from api_server.database.schema import CollectionKind, MediaState, Person, ReferencePhoto, Vector
from api_server.feed import Change, FeedPosition, record_changes

_LOCK = (
    select(Person.id, Person.library_id, Person.query_space)
    .where(Person.id == any_(bindparam("ids", type_=ARRAY(Uuid()))))
    .order_by(Person.id)
    # FOR NO KEY UPDATE: it does not block an upload, whose photo refers to the person.
    .with_for_update(key_share=True)
)
_READY = (
    select(ReferencePhoto.person_id, ReferencePhoto.embedding, ReferencePhoto.space, ReferencePhoto.weight)
    .where(ReferencePhoto.person_id == any_(bindparam("ids", type_=ARRAY(Uuid()))))
    .where(ReferencePhoto.state == MediaState.READY)
    .order_by(ReferencePhoto.person_id, ReferencePhoto.id)
)
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


@dataclass(frozen=True, eq=False)
class WeightedEmbedding:
    """A READY photo's part in the query embedding.

    Attributes:
        vector: float32 (d,) of unit length.
        space: its embedding space.
        weight: above 0, at most 1.
    """

    vector: Vector
    space: str
    weight: float


@dataclass(frozen=True)
class _LockedPerson:
    """What an aggregation needs of a person whose row is locked."""

    id: UUID
    library_id: UUID
    query_space: str | None


def aggregate(photos: Sequence[WeightedEmbedding]) -> tuple[Vector, str] | None:
    """Returns the weighted normalised mean of a person's READY photos, and its space.

    There is no set of READY photos for which this fails: it runs in the transaction that makes a photo READY, and must
    not undo that. Photos of an older space than the last one's do not count. Photos that cancel each other out (a
    photo of somebody else among them, most likely) leave the one of the greatest weight.

    Args:
        photos: in the order of their creation.

    Returns:
        A float32 (d,) vector of unit length and its space; None without photos.
    """
    if not photos:
        return None
    space = photos[-1].space
    current = [photo for photo in photos if photo.space == space]
    weights = np.array([photo.weight for photo in current], dtype=np.float64)
    mean = weights @ np.stack([photo.vector for photo in current]).astype(np.float64)
    length = float(np.linalg.norm(mean))
    if length < _SHORTEST_MEAN * weights.sum():
        return current[int(weights.argmax())].vector, space
    return (mean / length).astype(np.float32), space


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
    photos = await _ready_photos(session, people)
    found = {person_id: aggregate(photos[person_id]) for person_id in people}
    changes = [
        _change(person, found[person.id]) for person in people.values() if person.query_space or found[person.id]
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


async def _ready_photos(
    session: AsyncSession, person_ids: Collection[UUID]
) -> defaultdict[UUID, list[WeightedEmbedding]]:
    photos: defaultdict[UUID, list[WeightedEmbedding]] = defaultdict(list)
    for row in await session.execute(_READY, {"ids": list(person_ids)}):
        photos[row.person_id].append(WeightedEmbedding(row.embedding, row.space, row.weight))
    return photos


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
