"""Results: checked, fenced, applied, and the items gone, in one transaction."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from google.protobuf import any_pb2
from sqlalchemy import text

from api_server.database.engine import Database
from api_server.results.completed import Completed
from api_server.work.contract import checked_message
from api_server.work.items import Effects, Item, Lease, lock_held, log_item

_FINISH = text("DELETE FROM work_items WHERE id = ANY(:ids)")


async def complete(database: Database, effects: Effects, results: Mapping[Lease, any_pb2.Any]) -> list[Lease]:
    """Applies the results whose lease is good. All of one call commit together, which is what makes a batch cheap.

    Returns:
        The leases that are lost; their results had no effect.

    Raises:
        InvalidArgumentError: a result breaks its contract; nothing of the call had an effect. Complete the items one
            by one to find which.
    """
    async with database.transaction() as session:
        held = await lock_held(session, results.keys())
        for task, completed in _by_task(held, results).items():
            await effects[task].apply(session, completed)
        if held:
            await session.execute(_FINISH, {"ids": [item.id for item in held]})
    for item in held:
        log_item("work completed", item, effects, worker=item.worker)
    alive = {item.lease for item in held}
    return [lease for lease in results if lease not in alive]


def _by_task(items: Sequence[Item], results: Mapping[Lease, any_pb2.Any]) -> Mapping[str, list[Completed]]:
    by_task: defaultdict[str, list[Completed]] = defaultdict(list)
    for item in items:
        result = checked_message(results[item.lease], item.declaration.result_class, "result")
        completed = Completed(
            item.id,
            item.fencing_token,
            item.output_prefix,
            item.library_id,
            item.resource_id,
            item.attempts + 1,
            result,
        )
        by_task[item.task].append(completed)
    return by_task
