"""Rows of `work_items` as the use cases see them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncSession

from api_server.contents.keys import output_prefix
from api_server.results.registry import TaskEffect
from whodex.errors import AbortedError
from whodex.runtime.log import get_logger
from whodex.runtime.tasks import TaskDeclaration, declared_tasks
from whodex.v1 import error_reason_pb2, work_service_pb2

Effects = Mapping[str, TaskEffect]

# What every statement that yields items returns.
COLUMNS = "id, task, library_id, fencing_token, payload, resource_id, attempts, correlation_id, worker"
# Ordered, as every statement that locks several items: two that overlap wait for each other and never deadlock.
_LOCK = text(f"SELECT {COLUMNS} FROM work_items WHERE id = ANY(:ids) AND state = 'running' ORDER BY id FOR UPDATE")  # noqa: S608
_log = get_logger()


@dataclass(frozen=True)
class Lease:
    """The right to work on an item, as a worker shows it."""

    item_id: UUID
    fencing_token: int

    @classmethod
    def from_proto(cls, lease: work_service_pb2.Lease) -> Lease:
        """Reads a lease that is valid by its contract."""
        return cls(UUID(lease.work_item), lease.fencing_token)


@dataclass(frozen=True, eq=False)
class Item:
    """A work item.

    Attributes:
        payload: the serialised payload message of the task.
        resource_id: the photo or video that the work is for; None for work without one.
        attempts: those that ended in a failure of the item or in the end of its lease.
    """

    id: UUID
    task: str
    library_id: UUID
    fencing_token: int
    payload: bytes
    resource_id: UUID | None
    attempts: int
    correlation_id: str
    worker: str | None

    @classmethod
    def from_row(cls, row: RowMapping) -> Item:
        """Reads a row of `COLUMNS`."""
        return cls(**row)

    @property
    def lease(self) -> Lease:
        """What a worker must show to write to the item now."""
        return Lease(self.id, self.fencing_token)

    @property
    def output_prefix(self) -> str:
        """The key of the object store below which the claim writes its blobs."""
        return output_prefix(self.library_id, self.resource_id or self.id, self.id, self.fencing_token)

    @property
    def declaration(self) -> TaskDeclaration:
        """How the task is run."""
        return declared_tasks()[self.task]


async def lock_held(session: AsyncSession, leases: Collection[Lease]) -> list[Item]:
    """Locks and returns the items whose lease is good, in the order of their ids.

    A lease is good until the item is claimed again, given back, finished or called off; its time may be over.
    """
    rows = await session.execute(_LOCK, {"ids": [lease.item_id for lease in leases]})
    items = [Item.from_row(row) for row in rows.mappings()]
    return [item for item in items if item.lease in leases]


async def lock_one(session: AsyncSession, lease: Lease) -> Item:
    """Locks and returns one item.

    Raises:
        AbortedError: LEASE_LOST when the lease is not good any more.
    """
    items = await lock_held(session, [lease])
    if not items:
        raise lease_lost(lease)
    return items[0]


def lease_lost(lease: Lease) -> AbortedError:
    """The answer to a write that comes too late."""
    return AbortedError(
        f"The lease of work item {lease.item_id} with token {lease.fencing_token} is lost: stop working on it.",
        reason=error_reason_pb2.ERROR_REASON_LEASE_LOST,
    )


def log_item(event: str, item: Item, effects: Effects, **more: object) -> None:
    """Writes one line about an item, under the correlation id of the call that caused the work."""
    payload = item.declaration.payload_class.FromString(item.payload)
    _log.info(
        event,
        task=item.task,
        resource=effects[item.task].describe(payload),
        work_item=str(item.id),
        correlation_id=item.correlation_id,
        **more,
    )
