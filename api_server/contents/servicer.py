"""ContentService: the bytes behind the references."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from grpc.aio import ServicerContext
from sqlalchemy import select

from api_server import names
from api_server.access.authorization import authorized_ids
from api_server.contents.conversion import to_content
from api_server.database.engine import Database
from api_server.database.rows import AnyRow
from api_server.database.schema import Content
from whodex.errors import FieldViolation, OutOfRangeError
from whodex.runtime.store import ObjectStore
from whodex.v1 import content_service_pb2 as pb
from whodex.v1 import error_reason_pb2
from whodex.v1.content_service_pb2_grpc import ContentServiceServicer

CHUNK_BYTES = 1024 * 1024
Context = ServicerContext[Any, Any]


class ContentServicer(ContentServiceServicer):
    """Photos, thumbnails and best shots as byte streams."""

    def __init__(self, database: Database, store: ObjectStore) -> None:
        self._database = database
        self._store = store

    async def DownloadContent(
        self, request: pb.DownloadContentRequest, context: Context
    ) -> AsyncIterator[pb.DownloadContentResponse]:
        """Streams a range of a content."""
        row = await self._find(request.name)
        end = _end_of_range(request, row.size_bytes)
        content = to_content(row.library_id, row.id, row.media_type, row.size_bytes)
        yield pb.DownloadContentResponse(content=content)
        for start in range(request.offset, end, CHUNK_BYTES):
            yield pb.DownloadContentResponse(chunk=await self._read(request.name, row.key, start, end))

    async def _find(self, name: str) -> AnyRow:
        library_id, content_id = authorized_ids(name, names.CONTENT)
        query = select(Content.id, Content.library_id, Content.key, Content.media_type, Content.size_bytes).where(
            Content.id == content_id, Content.library_id == library_id
        )
        async with self._database.reads() as session:
            row = (await session.execute(query)).one_or_none()
        if row is None:
            raise names.not_found(name)
        return row

    async def _read(self, name: str, key: str, start: int, end: int) -> bytes:
        try:
            return await self._store.get_range(key, start, min(CHUNK_BYTES, end - start))
        except FileNotFoundError as error:
            # Its photo or video was deleted while it was being read.
            raise names.not_found(name) from error


def _end_of_range(request: pb.DownloadContentRequest, size_bytes: int) -> int:
    if request.offset > size_bytes:
        problem = f"starts at {request.offset}, behind the {size_bytes} bytes of the content"
        raise OutOfRangeError(
            f"The range {problem}.",
            reason=error_reason_pb2.ERROR_REASON_RANGE_INVALID,
            violations=[FieldViolation("offset", problem)],
        )
    return min(size_bytes, request.offset + request.limit) if request.limit else size_bytes
