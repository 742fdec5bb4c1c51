"""Compares new photos with the other people of their library; who is alike is a warning on the photo.

Not in the transaction that makes a photo READY: a call to the index there would hold locks for as long as it takes, and
enrolling would stop whenever the index does. Afterwards it can wait until the index knows of that transaction, so that
of two people who are enrolled at once the later one is always compared with the earlier.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import text

from api_server.database.engine import Database
from api_server.database.rows import AnyRow
from api_server.database.schema import CollectionKind
from api_server.feed import FeedPosition
from api_server.search.peers import Index
from whodex.v1 import index_service_pb2

_BATCH = 64
_INDEX_TIMEOUT_SECONDS = 10.0
# The highest threshold of the calibration: a library is full of people, and each is a chance of a false warning.
_UNCHECKED = text("""
SELECT photo.id, photo.person_id, photo.library_id, photo.space, photo.embedding, people.embedding_sequence,
    feed_state.epoch,
    (SELECT max((threshold->>'similarity')::float) FROM jsonb_array_elements(thresholds) AS threshold) AS least
FROM reference_photos AS photo
    JOIN people ON people.id = photo.person_id
    JOIN embedding_spaces ON embedding_spaces.space = photo.space
    CROSS JOIN feed_state
WHERE photo.state = 'ready' AND NOT photo.look_alikes_checked
ORDER BY photo.id LIMIT :batch
""")
# Rows that somebody else has locked wait for the next round, so that no order of locks is to be kept.
_STORE = text("""
WITH free AS (
    SELECT reference_photos.id, row.look_alike_id, row.similarity
    FROM reference_photos
        JOIN json_to_recordset(CAST(:rows AS json)) AS row (id uuid, look_alike_id uuid, similarity real) USING (id)
    FOR UPDATE OF reference_photos SKIP LOCKED
)
UPDATE reference_photos
SET look_alikes_checked = true, look_alike_id = free.look_alike_id, look_alike_similarity = free.similarity
FROM free WHERE reference_photos.id = free.id
""")
_FORGET = text("""
WITH free AS (
    SELECT id FROM reference_photos
    WHERE look_alike_id IS NOT NULL AND NOT EXISTS (SELECT FROM people WHERE people.id = look_alike_id)
    FOR UPDATE SKIP LOCKED
)
UPDATE reference_photos SET look_alike_id = NULL, look_alike_similarity = NULL
FROM free WHERE reference_photos.id = free.id
""")


@dataclass(frozen=True)
class LookAlikes:
    """What it takes to look for them."""

    database: Database
    index: Index

    async def check_due(self) -> None:
        """Compares every READY photo that was not compared yet, and forgets the people who were deleted.

        Raises:
            UnavailableError: INDEX_UNAVAILABLE; the photos stay as they are, and say so.
            DeadlineExceededError: the index is far behind.
        """
        async with self.database.transaction() as session:
            await session.execute(_FORGET)
        while await self._check_batch() == _BATCH:
            pass

    async def _check_batch(self) -> int:
        async with self.database.reads() as session:
            photos = (await session.execute(_UNCHECKED, {"batch": _BATCH})).all()
        collections: defaultdict[tuple[Any, str], list[AnyRow]] = defaultdict(list)
        for photo in photos:
            collections[photo.library_id, photo.space].append(photo)
        for group in collections.values():
            rows = await self._compared(group)
            async with self.database.transaction() as session:
                await session.execute(_STORE, {"rows": json.dumps(rows)})
        return len(photos)

    async def _compared(self, photos: Sequence[AnyRow]) -> list[dict[str, Any]]:
        """Compares photos of one library and space: what is to be stored of each."""
        newest = max(photo.embedding_sequence for photo in photos)
        found = await self.index.search(
            (photos[0].library_id, CollectionKind.PEOPLE, photos[0].space),
            [np.frombuffer(photo.embedding, dtype="<f4") for photo in photos],
            min_similarity=photos[0].least,
            # One of them may be the person.
            max_neighbors=2,
            at_least=FeedPosition(photos[0].epoch, newest),
            timeout_seconds=_INDEX_TIMEOUT_SECONDS,
        )
        return [_row(photo, neighbors) for photo, neighbors in zip(photos, found.results, strict=True)]


def _row(photo: AnyRow, neighbors: index_service_pb2.Neighbors) -> dict[str, Any]:
    others = [
        pair for pair in zip(neighbors.ids, neighbors.similarities, strict=True) if pair[0] != str(photo.person_id)
    ]
    look_alike_id, similarity = others[0] if others else (None, None)
    return {"id": str(photo.id), "look_alike_id": look_alike_id, "similarity": similarity}
