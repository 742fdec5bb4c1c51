"""Appending to the log, in the transaction of what is done, and reading it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import LargeBinary, bindparam, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from api_server.access.caller import Caller
from api_server.database.rows import AnyRow
from api_server.database.schema import AuditChain, AuditRecord
from api_server.names import API_KEY
from api_server.timestamps import to_timestamp
from whodex.audit import GENESIS, entry_content
from whodex.runtime.interceptors import caller
from whodex.runtime.log import current_correlation_id
from whodex.v1.audit_pb2 import AuditAction, AuditEntry, AuditHead

# Whodex itself acts, nobody calls.
SYSTEM = "system"
OK = "OK"
# One statement: the lock on the chain's row makes entries follow each other, from here to the commit.
_APPEND = text("""
WITH chain AS (
    INSERT INTO audit_chains (library_id, sequence, hash)
    VALUES (:library_id, 1, sha256(:genesis || int8send(1) || :content))
    ON CONFLICT (library_id) DO UPDATE SET sequence = audit_chains.sequence + 1,
        hash = sha256(audit_chains.hash || int8send(audit_chains.sequence + 1) || :content)
    RETURNING old.hash AS previous_hash, new.sequence AS sequence, new.hash AS hash
)
INSERT INTO audit_entries (library_id, sequence, time, actor, action, resource, outcome, result_count, request_digest,
    correlation_id, previous_hash, hash)
SELECT :library_id, sequence, :time, :actor, :action, :resource, :outcome, :result_count, :request_digest,
    :correlation_id, coalesce(previous_hash, :genesis), hash
FROM chain
""").bindparams(*(bindparam(name, type_=LargeBinary()) for name in ("genesis", "content", "request_digest")))


async def append(  # noqa: PLR0913 - what an entry says
    session: AsyncSession,
    action: AuditAction.ValueType,
    library_id: UUID,
    resource: str,
    *,
    outcome: str = OK,
    result_count: int = 0,
    request_digest: bytes = b"",
    actor: str | None = None,
) -> None:
    """Writes an entry, which is there if and only if the caller's transaction commits.

    Call it last: from here to the commit, every other entry of the library waits.

    Args:
        session: the transaction.
        action: what was done.
        library_id: whose log it goes to.
        resource: the name of what it was done to.
        outcome: OK, or the reason of the error.
        result_count: how many results there were.
        request_digest: SHA-256 of a search's request.
        actor: who; None: the caller of the RPC that this runs in.
    """
    now = datetime.now(UTC)
    entry = AuditEntry(
        time=to_timestamp(now),
        actor=actor or _caller(),
        action=action,
        resource=resource,
        outcome=outcome,
        result_count=result_count,
        request_digest=request_digest,
        correlation_id=current_correlation_id(),
    )
    await session.execute(
        _APPEND,
        {
            "library_id": library_id,
            "genesis": GENESIS,
            "content": entry_content(entry),
            "time": now,
            "actor": entry.actor,
            "action": AuditAction.Name(action).removeprefix("AUDIT_ACTION_"),
            "resource": resource,
            "outcome": outcome,
            "result_count": result_count,
            "request_digest": request_digest,
            "correlation_id": entry.correlation_id,
        },
    )


async def read_head(session: AsyncSession, library_id: UUID) -> AuditHead:
    """Returns where a library's log ends."""
    query = select(AuditChain.sequence, AuditChain.hash).where(AuditChain.library_id == library_id)
    row = (await session.execute(query)).one_or_none()
    return AuditHead() if row is None else AuditHead(sequence=row.sequence, hash=row.hash)


async def list_page(  # noqa: PLR0913 - a filter each
    session: AsyncSession,
    library_id: UUID,
    *,
    start_time: datetime | None,
    end_time: datetime | None,
    action: AuditAction.ValueType,
    resource: str,
    after: int,
    limit: int,
) -> Sequence[AnyRow]:
    """Returns up to `limit` entries after a sequence, oldest first; None, 0 and the empty text filter nothing."""
    query = (
        select(*AuditRecord.__table__.columns)
        .where(AuditRecord.library_id == library_id, AuditRecord.sequence > after)
        .order_by(AuditRecord.sequence)
        .limit(limit)
    )
    if start_time is not None:
        query = query.where(AuditRecord.time >= start_time)
    if end_time is not None:
        query = query.where(AuditRecord.time < end_time)
    if action:
        query = query.where(AuditRecord.action == AuditAction.Name(action).removeprefix("AUDIT_ACTION_"))
    if resource:
        below = AuditRecord.resource.startswith(f"{resource}/", autoescape=True)
        query = query.where((AuditRecord.resource == resource) | below)
    return (await session.execute(query)).all()


def _caller() -> str:
    who: Caller = caller()
    return "admin" if who.key_id is None else f"{API_KEY[-1]}/{who.key_id}"
