"""The sweep: nothing that is due stays without a doorbell, whatever happened to the first one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from sqlalchemy import text

from api_server.database.engine import Database
from api_server.scheduler.doorbell import Doorbell
from api_server.scheduler.relay import rings
from whodex.runtime.tasks import declared_tasks

_DUE = text("""
SELECT task, count(*) AS items FROM work_items WHERE state = 'waiting' AND next_run_time <= now() GROUP BY task
""")


async def ring_for_due_work(database: Database, doorbell: Doorbell) -> None:
    """Rings for waiting items that are due: retries, and those whose message was lost.

    A queue whose messages only wait their turn gets no more of them.

    Raises:
        BrokerUnavailableError: the broker does not answer.
    """
    async with database.reads() as session:
        due = {row.task: row.items for row in await session.execute(_DUE)}
    for queue, wanted in _by_queue(rings(due)).items():
        missing = sum(wanted.values()) - await doorbell.waiting(queue)
        if missing > 0:
            await doorbell.ring({task: min(count, missing) for task, count in wanted.items()})


def _by_queue(wanted: Mapping[str, int]) -> Mapping[str, Mapping[str, int]]:
    by_queue: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for task, count in wanted.items():
        by_queue[declared_tasks()[task].queue][task] = count
    return by_queue
