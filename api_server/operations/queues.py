"""What waits for workers, by task."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from api_server.database.schema import WorkItem, WorkState
from whodex.runtime.tasks import declared_tasks
from whodex.v1.operations_service_pb2 import TaskStatus

_WAITING = WorkItem.state == WorkState.WAITING
_QUERY = select(
    WorkItem.task,
    func.count().filter(_WAITING).label("waiting"),
    func.count().filter(WorkItem.state == WorkState.RUNNING).label("running"),
    (func.now() - func.min(WorkItem.create_time).filter(_WAITING)).label("oldest_age"),
).group_by(WorkItem.task)


async def task_statuses(session: AsyncSession) -> list[TaskStatus]:
    """Returns every declared task, by name."""
    rows = {row.task: row for row in await session.execute(_QUERY)}
    statuses = []
    for name, declaration in sorted(declared_tasks().items()):
        status = TaskStatus(task=name, queue=declaration.queue)
        if row := rows.get(name):
            status.waiting_count, status.running_count = row.waiting, row.running
            if row.oldest_age is not None:
                status.oldest_waiting_age.FromTimedelta(row.oldest_age)
        statuses.append(status)
    return statuses
