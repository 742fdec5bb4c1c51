"""UploadService: converts, calls, converts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

from grpc.aio import ServicerContext

from api_server import names
from api_server.access.authorization import authorized_ids
from api_server.database.engine import Database
from api_server.people.conversion import to_photo
from api_server.uploads import uploads
from api_server.uploads.admission import admit
from api_server.uploads.body import upload_empty, upload_incomplete
from api_server.uploads.conversion import to_upload
from api_server.uploads.digests import Digests
from api_server.uploads.finishing import UploadFinisher
from api_server.uploads.kinds import kinds
from api_server.uploads.writing import UploadWriter
from api_server.videos.conversion import to_video
from whodex.runtime.store import ObjectStore
from whodex.v1 import upload_service_pb2 as pb
from whodex.v1.upload_service_pb2_grpc import UploadServiceServicer

Context = ServicerContext[Any, Any]


class UploadServicer(UploadServiceServicer):
    """Uploads that can be resumed."""

    def __init__(self, database: Database, store: ObjectStore, *, expire: timedelta) -> None:
        self._database = database
        self._store = store
        self._expire = expire
        self._kinds = kinds(database, store)
        digests = Digests()
        self._writer = UploadWriter(database, store, self._kinds, digests, expire)
        self._finisher = UploadFinisher(database, store, self._kinds, digests, expire)

    async def StartUpload(self, request: pb.StartUploadRequest, context: Context) -> pb.StartUploadResponse:
        """Starts an upload."""
        kind, metadata = self._kinds[uploads.kind_of(request)], uploads.metadata_of(request)
        parent = authorized_ids(metadata.parent, kind.parent)
        if metadata.size_bytes == 0:
            raise upload_empty()
        admit(self._store, metadata.size_bytes, kind.max_bytes)
        async with self._database.transaction() as session:
            row = await uploads.start(session, parent, request, expire=self._expire)
        return pb.StartUploadResponse(upload=to_upload(row))

    async def WriteUpload(
        self, request_iterator: AsyncIterator[pb.WriteUploadRequest], context: Context
    ) -> pb.WriteUploadResponse:
        """Appends bytes."""
        first = await anext(request_iterator, None)
        if first is None or not first.HasField("start"):
            raise upload_incomplete("its first message must say to which upload the bytes belong, and from where")
        library_id, upload_id = authorized_ids(first.start.name, names.UPLOAD)
        chunks = _chunks(request_iterator)
        row = await self._writer.write(library_id, upload_id, first.start.offset, chunks)
        return pb.WriteUploadResponse(upload=to_upload(row))

    async def GetUpload(self, request: pb.GetUploadRequest, context: Context) -> pb.GetUploadResponse:
        """Returns an upload."""
        library_id, upload_id = authorized_ids(request.name, names.UPLOAD)
        async with self._database.reads() as session:
            row = await uploads.get(session, library_id, upload_id)
        return pb.GetUploadResponse(upload=to_upload(row))

    async def FinishUpload(self, request: pb.FinishUploadRequest, context: Context) -> pb.FinishUploadResponse:
        """Makes a video or a reference photo of an upload."""
        library_id, upload_id = authorized_ids(request.name, names.UPLOAD)
        kind, resource = await self._finisher.finish(library_id, upload_id, request.sha256)
        if kind == "video":
            return pb.FinishUploadResponse(video=to_video(resource))
        return pb.FinishUploadResponse(reference_photo=to_photo(resource))

    async def CancelUpload(self, request: pb.CancelUploadRequest, context: Context) -> pb.CancelUploadResponse:
        """Deletes an upload and its bytes."""
        library_id, upload_id = authorized_ids(request.name, names.UPLOAD)
        async with self._database.reads() as session:
            await uploads.get(session, library_id, upload_id)
        await uploads.discard(self._database, self._store, library_id, upload_id)
        return pb.CancelUploadResponse()


async def _chunks(requests: AsyncIterator[pb.WriteUploadRequest]) -> AsyncIterator[bytes]:
    async for request in requests:
        if not request.HasField("chunk"):
            raise upload_incomplete("a second start message came; send it once, first")
        yield request.chunk
