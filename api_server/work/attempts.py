"""How an attempt ends without a result."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from api_server.database.engine import Database
from api_server.database.notifications import Channel
from api_server.results.resources import ResourceFailure, mark_failed
from api_server.work.items import COLUMNS, Effects, Item, Lease, lock_held, lock_one, log_item
from whodex.runtime.tasks import TaskDeclaration
from whodex.v1 import failure_pb2
from whodex.v1.failure_pb2 import FailureReason

_WAIT = text("""
UPDATE work_items
SET state = 'waiting', attempts = :attempts, last_error = :last_error, lease_expire_time = NULL,
    next_run_time = now() + :delay
WHERE id = :id
""")
_SET_ASIDE = text("""
WITH unused AS (DELETE FROM staged_parts WHERE work_item_id = :id)
UPDATE work_items
SET state = 'failed', attempts = :attempts, last_error = :last_error, lease_expire_time = NULL
WHERE id = :id
""")
_RING = text(f"""
WITH doorbell AS (INSERT INTO outbox (task) VALUES (:task)) SELECT pg_notify('{Channel.OUTBOX.value}', '')
""")  # noqa: S608 - the channel is a constant
_EXPIRED = text(f"""
SELECT {COLUMNS} FROM work_items WHERE state = 'running' AND lease_expire_time < now()
ORDER BY id LIMIT 100 FOR UPDATE SKIP LOCKED
""")  # noqa: S608 - made of constants
_NO_DELAY = timedelta(0)


@dataclass(frozen=True)
class AttemptFailure:
    """Why an attempt failed.

    Attributes:
        message: one sentence for a person: what is wrong and what to do.
        retryable: whether another attempt can succeed.
    """

    reason: FailureReason.ValueType
    message: str
    retryable: bool


_LEASE_EXPIRED = AttemptFailure(
    failure_pb2.FAILURE_REASON_LEASE_EXPIRED,
    "The last attempt was cut off: the worker died or stopped making progress. Look at the workers' logs; then retry "
    "the photo, or upload the video again.",
    retryable=True,
)


async def fail(database: Database, effects: Effects, lease: Lease, failure: AttemptFailure) -> None:
    """Ends an attempt in a failure of the item: it is tried again after a while, or its resource is FAILED.

    Raises:
        AbortedError: LEASE_LOST.
    """
    async with database.transaction() as session:
        item = await lock_one(session, lease)
        delay = backoff(item.declaration, item.attempts + 1)
        again = await _end_attempt(session, effects, item, failure, delay)
    _log_failure(effects, item, failure, again=again)


async def release(database: Database, effects: Effects, leases: Sequence[Lease], why: str, delay: timedelta) -> None:
    """Gives items back uncounted. One whose lease is lost is somebody else's already, and no error."""
    async with database.transaction() as session:
        items = await lock_held(session, leases)
        for item in items:
            await _wait(session, item, item.attempts, why, delay)
    for item in items:
        log_item("work released", item, effects, why=why, delay_seconds=delay.total_seconds())


async def expire_leases(database: Database, effects: Effects) -> int:
    """Ends the attempts whose lease has lapsed; returns how many. They run again at once: the wait was the lease."""
    count = 0
    while batch := await _expire_batch(database, effects):
        count += batch
    return count


async def _expire_batch(database: Database, effects: Effects) -> int:
    async with database.transaction() as session:
        items = [Item.from_row(row) for row in (await session.execute(_EXPIRED)).mappings()]
        ends = [(item, await _end_attempt(session, effects, item, _LEASE_EXPIRED, _NO_DELAY)) for item in items]
    for item, again in ends:
        _log_failure(effects, item, _LEASE_EXPIRED, again=again)
    return len(items)


def backoff(declaration: TaskDeclaration, attempt: int) -> timedelta:
    """Returns the wait after an attempt, from 1: doubling, capped, and between half and all of that.

    The spread ("equal jitter" in https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/) keeps
    items that failed together from coming back together.
    """
    ceiling: timedelta = min(declaration.initial_backoff * 2 ** (attempt - 1), declaration.max_backoff)
    return ceiling * random.uniform(0.5, 1.0)  # noqa: S311 - not a secret


async def _end_attempt(
    session: AsyncSession, effects: Effects, item: Item, failure: AttemptFailure, delay: timedelta
) -> bool:
    """Counts the attempt; returns whether there will be another."""
    attempts = item.attempts + 1
    if failure.retryable and attempts < item.declaration.max_attempts:
        await _wait(session, item, attempts, failure.message, delay)
        return True
    await session.execute(_SET_ASIDE, {"id": item.id, "attempts": attempts, "last_error": failure.message})
    resource = effects[item.task].resource
    if resource is not None and item.resource_id is not None:
        end = ResourceFailure(failure.reason, failure.message, failure.retryable, attempts)
        await mark_failed(session, resource, item.resource_id, end)
    return False


async def _wait(session: AsyncSession, item: Item, attempts: int, error: str, delay: timedelta) -> None:
    await session.execute(_WAIT, {"id": item.id, "attempts": attempts, "last_error": error, "delay": delay})
    if not delay:
        await session.execute(_RING, {"task": item.task})


def _log_failure(effects: Effects, item: Item, failure: AttemptFailure, *, again: bool) -> None:
    log_item(
        "work failed, it will be tried again" if again else "work failed for good",
        item,
        effects,
        reason=FailureReason.Name(failure.reason),
        why=failure.message,
        attempts=item.attempts + 1,
        worker=item.worker,
    )
