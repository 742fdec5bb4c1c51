"""The outbox relay: rings for work whose transaction has committed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from sqlalchemy import text

from api_server.database.engine import Database
from api_server.scheduler.doorbell import MAX_RINGS, Doorbell
from whodex.runtime.tasks import declared_tasks

_BATCH = 1000
_TAKE = text("""
DELETE FROM outbox WHERE id IN (SELECT id FROM outbox ORDER BY id LIMIT :batch FOR UPDATE SKIP LOCKED)
RETURNING task
""")


async def relay(database: Database, doorbell: Doorbell) -> None:
    """Rings for what is in the outbox. Many entries of a task become few rings, since a worker claims many items.

    Raises:
        BrokerUnavailableError: the entries stay where they are.
    """
    while await _relay_batch(database, doorbell) == _BATCH:
        pass


async def _relay_batch(database: Database, doorbell: Doorbell) -> int:
    # Rung before the commit: a crash between the two rings twice, which is harmless, and never not at all.
    async with database.transaction() as session:
        tasks = (await session.scalars(_TAKE, {"batch": _BATCH})).all()
        if tasks:
            await doorbell.ring(rings(Counter(tasks)))
    return len(tasks)


def rings(items: Mapping[str, int]) -> Mapping[str, int]:
    """Returns how often to ring for so many items of each task; tasks that are not declared any more are left out."""
    declared = declared_tasks()
    return {
        task: min(-(-count // declared[task].max_claim), MAX_RINGS) for task, count in items.items() if task in declared
    }
