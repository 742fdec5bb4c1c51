"""ErasureService: converts, calls, converts."""

from __future__ import annotations

from typing import Any

from grpc.aio import ServicerContext

from api_server import names
from api_server.access.authorization import authorized_ids
from api_server.database.engine import Database
from api_server.erasures import erasures, receipt_keys
from api_server.erasures.conversion import to_erasure, to_receipt_key
from api_server.paging import cut, page_size, read_place, uuid_place
from whodex.v1 import erasure_service_pb2 as pb
from whodex.v1.erasure_service_pb2_grpc import ErasureServiceServicer

Context = ServicerContext[Any, Any]


class ErasureServicer(ErasureServiceServicer):
    """Erasures and the keys of their receipts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def GetErasure(self, request: pb.GetErasureRequest, context: Context) -> pb.GetErasureResponse:
        """Returns an erasure."""
        library_id, erasure_id = authorized_ids(request.name, names.ERASURE)
        async with self._database.reads() as session:
            row = await erasures.get(session, library_id, erasure_id)
        return pb.GetErasureResponse(erasure=to_erasure(row))

    async def ListErasures(self, request: pb.ListErasuresRequest, context: Context) -> pb.ListErasuresResponse:
        """Lists the erasures of a library."""
        (library_id,) = authorized_ids(request.parent, names.LIBRARY)
        after = read_place(request, uuid_place)
        async with self._database.reads() as session:
            rows = await erasures.list_page(session, library_id, after=after, limit=page_size(request) + 1)
        page, token = cut(rows, request, lambda row: row.id.bytes)
        return pb.ListErasuresResponse(erasures=map(to_erasure, page), next_page_token=token)

    async def ListReceiptKeys(self, request: pb.ListReceiptKeysRequest, context: Context) -> pb.ListReceiptKeysResponse:
        """Lists the keys that verify receipts."""
        async with self._database.reads() as session:
            rows = await receipt_keys.list_all(session)
        return pb.ListReceiptKeysResponse(receipt_keys=map(to_receipt_key, rows))
