"""The reading side of the feed: batches of changes after a position, each read in one snapshot."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import LargeBinary, Row, bindparam, select, true, type_coerce
from sqlalchemy.ext.asyncio import AsyncSession

from api_server.database.engine import Database
from api_server.database.notifications import Channel, NotificationHub
from api_server.database.schema import EmbeddingChange, FeedState
from api_server.feed.position import FeedPosition
from whodex.errors import OutOfRangeError
from whodex.v1 import error_reason_pb2

# 200 vectors of 4096 dimensions are 3.2 MB, below gRPC's usual limit of 4 MB for a message.
BATCH_CHANGES = 200
# A follower hears the watermark at least this often, so that it knows that it is current and not cut off.
HEARTBEAT_SECONDS = 1.0

_AFTER = (
    select(
        EmbeddingChange.sequence,
        EmbeddingChange.kind,
        EmbeddingChange.id,
        EmbeddingChange.library_id,
        EmbeddingChange.space,
        # The bytes go over the wire as they are stored.
        type_coerce(EmbeddingChange.vector, LargeBinary).label("vector"),
    )
    .where(EmbeddingChange.sequence > bindparam("after"))
    .order_by(EmbeddingChange.sequence)
    .limit(BATCH_CHANGES)
    .lateral("change")
)
# One statement, so one snapshot: the newest sequence and the changes up to it belong together.
_READ = (
    select(FeedState.epoch, FeedState.newest_sequence, FeedState.horizon_sequence, _AFTER)
    .join(_AFTER, true(), isouter=True)
    .order_by(_AFTER.c.sequence)
)


@dataclass(frozen=True, eq=False)
class Batch:
    """What came after a position.

    Attributes:
        position: up to which a reader of this batch is complete.
        changes: rows of `embedding_changes` in the order of their sequence, the vector as bytes; none: a deletion.
        newest_sequence: the database's, in the same snapshot.
        horizon_sequence: deletions up to this one may be forgotten.
    """

    position: FeedPosition
    changes: Sequence[Row[Any]]
    newest_sequence: int
    horizon_sequence: int

    @property
    def is_full(self) -> bool:
        """Whether there may be more already."""
        return len(self.changes) == BATCH_CHANGES


async def read_batch(session: AsyncSession, after: int) -> Batch:
    """Reads up to `BATCH_CHANGES` changes whose sequence is greater than `after`."""
    rows = (await session.execute(_READ, {"after": after})).all()
    changes = [row for row in rows if row.sequence is not None]
    newest = rows[0].newest_sequence
    end = changes[-1].sequence if len(changes) == BATCH_CHANGES else newest
    return Batch(FeedPosition(rows[0].epoch, end), changes, newest, rows[0].horizon_sequence)


async def follow(
    database: Database, hub: NotificationHub, after: FeedPosition | None
) -> AsyncGenerator[tuple[Batch, bool]]:
    """Yields batch after batch, each with whether the follower must drop what it has before it applies this one.

    The stream starts from nothing when there is no place to go on from: none given, one of another history, or one
    that this database has not reached.

    Raises:
        OutOfRangeError: WATERMARK_TOO_OLD when deletions after the place may be forgotten.
    """
    with hub.subscribe(Channel.FEED) as subscription:
        batch = await _read(database, 0 if after is None else after.sequence)
        restart = not _goes_on(after, batch)
        if restart:
            batch = await _read(database, 0)
        start, place = batch, 0 if restart or after is None else after.sequence
        # Who starts from nothing needs no deletion from before its start.
        forgotten = start.horizon_sequence if restart else 0
        while True:
            if batch.horizon_sequence > max(place, forgotten) or batch.position.epoch != start.position.epoch:
                raise _too_old(place)
            yield batch, restart
            restart, place = False, batch.position.sequence
            if not batch.is_full:
                await subscription.changed(HEARTBEAT_SECONDS)
            batch = await _read(database, place)


async def _read(database: Database, after: int) -> Batch:
    async with database.reads() as session:
        return await read_batch(session, after)


def _goes_on(after: FeedPosition | None, batch: Batch) -> bool:
    if after is None or after.epoch != batch.position.epoch:
        return False
    return 0 < after.sequence <= batch.newest_sequence


def _too_old(sequence: int) -> OutOfRangeError:
    return OutOfRangeError(
        f"The feed no longer holds every deletion after {sequence}. Start from 0 and build the index anew.",
        reason=error_reason_pb2.ERROR_REASON_WATERMARK_TOO_OLD,
    )
