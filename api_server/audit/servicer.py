"""AuditService: converts, calls, converts."""

from __future__ import annotations

import struct
from datetime import UTC, datetime
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from grpc.aio import ServicerContext

from api_server import names
from api_server.access.authorization import authorized_ids
from api_server.audit import log
from api_server.database.engine import Database
from api_server.database.rows import AnyRow
from api_server.paging import cut, page_size, read_place
from api_server.timestamps import to_timestamp
from whodex.v1 import audit_pb2
from whodex.v1 import audit_service_pb2 as pb
from whodex.v1.audit_service_pb2_grpc import AuditServiceServicer

Context = ServicerContext[Any, Any]
_PLACE = struct.Struct(">q")


class AuditServicer(AuditServiceServicer):
    """The audit log, read."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def ListAuditEntries(
        self, request: pb.ListAuditEntriesRequest, context: Context
    ) -> pb.ListAuditEntriesResponse:
        """Lists entries."""
        (library_id,) = authorized_ids(request.parent, names.LIBRARY)
        async with self._database.reads() as session:
            rows = await log.list_page(
                session,
                library_id,
                start_time=_moment(request.start_time) if request.HasField("start_time") else None,
                end_time=_moment(request.end_time) if request.HasField("end_time") else None,
                action=request.action,
                resource=request.resource,
                after=read_place(request, _unpack) or 0,
                limit=page_size(request) + 1,
            )
        page, token = cut(rows, request, lambda row: _PLACE.pack(row.sequence))
        return pb.ListAuditEntriesResponse(audit_entries=map(_to_entry, page), next_page_token=token)

    async def GetAuditHead(self, request: pb.GetAuditHeadRequest, context: Context) -> pb.GetAuditHeadResponse:
        """Returns the end of the log."""
        (library_id,) = authorized_ids(request.parent, names.LIBRARY)
        async with self._database.reads() as session:
            return pb.GetAuditHeadResponse(audit_head=await log.read_head(session, library_id))


def _unpack(place: bytes) -> int:
    (sequence,) = _PLACE.unpack(place)
    return int(sequence)


def _moment(timestamp: Timestamp) -> datetime:
    return timestamp.ToDatetime(UTC)


def _to_entry(row: AnyRow) -> audit_pb2.AuditEntry:
    return audit_pb2.AuditEntry(
        sequence=row.sequence,
        time=to_timestamp(row.time),
        actor=row.actor,
        action=audit_pb2.AuditAction.Value(f"AUDIT_ACTION_{row.action}"),
        resource=row.resource,
        outcome=row.outcome,
        result_count=row.result_count,
        request_digest=row.request_digest,
        correlation_id=row.correlation_id,
        previous_hash=row.previous_hash,
        hash=row.hash,
    )
