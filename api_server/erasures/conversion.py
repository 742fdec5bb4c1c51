"""Erasures as messages."""

from __future__ import annotations

from google.protobuf.json_format import ParseDict

from api_server import names
from api_server.database.rows import AnyRow
from api_server.timestamps import to_timestamp
from whodex.v1 import erasure_pb2


def to_erasure(row: AnyRow) -> erasure_pb2.Erasure:
    """Converts a row of `ERASURE_COLUMNS`."""
    erasure = erasure_pb2.Erasure(
        name=names.name(names.ERASURE, row.library_id, row.id),
        target=row.target,
        state=erasure_pb2.Erasure.STATE_RUNNING,
        removed=ParseDict(row.removed, erasure_pb2.RemovedCounts()),
        create_time=to_timestamp(row.create_time),
        waits_for=row.waits_for,
    )
    if row.complete_time is not None:
        erasure.state = erasure_pb2.Erasure.STATE_COMPLETE
        erasure.complete_time.CopyFrom(to_timestamp(row.complete_time))
        erasure.receipt = row.receipt
    return erasure


def to_receipt_key(row: AnyRow) -> erasure_pb2.ReceiptKey:
    """Converts a row of `receipt_keys`."""
    return erasure_pb2.ReceiptKey(
        key_id=row.id, public_key_pem=row.public_key_pem, create_time=to_timestamp(row.create_time)
    )
