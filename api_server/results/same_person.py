"""The photos that do not show their person: asked when photos are about to become READY, under the people's locks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from api_server.database.schema import EmbeddingSpace, Vector
from api_server.results.agreement import Accepted, Candidate, disagreements
from api_server.results.spaces import lowest_threshold
from whodex.v1 import failure_pb2

_CONFIRMED = text("SELECT id FROM reference_photos WHERE id = ANY(:photo_ids) AND same_person_confirmed")
# One row per person and space, however many photos there are.
_OTHERS = text("""
SELECT person_id, space,
    string_agg(embedding, '' ORDER BY id) FILTER (WHERE state = 'ready') AS ready,
    array_agg(weight ORDER BY id) FILTER (WHERE state = 'ready') AS weights,
    string_agg(embedding, '' ORDER BY id) FILTER (WHERE state = 'failed') AS rejected
FROM reference_photos
WHERE person_id = ANY(:person_ids) AND (state = 'ready' OR state = 'failed' AND failure_reason = :reason)
GROUP BY person_id, space
""")

_PersonAndSpace = tuple[UUID, str]


@dataclass(frozen=True, eq=False)
class NewPhoto:
    """A photo that was analysed.

    Attributes:
        space: of its embedding.
        vector: float32 (d,) of unit length.
        weight: in the query embedding, above 0, at most 1.
    """

    id: UUID
    person_id: UUID
    space: str
    vector: Vector
    weight: float


@dataclass(frozen=True, eq=False)
class _Others:
    """What the person has in the same space, float32 (n, d) each: photos that are READY, and that were rejected."""

    ready: Accepted
    rejected: NDArray[np.float32]

    @classmethod
    def read(
        cls, space: EmbeddingSpace, ready: bytes | None, weights: Sequence[float] | None, rejected: bytes | None
    ) -> _Others:
        """Reads the bytes of vectors, one after the other; None: there are none."""
        return cls(
            Accepted(_matrix(ready, space.dimension), np.array(weights or (), np.float32)),
            _matrix(rejected, space.dimension),
        )


async def find_strangers(
    session: AsyncSession, photos: Sequence[NewPhoto], spaces: Mapping[str, EmbeddingSpace]
) -> Mapping[UUID, str]:
    """Returns the photos whose face is not that of the person's others, with a sentence about each.

    Args:
        session: a transaction that holds the locks of the people.
        photos: the oldest first.
        spaces: the registered ones.
    """
    confirmed = set(await session.scalars(_CONFIRMED, {"photo_ids": [photo.id for photo in photos]}))
    others = await _others(session, {photo.person_id for photo in photos}, spaces)
    groups: defaultdict[_PersonAndSpace, list[NewPhoto]] = defaultdict(list)
    for photo in photos:
        groups[photo.person_id, photo.space].append(photo)
    strangers: dict[UUID, str] = {}
    for key, group in groups.items():
        space = spaces[key[1]]
        strangers |= _strangers(group, others.get(key) or _Others.read(space, None, None, None), confirmed, space)
    return strangers


def _strangers(
    photos: Sequence[NewPhoto], others: _Others, confirmed: Collection[UUID], space: EmbeddingSpace
) -> Mapping[UUID, str]:
    least = lowest_threshold(space)
    candidates = [Candidate(photo.vector, photo.weight, photo.id in confirmed) for photo in photos]
    found = {
        photo: similarity
        for photo, similarity in zip(photos, disagreements(candidates, others.ready, least=least), strict=True)
        if similarity is not None
    }
    rejected = np.concatenate([others.rejected, *(photo.vector[None] for photo in found)])
    return {
        # Itself is among them.
        photo.id: _sentence(similarity, least, int((rejected @ photo.vector >= least).sum()) - 1)
        for photo, similarity in found.items()
    }


def _sentence(similarity: float, least: float, alike_count: int) -> str:
    problem = (
        f"The face does not look like the person's other photos: its similarity to them is {similarity:.3f}, at least"
        f" {least:.3f} is needed."
    )
    if alike_count:
        return (
            f"{problem} {alike_count} more that were rejected look like it: if the photos that are READY show somebody"
            " else, delete those and retry these; else confirm that it is the same person."
        )
    return f"{problem} Upload a photo of the right person, or retry this one and confirm that it is the same person."


async def _others(
    session: AsyncSession, person_ids: Collection[UUID], spaces: Mapping[str, EmbeddingSpace]
) -> Mapping[_PersonAndSpace, _Others]:
    parameters = {"person_ids": list(person_ids), "reason": failure_pb2.FAILURE_REASON_DIFFERENT_PERSON}
    return {
        (row.person_id, row.space): _Others.read(spaces[row.space], row.ready, row.weights, row.rejected)
        for row in await session.execute(_OTHERS, parameters)
        if row.space in spaces
    }


def _matrix(vectors: bytes | None, dimension: int) -> NDArray[np.float32]:
    return np.frombuffer(vectors or b"", dtype="<f4").reshape(-1, dimension)
