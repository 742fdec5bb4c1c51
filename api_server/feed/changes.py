"""The writing side of the feed.

A plain sequence would not do: it is drawn before the commit, so a transaction that commits later could carry a smaller
number, and a follower that has gone past it would never see it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from api_server.database.notifications import Channel
from api_server.database.schema import CollectionKind, EmbeddingChange, FeedState, Vector
from api_server.feed.position import FeedPosition

_UPSERT = insert(EmbeddingChange)
_RECORD = _UPSERT.on_conflict_do_update(
    index_elements=[EmbeddingChange.kind, EmbeddingChange.id],
    set_={
        "library_id": _UPSERT.excluded.library_id,
        "space": _UPSERT.excluded.space,
        "sequence": _UPSERT.excluded.sequence,
        "vector": _UPSERT.excluded.vector,
        "change_time": func.now(),
    },
)
_ADVANCE = (
    update(FeedState)
    .values(newest_sequence=FeedState.newest_sequence + bindparam("count"))
    # A notification is delivered at the commit, so that it may as well be sent with the first statement.
    .returning(FeedState.epoch, FeedState.newest_sequence, func.pg_notify(Channel.FEED.value, ""))
)
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
    of commits, and every other writer of embeddings waits.

    Returns:
        The position of the last change: change `i` of `n` has the sequence `position.sequence - n + 1 + i`. Without
        changes, the newest position.
    """
    if not changes:
        return await read_position(session)
    epoch, newest, _ = (await session.execute(_ADVANCE, {"count": len(changes)})).one()
    first = newest - len(changes) + 1
    rows = [_row(change, first + offset) for offset, change in enumerate(changes)]
    await session.execute(_RECORD, rows)
    return FeedPosition(epoch, newest)


async def read_position(session: AsyncSession) -> FeedPosition:
    """Returns the newest position that is committed."""
    epoch, newest = (await session.execute(_READ)).one()
    return FeedPosition(epoch, newest)


def _row(change: Change, sequence: int) -> dict[str, Any]:
    return {
        "kind": change.kind,
        "id": change.id,
        "library_id": change.library_id,
        "space": change.space,
        "sequence": sequence,
        "vector": change.vector,
    }
