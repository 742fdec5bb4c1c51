"""The writing side of the feed.

A plain sequence would not do: it is drawn before the commit, so a transaction that commits later could carry a smaller
number, and a follower that has gone past it would never see it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from api_server.database.notifications import Channel
from api_server.database.schema import CollectionKind, FeedState, Vector
from api_server.database.vectors import vector_base64
from api_server.feed.position import FeedPosition

# One statement, however many changes: the lock on the feed's row is held from here to the commit. Notifications are
# delivered at the commit, so that this one may as well be sent along.
_RECORD = text(f"""
WITH change AS (
    SELECT * FROM json_to_recordset(CAST(:changes AS json))
        AS change (kind text, id uuid, library_id uuid, space text, vector text, place bigint)
), state AS (
    UPDATE feed_state SET newest_sequence = newest_sequence + :count
    RETURNING epoch, newest_sequence, pg_notify('{Channel.FEED.value}', '')
), recorded AS (
    INSERT INTO embedding_changes (kind, id, library_id, space, sequence, vector)
    SELECT kind, change.id, library_id, space, newest_sequence - :count + place, decode(vector, 'base64')
    FROM change CROSS JOIN state
    ON CONFLICT (kind, id) DO UPDATE SET library_id = excluded.library_id, space = excluded.space,
        sequence = excluded.sequence, vector = excluded.vector, change_time = now()
)
SELECT epoch, newest_sequence FROM state
""")  # noqa: S608 - the channel is a constant
_READ = select(FeedState.epoch, FeedState.newest_sequence)


@dataclass(frozen=True, eq=False)
class Change:
    """A new vector of a person or an appearance, or its end.

    Attributes:
        kind: which sort of collection it belongs to.
        id: the person or the appearance.
        library_id: the library.
        space: the embedding space, of the vector that ends if there is no new one.
        vector: float32 (d,) of unit length; None: a tombstone.
    """

    kind: CollectionKind
    id: UUID
    library_id: UUID
    space: str
    vector: Vector | None


async def record_changes(session: AsyncSession, changes: Sequence[Change]) -> FeedPosition:
    """Gives each change the next sequence, in the order given.

    Call it last in the transaction: from here to its commit it holds the lock that makes the sequence follow the order
    of commits, and every other writer of embeddings waits. An id may be there once.

    Returns:
        The position of the last change: change `i` of `n` has the sequence `position.sequence - n + 1 + i`. Without
        changes, the newest position.
    """
    if not changes:
        return await read_position(session)
    rows = [_row(change, place) for place, change in enumerate(changes, start=1)]
    parameters = {"changes": json.dumps(rows), "count": len(rows)}
    epoch, newest = (await session.execute(_RECORD, parameters)).one()
    return FeedPosition(epoch, newest)


async def read_position(session: AsyncSession) -> FeedPosition:
    """Returns the newest position that is committed."""
    epoch, newest = (await session.execute(_READ)).one()
    return FeedPosition(epoch, newest)


def _row(change: Change, place: int) -> dict[str, Any]:
    return {
        "kind": change.kind.value,
        "id": str(change.id),
        "library_id": str(change.library_id),
        "space": change.space,
        "vector": None if change.vector is None else vector_base64(change.vector),
        "place": place,
    }
