"""Applies the retention policies: deletes as a caller would, and says in the audit log that it was Whodex."""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from api_server import audit
from api_server.database.engine import Database
from api_server.database.rows import AnyRow
from api_server.database.schema import ErasureKind
from api_server.libraries.retention import too_old
from api_server.names import LIBRARY, PERSON, PHOTO, VIDEO, name
from api_server.people import people, photos
from api_server.videos import videos
from whodex.errors import NotFoundError
from whodex.runtime.log import get_logger
from whodex.v1.audit_pb2 import AUDIT_ACTION_DELETE, AUDIT_ACTION_PRUNE_LOG

_BATCH = 100
_KEPT_FOR_A_TIME = text("SELECT library_id FROM audit_chains WHERE retention_days > 0")
_PRUNE = text("SELECT pruned, last_sequence FROM prune_audit_log(:library_id)")
_log = get_logger()


async def apply_retention(database: Database) -> None:
    """Deletes all that is too old; its erasure then takes its usual course."""
    for kind in (ErasureKind.PERSON, ErasureKind.PHOTO, ErasureKind.VIDEO):
        while await _delete_batch(database, kind) == _BATCH:
            pass
    async with database.reads() as session:
        libraries = (await session.scalars(_KEPT_FOR_A_TIME)).all()
    for library_id in libraries:
        async with database.transaction() as session:
            pruned, last_sequence = (await session.execute(_PRUNE, {"library_id": library_id})).one()
            if pruned:
                resource = f"{name(LIBRARY, library_id)}/auditEntries/{last_sequence}"
                await audit.append(
                    session,
                    AUDIT_ACTION_PRUNE_LOG,
                    library_id,
                    resource,
                    result_count=pruned,
                    actor=audit.SYSTEM,
                )


async def _delete_batch(database: Database, kind: ErasureKind) -> int:
    async with database.reads() as session:
        rows = await too_old(session, kind, _BATCH)
    for row in rows:
        try:
            async with database.transaction() as session:
                resource = await _delete(session, kind, row)
                await audit.append(session, AUDIT_ACTION_DELETE, row.library_id, resource, actor=audit.SYSTEM)
        except NotFoundError:
            # Somebody else was faster.
            continue
        _log.info("deleted by the retention policy", resource=resource)
    return len(rows)


async def _delete(session: AsyncSession, kind: ErasureKind, row: AnyRow) -> str:
    if kind is ErasureKind.PERSON:
        await people.delete_whole(session, row.library_id, row.id)
        return name(PERSON, row.library_id, row.id)
    if kind is ErasureKind.PHOTO:
        await photos.delete_whole(session, row.library_id, row.person_id, row.id)
        return name(PHOTO, row.library_id, row.person_id, row.id)
    await videos.delete_whole(session, row.library_id, row.id)
    return name(VIDEO, row.library_id, row.id)
