"""What is about to be removed, counted before it is."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncSession

from api_server.database.schema import ErasureKind
from whodex.v1.erasure_pb2 import RemovedCounts


@dataclass(frozen=True)
class Contents:
    """What belongs to a resource that is deleted.

    Attributes:
        counts: without the blobs and the work items, which are counted as they go.
        content_digest: SHA-256 of the sorted digests of the uploaded files; None without files.
        media_ids: of the photos and videos.
        upload_ids: of the uploads that are not finished.
    """

    counts: RemovedCounts
    content_digest: bytes | None
    media_ids: list[UUID]
    upload_ids: list[UUID]


def _count(people: str, photos: str, videos: str, of_videos: str, keys: str, uploads: str) -> TextClause:  # noqa: PLR0913, PLR0917
    # The table's names are constants, and so are the conditions.
    return text(f"""
WITH person AS (SELECT query_embedding IS NOT NULL AS embedded FROM people WHERE {people}),
photo AS (SELECT id, content_sha256, embedding IS NOT NULL AS embedded FROM reference_photos WHERE {photos}),
video AS (SELECT id, content_sha256 FROM videos WHERE {videos}),
file AS (SELECT id, content_sha256 FROM photo UNION ALL SELECT id, content_sha256 FROM video),
appearance AS (SELECT count(*) AS count FROM appearances WHERE {of_videos})
SELECT
    (SELECT count(*) FROM person) AS people,
    (SELECT count(*) FROM photo) AS photos,
    (SELECT count(*) FROM video) AS videos,
    (SELECT count(*) FROM scenes WHERE {of_videos}) AS scenes,
    appearance.count AS appearances,
    (SELECT count(*) FROM person WHERE embedded) + (SELECT count(*) FROM photo WHERE embedded)
        + appearance.count AS embeddings,
    (SELECT count(*) FROM api_keys WHERE {keys}) AS api_keys,
    (SELECT sha256(string_agg(content_sha256, '' ORDER BY content_sha256)) FROM file) AS content_digest,
    (SELECT coalesce(array_agg(id), '{{}}') FROM file) AS media_ids,
    (SELECT coalesce(array_agg(id), '{{}}') FROM uploads WHERE state = 'open' AND {uploads}) AS upload_ids
FROM appearance
""")  # noqa: S608


_NONE, _OWN, _OF_PERSON, _OF_LIBRARY = "false", "id = :id", "person_id = :id", "library_id = :id"
_COUNT = {
    ErasureKind.PHOTO: _count(_NONE, _OWN, _NONE, _NONE, _NONE, _NONE),
    ErasureKind.PERSON: _count(_OWN, _OF_PERSON, _NONE, _NONE, _NONE, _OF_PERSON),
    ErasureKind.VIDEO: _count(_NONE, _NONE, _OWN, "video_id = :id", _NONE, _NONE),
    ErasureKind.LIBRARY: _count(_OF_LIBRARY, _OF_LIBRARY, _OF_LIBRARY, _OF_LIBRARY, _OF_LIBRARY, _OF_LIBRARY),
}


async def count_contents(session: AsyncSession, kind: ErasureKind, resource_id: UUID) -> Contents:
    """Counts what goes with a resource, whose row the caller has locked."""
    row = (await session.execute(_COUNT[kind], {"id": resource_id})).mappings().one()
    fields = RemovedCounts.DESCRIPTOR.fields_by_name.keys() & row.keys()
    counts = RemovedCounts(**{field: row[field] for field in fields})
    return Contents(counts, row["content_digest"], row["media_ids"], row["upload_ids"])
