"""Completes erasures: wherever bytes of what was deleted may be, in an order in which none come back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from google.protobuf.json_format import ParseDict
from sqlalchemy import exists, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from api_server import audit, feed, work
from api_server.contents.keys import prefix_of_work_for, prefixes_of_library
from api_server.database.engine import Database
from api_server.database.schema import Erasure, ErasureKind, WorkItem
from api_server.database.scrub import NotScrubbedError, scrub
from api_server.erasures import receipt_keys
from api_server.erasures.personal import personal_tables
from api_server.erasures.receipts import ReceiptSigner
from api_server.names import ERASURE, name
from api_server.search.peers import Index
from api_server.timestamps import to_timestamp
from whodex.errors import WhodexError
from whodex.runtime.log import get_logger
from whodex.runtime.store import ObjectStore
from whodex.v1.audit_pb2 import AUDIT_ACTION_COMPLETE_ERASURE
from whodex.v1.erasure_pb2 import ErasureStatement, RemovedCounts

# So many are completed together: what costs most, the writing anew of tables, is done once for all of them.
_BATCH = 1000
# The snapshot of a large index takes a while to write.
_INDEX_TIMEOUT_SECONDS = 60.0
# Those whose blobs are deleted, and of which no attempt can be at work any more.
_DUE = (
    select(Erasure)
    .where(
        Erasure.complete_time.is_(None),
        Erasure.settle_time <= func.now(),
        ~exists().where(WorkItem.resource_id == Erasure.id),
    )
    .order_by(Erasure.id)
    .limit(_BATCH)
)
# Nobody tries a failed deletion of blobs again by hand, so it never ends.
_TRY_AGAIN = text("""
WITH failed AS (
    UPDATE work_items SET state = 'waiting', attempts = 0, next_run_time = now() + interval '1 minute'
    WHERE state = 'failed' AND resource_id IN (SELECT id FROM erasures WHERE complete_time IS NULL)
    RETURNING resource_id, last_error
)
UPDATE erasures SET waits_for = concat('its blobs could not be deleted: ', last_error)
FROM failed WHERE id = resource_id
""")
_log = get_logger()


@dataclass(frozen=True)
class Eraser:
    """What it takes to complete erasures.

    Attributes:
        database_url: of the same database: what rewrites its tables has a connection of its own.
        backup_retention: how long a backup of the operator lives; None: not declared.
    """

    database: Database
    database_url: str
    store: ObjectStore
    index: Index
    signer: ReceiptSigner
    backup_retention: timedelta | None

    async def complete_due(self) -> None:
        """Completes the erasures that are due, or writes down what they wait for."""
        async with self.database.reads() as session:
            await session.execute(_TRY_AGAIN)
            due = (await session.scalars(_DUE)).all()
        settled = [erasure for erasure in due if not await self._called_off(erasure)]
        if not settled:
            return
        try:
            await self._remove(settled)
        except (WhodexError, NotScrubbedError) as error:
            _log.warning("erasures wait", erasures=len(settled), why=str(error))
            await self._write_down([erasure.id for erasure in settled], str(error))
            return
        await self._complete(settled)

    async def _called_off(self, erasure: Erasure) -> bool:
        """Calls off work that was ordered while its person was being deleted; whether there was any."""
        async with self.database.transaction() as session:
            cancelled = await work.cancel(session, erasure.media_ids)
            if cancelled.lease_expire_time is not None:
                await session.execute(
                    update(Erasure).where(Erasure.id == erasure.id).values(settle_time=cancelled.lease_expire_time)
                )
        return cancelled.count > 0

    async def _remove(self, erasures: Sequence[Erasure]) -> None:
        for erasure in erasures:
            for prefix in _prefixes(erasure):
                await self.store.delete_below(prefix)
        async with self.database.reads() as session:
            position = await feed.read_position(session)
        await self.index.purge_snapshots(position, timeout_seconds=_INDEX_TIMEOUT_SECONDS)
        # Last: what the steps before have changed in the database is behind the cut of its log, or holds nothing of it.
        await scrub(self.database_url, personal_tables({erasure.kind for erasure in erasures}))

    async def _write_down(self, ids: Sequence[UUID], why: str) -> None:
        async with self.database.transaction() as session:
            await session.execute(update(Erasure).where(Erasure.id.in_(ids)).values(waits_for=why))

    async def _complete(self, erasures: Sequence[Erasure]) -> None:
        now = datetime.now(UTC)
        async with self.database.transaction() as session:
            await receipt_keys.register(session, self.signer)
            for erasure in erasures:
                await self._sign(session, erasure, now)
        for erasure in erasures:
            seconds = round((now - erasure.create_time).total_seconds(), 1)
            _log.info("erasure complete", erasure=str(erasure.id), kind=erasure.kind.value, seconds=seconds)

    async def _sign(self, session: AsyncSession, erasure: Erasure, now: datetime) -> None:
        statement = self._statement(erasure, now)
        await audit.append(
            session, AUDIT_ACTION_COMPLETE_ERASURE, erasure.library_id, erasure.target, actor=audit.SYSTEM
        )
        statement.audit_head.CopyFrom(await audit.read_head(session, erasure.library_id))
        receipt = self.signer.sign(statement)
        values = {"complete_time": now, "receipt": receipt, "waits_for": ""}
        await session.execute(update(Erasure).where(Erasure.id == erasure.id).values(values))

    def _statement(self, erasure: Erasure, now: datetime) -> ErasureStatement:
        statement = ErasureStatement(
            erasure=name(ERASURE, erasure.library_id, erasure.id),
            target=erasure.target,
            delete_time=to_timestamp(erasure.create_time),
            complete_time=to_timestamp(now),
            removed=ParseDict(erasure.removed, RemovedCounts()),
            content_digest=(erasure.content_digest or b"").hex(),
        )
        if self.backup_retention is not None:
            statement.backup_expire_time.CopyFrom(to_timestamp(now + self.backup_retention))
        return statement


def _prefixes(erasure: Erasure) -> list[str]:
    if erasure.kind is ErasureKind.LIBRARY:
        return prefixes_of_library(erasure.library_id)
    return [prefix_of_work_for(erasure.library_id, media_id) for media_id in erasure.media_ids]
