"""How a video comes in: through the store's own stream to disk, then video, content, work and doorbell at once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import UUID

from google.protobuf.message import Message
from sqlalchemy import Uuid, bindparam, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from uuid_utils.compat import uuid7

from api_server import audit, work
from api_server.contents.keys import upload_key
from api_server.database.engine import Database
from api_server.database.rows import AnyRow
from api_server.database.schema import Library, Video
from api_server.idempotency import request_uuid, reused
from api_server.limits.usage import UNLIMITED, find_room, require_within_limits
from api_server.names import LIBRARY, VIDEO, name, not_found
from api_server.uploads.admission import admit
from api_server.uploads.blobs import StoredFile, discarded_on_refusal
from api_server.uploads.body import UploadBody, UploadMessage
from api_server.uploads.signatures import video_media_type
from api_server.videos import videos
from whodex.errors import AlreadyExistsError
from whodex.runtime.log import current_correlation_id
from whodex.runtime.store import ObjectStore
from whodex.v1 import tasks_pb2
from whodex.v1.audit_pb2 import AUDIT_ACTION_UPLOAD_VIDEO
from whodex.v1.video_service_pb2 import VideoMetadata

MAX_VIDEO_BYTES = 50 << 30

# The request_id is a parameter with a type: a comparison with None would become IS NULL and find other videos.
_EARLIER = (
    select(Library.id.label("library_id"), Video.id, Video.content_sha256)
    .select_from(Library)
    .outerjoin(Video, (Video.library_id == Library.id) & (Video.request_id == bindparam("request_id", type_=Uuid())))
    .where(Library.id == bindparam("library_id"))
)
_INSERT = text("""
WITH content AS (
    INSERT INTO contents (id, library_id, owner_id, key, media_type, size_bytes)
    VALUES (:content_id, :library_id, :id, :key, :media_type, :size_bytes)
)
INSERT INTO videos
    (id, library_id, display_name, file_name, request_id, state, content_sha256, content_id, size_bytes)
VALUES (:id, :library_id, :display_name, :file_name, :request_id, 'uploaded', :sha256, :content_id, :size_bytes)
ON CONFLICT (library_id, request_id) DO NOTHING
RETURNING *, (SELECT epoch FROM feed_state) AS epoch
""")


class VideoUploader:
    """Takes videos in."""

    def __init__(self, database: Database, store: ObjectStore) -> None:
        self._database = database
        self._store = store

    async def upload(self, library_id: UUID, metadata: VideoMetadata, requests: AsyncIterator[UploadMessage]) -> AnyRow:
        """Stores a video, or returns the one that this request_id made before.

        Args:
            library_id: the library.
            metadata: the stream's first message.
            requests: the rest of the stream.

        Raises:
            NotFoundError: there is no such library.
            InvalidArgumentError: the stream is no whole MP4 file; see `admit` and `UploadBody`.
            AlreadyExistsError: REQUEST_ID_REUSED, the request_id stands for another file.
        """
        admit(self._store, metadata.size_bytes, MAX_VIDEO_BYTES)
        earlier = await self._find_earlier(library_id, metadata)
        # What repeats an upload takes no room.
        room = await find_room(self._database, library_id) if earlier is None else UNLIMITED
        room.require(metadata.size_bytes)
        body = UploadBody(
            requests,
            announced_bytes=metadata.size_bytes,
            max_bytes=MAX_VIDEO_BYTES,
            room=room,
            media_type_of=video_media_type,
        )
        if earlier is not None:
            return await self._same(library_id, metadata, await body.drain(), earlier)
        return await self._store_new(library_id, metadata, body)

    async def repeated(self, library_id: UUID, metadata: VideoMetadata, sha256: bytes) -> AnyRow:
        """Returns the video that this request_id made before.

        Raises:
            AlreadyExistsError: REQUEST_ID_REUSED, of another file.
        """
        earlier = await self._find_earlier(library_id, metadata)
        if earlier is None:
            raise reused(request_uuid(metadata.request_id))
        return await self._same(library_id, metadata, sha256, earlier)

    async def _find_earlier(self, library_id: UUID, metadata: VideoMetadata) -> AnyRow | None:
        """Makes sure that the library is there; returns the video that the request_id made before, if any."""
        parameters = {"library_id": library_id, "request_id": request_uuid(metadata.request_id)}
        row = await self._database.fetch_one(_EARLIER, parameters)
        if row is None:
            raise not_found(name(LIBRARY, library_id))
        return None if row.id is None else row

    async def _same(self, library_id: UUID, metadata: VideoMetadata, sha256: bytes, earlier: AnyRow) -> AnyRow:
        if earlier.content_sha256 != sha256:
            raise reused(request_uuid(metadata.request_id))
        async with self._database.reads() as session:
            return await videos.get(session, library_id, earlier.id)

    async def _store_new(self, library_id: UUID, metadata: VideoMetadata, body: UploadBody) -> AnyRow:
        content_id, sha256 = uuid7(), b""
        key = upload_key(library_id, content_id)
        try:
            async with discarded_on_refusal(self._store, key):
                sha256 = await self._store.put_stream(key, body)
                file = StoredFile(content_id, key, body.media_type, body.size_bytes, sha256)
                async with self._database.transaction() as session:
                    video = await insert(session, library_id, metadata, file)
                    await require_within_limits(session, library_id)
                    return video
        except AlreadyExistsError:
            # Another call with the same request_id was faster.
            return await self.repeated(library_id, metadata, sha256)


async def insert(session: AsyncSession, library_id: UUID, metadata: VideoMetadata, file: StoredFile) -> AnyRow:
    """Makes the video of a stored file, and orders its processing.

    Raises:
        NotFoundError: the library was deleted while the bytes came in.
        AlreadyExistsError: the request_id has made a video already.
    """
    video_id = uuid7()
    values = {
        "id": video_id,
        "library_id": library_id,
        "display_name": metadata.display_name or metadata.file_name[:200] or "Video",
        "file_name": metadata.file_name,
        "request_id": request_uuid(metadata.request_id),
        "sha256": file.sha256,
        "content_id": file.content_id,
        "key": file.key,
        "media_type": file.media_type,
        "size_bytes": file.size_bytes,
    }
    try:
        row = (await session.execute(_INSERT, values)).one_or_none()
    except IntegrityError as error:
        raise not_found(name(LIBRARY, library_id)) from error
    if row is None:
        raise reused(request_uuid(metadata.request_id))
    payload: Message = tasks_pb2.ProcessVideoPayload(video=name(VIDEO, library_id, video_id), content_key=file.key)
    await work.enqueue(
        session,
        payload,
        library_id=library_id,
        resource_id=video_id,
        correlation_id=current_correlation_id(),
    )
    await audit.append(session, AUDIT_ACTION_UPLOAD_VIDEO, library_id, name(VIDEO, library_id, video_id))
    return row
