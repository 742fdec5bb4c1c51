"""Parts of large results, kept aside under the fencing token until the item is completed."""

from __future__ import annotations

from collections.abc import Sequence

from google.protobuf import any_pb2
from sqlalchemy import bindparam, func, select
from sqlalchemy.dialects.postgresql import insert

from api_server.database.engine import Database
from api_server.database.schema import StagedPart
from api_server.work.contract import checked_message
from api_server.work.items import Effects, Item, Lease, lock_one
from whodex.errors import FieldViolation, InvalidArgumentError
from whodex.v1 import error_reason_pb2

_STAGE = insert(StagedPart)
_STAGE = _STAGE.on_conflict_do_update(
    index_elements=[StagedPart.work_item_id, StagedPart.fencing_token, StagedPart.ordinal],
    set_={"part": _STAGE.excluded.part},
)
_COUNT = (
    select(func.count())
    .select_from(StagedPart)
    .where(StagedPart.work_item_id == bindparam("id"))
    .where(StagedPart.fencing_token == bindparam("token"))
)


async def stage(database: Database, effects: Effects, lease: Lease, parts: Sequence[tuple[int, any_pb2.Any]]) -> None:
    """Stages parts by their ordinals; one that is there already is replaced.

    Raises:
        AbortedError: LEASE_LOST.
        InvalidArgumentError: INVALID_FIELD when the task has no such parts or one breaks its contract.
    """
    async with database.transaction() as session:
        item = await lock_one(session, lease)
        rows = [
            {
                "work_item_id": item.id,
                "fencing_token": item.fencing_token,
                "ordinal": ordinal,
                "part": _checked(part, item, effects).SerializeToString(),
            }
            for ordinal, part in parts
        ]
        connection = await session.connection()
        await connection.execute(_STAGE, rows)


async def staged_count(database: Database, lease: Lease) -> int:
    """Returns how many parts are staged under a lease."""
    async with database.reads() as session:
        count = await session.scalar(_COUNT, {"id": lease.item_id, "token": lease.fencing_token})
    return count or 0


def _checked(part: any_pb2.Any, item: Item, effects: Effects) -> any_pb2.Any:
    expected = effects[item.task].part
    if expected is None:
        raise InvalidArgumentError(
            f"{item.task} has no parts. Send the result with CompleteWork.",
            reason=error_reason_pb2.ERROR_REASON_INVALID_FIELD,
            violations=[FieldViolation("part", "the task has none")],
        )
    checked_message(part, expected, "part")
    return part
