"""How a reference photo comes in: bytes durable first, then photo, content, work and doorbell in one transaction."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import UUID

from sqlalchemy import ARRAY, REAL, Uuid, bindparam, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from uuid_utils.compat import uuid7

from api_server import audit, work
from api_server.contents.keys import upload_key
from api_server.database.engine import Database
from api_server.database.rows import AnyRow
from api_server.database.schema import Person, ReferencePhoto
from api_server.idempotency import request_uuid, reused
from api_server.limits.usage import UNLIMITED, find_room, require_within_limits
from api_server.names import PERSON, PHOTO, name, not_found
from api_server.people import photos
from api_server.uploads.admission import admit
from api_server.uploads.blobs import StoredFile, discarded_on_refusal
from api_server.uploads.body import UploadBody, UploadMessage
from api_server.uploads.signatures import image_media_type
from whodex.errors import AlreadyExistsError
from whodex.runtime.log import current_correlation_id
from whodex.runtime.store import ObjectStore
from whodex.v1.audit_pb2 import AUDIT_ACTION_UPLOAD_PHOTO
from whodex.v1.people_service_pb2 import ReferencePhotoMetadata

MAX_PHOTO_BYTES = 32 << 20

# The request_id is a parameter with a type: a comparison with None would become IS NULL and find other photos.
_EARLIER = (
    select(ReferencePhoto.id, ReferencePhoto.content_sha256, ReferencePhoto.requested_box)
    .select_from(Person)
    .outerjoin(
        ReferencePhoto,
        (ReferencePhoto.person_id == Person.id) & (ReferencePhoto.request_id == bindparam("request_id", type_=Uuid())),
    )
    .where(Person.id == bindparam("person_id"), Person.library_id == bindparam("library_id"))
)
# One round trip, and the row as `photos.select_photos` shows it: enrolling is the hot path.
_INSERT = text("""
WITH content AS (
    INSERT INTO contents (id, library_id, owner_id, key, media_type, size_bytes)
    VALUES (:content_id, :library_id, :id, :key, :media_type, :size_bytes)
), photo AS (
    INSERT INTO reference_photos
        (id, person_id, library_id, file_name, request_id, state, requested_box, same_person_confirmed, content_sha256,
         content_id)
    VALUES (:id, :person_id, :library_id, :file_name, :request_id, 'uploaded', :box, :confirm, :sha256, :content_id)
    ON CONFLICT (person_id, request_id) DO NOTHING
    RETURNING *
)
SELECT photo.*, :media_type AS original_media_type, CAST(:size_bytes AS bigint) AS original_size_bytes FROM photo
""").bindparams(bindparam("box", type_=ARRAY(REAL)))


class PhotoUploader:
    """Takes reference photos in."""

    def __init__(self, database: Database, store: ObjectStore) -> None:
        self._database = database
        self._store = store

    async def upload(
        self, person: tuple[UUID, UUID], metadata: ReferencePhotoMetadata, requests: AsyncIterator[UploadMessage]
    ) -> AnyRow:
        """Stores a photo, or returns the one that this request_id made before.

        Args:
            person: the ids of the library and the person.
            metadata: the stream's first message.
            requests: the rest of the stream.

        Raises:
            NotFoundError: there is no such person.
            InvalidArgumentError: the stream is no whole picture; see `admit` and `UploadBody`.
            AlreadyExistsError: REQUEST_ID_REUSED, the request_id stands for another picture.
        """
        admit(self._store, metadata.size_bytes, MAX_PHOTO_BYTES)
        earlier = await self._find_earlier(person, metadata)
        # What repeats an upload takes no room.
        room = await find_room(self._database, person[0]) if earlier is None else UNLIMITED
        room.require(metadata.size_bytes)
        body = UploadBody(
            requests,
            announced_bytes=metadata.size_bytes,
            max_bytes=MAX_PHOTO_BYTES,
            room=room,
            media_type_of=image_media_type,
        )
        if earlier is not None:
            return await self._same(person, metadata, await body.drain(), earlier)
        return await self._store_new(person, metadata, body)

    async def repeated(self, person: tuple[UUID, UUID], metadata: ReferencePhotoMetadata, sha256: bytes) -> AnyRow:
        """Returns the photo that this request_id made before.

        Raises:
            AlreadyExistsError: REQUEST_ID_REUSED, of another picture.
        """
        earlier = await self._find_earlier(person, metadata)
        if earlier is None:
            raise reused(request_uuid(metadata.request_id))
        return await self._same(person, metadata, sha256, earlier)

    async def _find_earlier(self, person: tuple[UUID, UUID], metadata: ReferencePhotoMetadata) -> AnyRow | None:
        """Makes sure that the person is there; returns the photo that the request_id made before, if any."""
        library_id, person_id = person
        parameters = {
            "library_id": library_id,
            "person_id": person_id,
            "request_id": request_uuid(metadata.request_id),
        }
        row = await self._database.fetch_one(_EARLIER, parameters)
        if row is None:
            raise not_found(name(PERSON, library_id, person_id))
        return None if row.id is None else row

    async def _same(
        self, person: tuple[UUID, UUID], metadata: ReferencePhotoMetadata, sha256: bytes, earlier: AnyRow
    ) -> AnyRow:
        if (earlier.content_sha256, earlier.requested_box) != (sha256, _box(metadata)):
            raise reused(request_uuid(metadata.request_id))
        async with self._database.reads() as session:
            return await photos.get(session, *person, earlier.id)

    async def _store_new(self, person: tuple[UUID, UUID], metadata: ReferencePhotoMetadata, body: UploadBody) -> AnyRow:
        content_id, sha256 = uuid7(), b""
        key = upload_key(person[0], content_id)
        try:
            async with discarded_on_refusal(self._store, key):
                sha256 = await self._store.put_stream(key, body)
                file = StoredFile(content_id, key, body.media_type, body.size_bytes, sha256)
                async with self._database.transaction() as session:
                    photo = await insert(session, person, metadata, file)
                    await require_within_limits(session, person[0])
                    return photo
        except AlreadyExistsError:
            # Another call with the same request_id was faster.
            return await self.repeated(person, metadata, sha256)


async def insert(
    session: AsyncSession, person: tuple[UUID, UUID], metadata: ReferencePhotoMetadata, file: StoredFile
) -> AnyRow:
    """Makes the photo of a stored file, and orders its analysis.

    Raises:
        NotFoundError: the person was deleted while the bytes came in.
        AlreadyExistsError: the request_id has made a photo already.
    """
    library_id, person_id = person
    photo_id, box = uuid7(), _box(metadata)
    values = {
        "id": photo_id,
        "person_id": person_id,
        "library_id": library_id,
        "file_name": metadata.file_name,
        "request_id": request_uuid(metadata.request_id),
        "box": box,
        "confirm": metadata.confirm_same_person,
        "sha256": file.sha256,
        "content_id": file.content_id,
        "key": file.key,
        "media_type": file.media_type,
        "size_bytes": file.size_bytes,
    }
    try:
        row = (await session.execute(_INSERT, values)).one_or_none()
    except IntegrityError as error:
        raise not_found(name(PERSON, library_id, person_id)) from error
    if row is None:
        raise reused(request_uuid(metadata.request_id))
    await work.enqueue(
        session,
        photos.analysis_payload(name(PHOTO, library_id, person_id, photo_id), file.key, box),
        library_id=library_id,
        resource_id=photo_id,
        correlation_id=current_correlation_id(),
    )
    await audit.append(session, AUDIT_ACTION_UPLOAD_PHOTO, library_id, name(PHOTO, library_id, person_id, photo_id))
    return row


def _box(metadata: ReferencePhotoMetadata) -> list[float] | None:
    if not metadata.HasField("face_box"):
        return None
    box = metadata.face_box
    return [box.left, box.top, box.right, box.bottom]
