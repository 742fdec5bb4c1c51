"""The states that a photo and a video go through because of their work.

Each change names the states that it may start from: a READY photo can become nothing else, whatever happens to work
that is late.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from whodex.v1.failure_pb2 import FailureReason


class Resource(enum.Enum):
    """What a task works for; the value is the table."""

    PHOTO = "reference_photos"
    VIDEO = "videos"


@dataclass(frozen=True)
class ResourceFailure:
    """Why a resource is FAILED.

    Attributes:
        message: one sentence for a person: what is wrong and what to do.
        retryable: whether running the same work again can succeed.
        attempts: how many there were.
    """

    reason: FailureReason.ValueType
    message: str
    retryable: bool
    attempts: int


_MARK_PROCESSING = {
    Resource.PHOTO: text("""
UPDATE reference_photos SET state = 'processing', update_time = now() WHERE id = ANY(:ids) AND state = 'uploaded'
"""),
    # A new attempt starts from the beginning, and its progress with it.
    Resource.VIDEO: text("""
UPDATE videos
SET state = 'processing', progress = 0, update_time = CASE state WHEN 'uploaded' THEN now() ELSE update_time END
WHERE id = ANY(:ids) AND state IN ('uploaded', 'processing')
"""),
}
_FAIL = {
    resource: text(f"""
UPDATE {resource.value}
SET state = 'failed', failure_reason = :reason, failure_message = :message, failure_retryable = :retryable,
    failure_attempts = :attempts, failure_time = now(), update_time = now()
WHERE id = :id AND state IN ('uploaded', 'processing')
""")  # noqa: S608 - the table's name is a constant
    for resource in Resource
}
_ADVANCE = text("""
UPDATE videos SET progress = beat.progress
FROM unnest(CAST(:ids AS uuid[]), CAST(:shares AS real[])) AS beat (id, progress)
WHERE videos.id = beat.id AND videos.state = 'processing' AND videos.progress < beat.progress
""")


async def mark_processing(session: AsyncSession, resource: Resource, ids: Sequence[UUID]) -> None:
    """Says that a worker has them now."""
    await session.execute(_MARK_PROCESSING[resource], {"ids": list(ids)})


async def mark_failed(session: AsyncSession, resource: Resource, id_: UUID, failure: ResourceFailure) -> None:
    """Says that the work has failed for good."""
    parameters = {
        "id": id_,
        "reason": failure.reason,
        "message": failure.message,
        "retryable": failure.retryable,
        "attempts": failure.attempts,
    }
    await session.execute(_FAIL[resource], parameters)


async def advance_videos(session: AsyncSession, progress: Mapping[UUID, float]) -> None:
    """Raises the progress of videos, 0 to 1; it never falls during an attempt."""
    parameters = {"ids": list(progress), "shares": list(progress.values())}
    await session.execute(_ADVANCE, parameters)
