"""The failure of a photo or a video as a message."""

from __future__ import annotations

from api_server.database.rows import AnyRow
from api_server.timestamps import to_timestamp
from whodex.v1 import failure_pb2


def to_failure(row: AnyRow) -> failure_pb2.Failure | None:
    """Converts the `failure_*` columns of a row; None unless the state is FAILED."""
    if row.failure_reason is None:
        return None
    return failure_pb2.Failure(
        reason=row.failure_reason,
        message=row.failure_message,
        retryable=row.failure_retryable,
        attempts=row.failure_attempts,
        fail_time=to_timestamp(row.failure_time),
    )
