"""Retention policies: what is too old by the policy of its library."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from api_server.database.rows import AnyRow
from api_server.database.schema import ErasureKind
from whodex.v1.library_pb2 import RetentionPolicy
from whodex.v1.library_service_pb2 import PreviewRetentionResponse

_OLD_VIDEO = "policy.video_days > 0 AND videos.create_time < now() - make_interval(days => policy.video_days)"
_OLD_PHOTO = "policy.photo_days > 0 AND reference_photos.create_time < now() - make_interval(days => policy.photo_days)"
_WITHOUT_CONSENT = "policy.delete_people_without_consent AND people.consent_expire_time <= now()"
_OF_LIBRARY = "FROM libraries AS policy JOIN {0} ON {0}.library_id = policy.id"
# People first: their photos go with them.
_DUE = {
    ErasureKind.PERSON: text(f"""
SELECT policy.id AS library_id, people.id {_OF_LIBRARY.format("people")} WHERE {_WITHOUT_CONSENT} LIMIT :limit
"""),
    ErasureKind.PHOTO: text(f"""
SELECT policy.id AS library_id, reference_photos.id, person_id {_OF_LIBRARY.format("reference_photos")}
WHERE {_OLD_PHOTO} LIMIT :limit
"""),
    ErasureKind.VIDEO: text(f"""
SELECT policy.id AS library_id, videos.id {_OF_LIBRARY.format("videos")} WHERE {_OLD_VIDEO} LIMIT :limit
"""),
}
_PREVIEW = text(f"""
WITH policy AS (
    SELECT CAST(:library_id AS uuid) AS id, CAST(:video_days AS int) AS video_days,
        CAST(:photo_days AS int) AS photo_days, CAST(:audit_days AS int) AS audit_days,
        CAST(:delete_people_without_consent AS boolean) AS delete_people_without_consent
), person AS (
    SELECT people.id FROM policy JOIN people ON people.library_id = policy.id WHERE {_WITHOUT_CONSENT}
)
SELECT
    (SELECT count(*) FROM policy JOIN videos ON videos.library_id = policy.id WHERE {_OLD_VIDEO}) AS videos,
    (SELECT count(*) FROM policy JOIN reference_photos ON reference_photos.library_id = policy.id
        WHERE {_OLD_PHOTO} AND person_id NOT IN (SELECT id FROM person)) AS photos,
    (SELECT count(*) FROM person) AS people,
    (SELECT count(*) FROM policy JOIN audit_entries ON audit_entries.library_id = policy.id
        WHERE audit_days > 0 AND time < now() - make_interval(days => audit_days)) AS audit_entries
""")  # noqa: S608
# The end of the log is there: the change of the policy is an entry of its own.
_KEEP_LOG = text("UPDATE audit_chains SET retention_days = :days WHERE library_id = :library_id")


def policy_columns(policy: RetentionPolicy) -> dict[str, Any]:
    """The columns of `libraries` that a policy becomes."""
    return {
        "video_days": policy.video_days,
        "photo_days": policy.photo_days,
        "delete_people_without_consent": policy.delete_people_without_consent,
    }


async def keep_log(session: AsyncSession, library_id: UUID, days: int) -> None:
    """Sets how long the audit log is kept. Call it after an entry was appended."""
    await session.execute(_KEEP_LOG, {"library_id": library_id, "days": days})


async def preview(session: AsyncSession, library_id: UUID, policy: RetentionPolicy) -> PreviewRetentionResponse:
    """Counts what a policy would delete now."""
    parameters = policy_columns(policy) | {"library_id": library_id, "audit_days": policy.audit_days}
    return PreviewRetentionResponse(**(await session.execute(_PREVIEW, parameters)).mappings().one())


async def too_old(session: AsyncSession, kind: ErasureKind, limit: int) -> Sequence[AnyRow]:
    """Returns up to `limit` resources of a kind that the policy of their library deletes."""
    return (await session.execute(_DUE[kind], {"limit": limit})).all()
