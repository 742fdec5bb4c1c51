"""Leasing items to a worker, fairly over libraries."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from api_server.database.engine import Database
from api_server.results.registry import TaskEffect
from api_server.results.resources import mark_processing
from api_server.work.items import COLUMNS, Effects, Item, log_item
from whodex.errors import FieldViolation, InvalidArgumentError
from whodex.v1 import error_reason_pb2

# A worker that is frozen or gone costs this and one sweep. Two heartbeats may be lost on the way.
LEASE = timedelta(seconds=30)
HEARTBEAT_INTERVAL = timedelta(seconds=10)

_DUE = "task = :task AND state = 'waiting' AND next_run_time <= now()"
# Each library's oldest items get a turn: how many of its items run already, plus the place among those that wait. The
# lowest turns win, so that a library's first item waits for one turn of each other library at most, however long their
# queues are. Libraries are found by skipping through the index (a recursive query), not by reading the whole queue.
# Workers that claim at the same time see the same candidates, so there are more of them than are wanted.
_CLAIM = text(f"""
WITH RECURSIVE libraries (library_id) AS (
    (SELECT library_id FROM work_items WHERE {_DUE} ORDER BY library_id LIMIT 1)
    UNION ALL
    SELECT (
        SELECT library_id FROM work_items
        WHERE {_DUE} AND library_id > libraries.library_id ORDER BY library_id LIMIT 1
    )
    FROM libraries WHERE libraries.library_id IS NOT NULL
), running AS (
    SELECT library_id, count(*) AS items FROM work_items WHERE task = :task AND state = 'running' GROUP BY library_id
), candidates AS MATERIALIZED (
    SELECT oldest.id, oldest.next_run_time, coalesce(running.items, 0) + oldest.place AS turn
    FROM libraries
    CROSS JOIN LATERAL (
        SELECT id, next_run_time, row_number() OVER (ORDER BY next_run_time) AS place
        FROM work_items WHERE {_DUE} AND library_id = libraries.library_id
        ORDER BY next_run_time
        LIMIT (SELECT greatest(:max_items, 4 * :max_items / count(*)) FROM libraries)
    ) AS oldest
    LEFT JOIN running ON running.library_id = libraries.library_id
    ORDER BY turn, oldest.next_run_time LIMIT 4 * :max_items
), picked AS MATERIALIZED (
    SELECT work_items.id AS picked_id FROM candidates JOIN work_items ON work_items.id = candidates.id
    WHERE work_items.state = 'waiting'
    ORDER BY candidates.turn, candidates.next_run_time LIMIT :max_items
    FOR UPDATE OF work_items SKIP LOCKED
)
UPDATE work_items
SET state = 'running', fencing_token = fencing_token + 1, worker = :worker, lease_expire_time = now() + :lease
FROM picked WHERE id = picked_id
RETURNING {COLUMNS}
""")  # noqa: S608 - made of constants
_FORGET_PARTS = text("DELETE FROM staged_parts WHERE work_item_id = ANY(:ids)")


async def claim(database: Database, effects: Effects, task: str, *, max_items: int, worker: str) -> list[Item]:
    """Leases up to `max_items` items that are due; their resources are PROCESSING from then on.

    Raises:
        InvalidArgumentError: INVALID_FIELD when there is no such task.
    """
    if task not in effects:
        raise _unknown_task(task)
    parameters = {"task": task, "max_items": max_items, "worker": worker, "lease": LEASE}
    async with database.transaction() as session:
        rows = (await session.execute(_CLAIM, parameters)).mappings()
        items = sorted((Item.from_row(row) for row in rows), key=lambda item: item.id)
        if items:
            await _start(session, effects[task], items)
    for item in items:
        log_item("work started", item, effects, worker=worker, attempt=item.attempts + 1)
    return items


async def _start(session: AsyncSession, effect: TaskEffect, items: Sequence[Item]) -> None:
    if effect.resource is not None:
        ids = [item.resource_id for item in items if item.resource_id is not None]
        await mark_processing(session, effect.resource, ids)
    if effect.part is not None:
        await session.execute(_FORGET_PARTS, {"ids": [item.id for item in items]})


def _unknown_task(task: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"There is no task {task!r} in this deployment. Deploy workers and api_server of the same release.",
        reason=error_reason_pb2.ERROR_REASON_INVALID_FIELD,
        violations=[FieldViolation("task", "not a declared task")],
    )
