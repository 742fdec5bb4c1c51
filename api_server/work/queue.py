"""What the other packages do with work: order it, and call it off.

Locks are always taken in the order work items, people, photos and videos, feed (docs/decisions/0005-work.md).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from google.protobuf.message import Message
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
from uuid_utils.compat import uuid7

from api_server.database.notifications import Channel
from whodex.runtime.tasks import declaration_of

# One round trip: this is in the path of every upload.
_ENQUEUE = text(f"""
WITH item AS (
    INSERT INTO work_items (id, library_id, task, payload, resource_id, correlation_id)
    VALUES (:id, :library_id, :task, :payload, :resource_id, :correlation_id)
), doorbell AS (
    INSERT INTO outbox (task) VALUES (:task)
)
SELECT pg_notify('{Channel.OUTBOX.value}', '')
""")  # noqa: S608 - the channel is a constant
# Ordered, as every statement that locks several items: two that overlap wait for each other and never deadlock.
_CANCEL = text("""
WITH cancelled AS (
    DELETE FROM work_items WHERE id IN (
        SELECT id FROM work_items WHERE resource_id = ANY(:resource_ids) ORDER BY id FOR UPDATE
    )
    RETURNING lease_expire_time
)
SELECT count(*) AS items, max(lease_expire_time) AS lease_expire_time FROM cancelled
""")


@dataclass(frozen=True)
class Cancelled:
    """Work that was called off.

    Attributes:
        count: how many items.
        lease_expire_time: until then, who works on one of them may not have heard of it; None: nobody works on any.
    """

    count: int
    lease_expire_time: datetime | None


async def enqueue(
    session: AsyncSession,
    payload: Message,
    *,
    library_id: UUID,
    resource_id: UUID | None,
    correlation_id: str,
) -> UUID:
    """Orders a piece of work: it will be done if and only if the caller's transaction commits.

    Args:
        session: the transaction.
        payload: the payload message of a declared task.
        library_id: whose work it is; workers are shared fairly between libraries.
        resource_id: the photo or video whose state it moves; None for work without a resource.
        correlation_id: of the call that caused it; it is in every log line about the work.

    Returns:
        The id of the work item.

    Raises:
        TypeError: the message is not the payload of a task.
    """
    item_id = uuid7()
    parameters = {
        "id": item_id,
        "library_id": library_id,
        "task": declaration_of(payload).name,
        "payload": payload.SerializeToString(),
        "resource_id": resource_id,
        "correlation_id": correlation_id,
    }
    await session.execute(_ENQUEUE, parameters)
    return item_id


async def cancel(session: AsyncSession, resource_ids: Collection[UUID]) -> Cancelled:
    """Calls off all work for some photos or videos, in whatever state; who works on it loses the lease.

    Call it before the rows of the resources are locked or deleted. To run work again, cancel it and enqueue it anew.
    """
    row = (await session.execute(_CANCEL, {"resource_ids": list(resource_ids)})).one()
    return Cancelled(row.items, row.lease_expire_time)
