"""Rows of resumable uploads: started, leased to one writer at a time, moved on, finished, deleted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Self
from uuid import UUID

from sqlalchemy import ColumnElement, bindparam, delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from api_server.contents.keys import partial_key, unfinished_keys
from api_server.database.engine import Database
from api_server.database.rows import AnyRow
from api_server.database.schema import Content, Person, Upload, UploadState
from api_server.idempotency import request_uuid, reused
from api_server.limits.usage import require_within_limits
from api_server.names import PERSON, UPLOAD, name, not_found
from whodex.errors import AbortedError, FailedPreconditionError, FieldViolation, NotFoundError
from whodex.runtime.store import ObjectStore
from whodex.v1 import error_reason_pb2
from whodex.v1.upload_service_pb2 import StartUploadRequest

# Who crashed is waited for so long; who is alive extends it three times meanwhile.
LEASE = timedelta(seconds=15)

UPLOAD_COLUMNS = (
    Upload.id,
    Upload.library_id,
    Upload.person_id,
    Upload.request,
    Upload.size_bytes,
    Upload.committed_bytes,
    Upload.state,
    Upload.resource_id,
    Upload.fencing_token,
    Upload.expire_time,
    Upload.create_time,
)
_EXPIRED = Upload.expire_time <= func.now()
_FREE = or_(Upload.lease_expire_time.is_(None), Upload.lease_expire_time < func.now())
_ONE = select(*UPLOAD_COLUMNS).where(
    Upload.id == bindparam("upload_id"), Upload.library_id == bindparam("library_id"), ~_EXPIRED
)


@dataclass(frozen=True)
class Lease:
    """The right to write to an upload, as its holder shows it."""

    library_id: UUID
    upload_id: UUID
    fencing_token: int

    @classmethod
    def of(cls, row: AnyRow) -> Self:
        """The lease that a row was returned with."""
        return cls(row.library_id, row.id, row.fencing_token)


def kind_of(request: StartUploadRequest) -> str:
    """The name of what is to be made, `video` or `reference_photo`; the contract says that there is one."""
    return str(request.WhichOneof("metadata"))


def metadata_of(request: StartUploadRequest) -> Any:
    """What is known of the file: VideoMetadata or ReferencePhotoMetadata."""
    return getattr(request, kind_of(request))


async def start(
    session: AsyncSession, parent: tuple[UUID, ...], request: StartUploadRequest, *, expire: timedelta
) -> AnyRow:
    """Makes an upload, or returns the one that this request started before.

    Args:
        session: the transaction.
        parent: the ids of the library and, for a reference photo, of the person.
        request: what is to be made.
        expire: how long it waits for bytes.

    Raises:
        NotFoundError: there is no such library or person.
        AlreadyExistsError: REQUEST_ID_REUSED.
    """
    library_id, person_id = parent[0], parent[1] if len(parent) > 1 else None
    if person_id is not None:
        await _require_person(session, library_id, person_id)
    metadata = metadata_of(request)
    request_id, serialised = request_uuid(metadata.request_id), request.SerializeToString(deterministic=True)
    same_id = (Upload.library_id == library_id, Upload.request_id == request_id)
    await session.execute(delete(Upload).where(*same_id, _EXPIRED))
    values = {
        "library_id": library_id,
        "person_id": person_id,
        "request_id": request_id,
        "request": serialised,
        "size_bytes": metadata.size_bytes,
        "expire_time": func.now() + expire,
    }
    try:
        query = insert(Upload).values(values).on_conflict_do_nothing().returning(*UPLOAD_COLUMNS)
        row = (await session.execute(query)).one_or_none()
    except IntegrityError as error:  # the parent is gone
        raise not_found(metadata.parent) from error
    if row is not None:
        await require_within_limits(session, library_id)
        return row
    existing = (await session.execute(select(*UPLOAD_COLUMNS).where(*same_id))).one()
    if existing.request != serialised:
        raise reused(request_id)
    return existing


async def get(session: AsyncSession, library_id: UUID, upload_id: UUID) -> AnyRow:
    """Returns an upload.

    Raises:
        NotFoundError: there is none, or it has expired.
    """
    row = (await session.execute(_ONE, {"upload_id": upload_id, "library_id": library_id})).one_or_none()
    if row is None:
        raise gone(library_id, upload_id)
    return row


async def take_lease(session: AsyncSession, library_id: UUID, upload_id: UUID) -> AnyRow:
    """Takes the lease of an OPEN upload, and returns its row with the new fencing token.

    Raises:
        NotFoundError: there is none.
        FailedPreconditionError: UPLOAD_FINISHED.
        AbortedError: UPLOAD_BUSY, somebody else has it.
    """
    query = (
        update(Upload)
        .where(Upload.id == upload_id, Upload.library_id == library_id)
        .where(Upload.state == UploadState.OPEN, ~_EXPIRED, _FREE)
        .values(fencing_token=Upload.fencing_token + 1, lease_expire_time=func.now() + LEASE)
        .returning(*UPLOAD_COLUMNS)
    )
    row = (await session.execute(query)).one_or_none()
    if row is not None:
        return row
    row = await get(session, library_id, upload_id)
    if row.state is UploadState.FINISHED:
        raise FailedPreconditionError(
            f"{name(UPLOAD, library_id, upload_id)} is finished and takes no more bytes. FinishUpload returns what it "
            "has become.",
            reason=error_reason_pb2.ERROR_REASON_UPLOAD_FINISHED,
        )
    raise busy()


async def commit(session: AsyncSession, lease: Lease, committed_bytes: int, *, expire: timedelta) -> AnyRow:
    """Says that the first so many bytes are durable.

    Raises:
        AbortedError: UPLOAD_BUSY, the lease is lost.
        NotFoundError: the upload is.
    """
    values = {"committed_bytes": committed_bytes, "expire_time": func.now() + expire}
    return await _change(session, lease, values)


async def extend(session: AsyncSession, lease: Lease) -> None:
    """Keeps the lease for another while; errors as of `commit`."""
    await _change(session, lease, {"lease_expire_time": func.now() + LEASE})


async def release(session: AsyncSession, lease: Lease) -> None:
    """Lets the next writer in at once; a lease that is lost is no error."""
    await session.execute(update(Upload).where(*_held(lease)).values(lease_expire_time=None))


async def finish(session: AsyncSession, lease: Lease, resource_id: UUID, *, expire: timedelta) -> AnyRow:
    """Says what the upload has become; errors as of `commit`."""
    values = {
        "state": UploadState.FINISHED,
        "resource_id": resource_id,
        "lease_expire_time": None,
        "expire_time": func.now() + expire,
    }
    return await _change(session, lease, values)


async def discard(database: Database, store: ObjectStore, library_id: UUID, upload_id: UUID) -> None:
    """Deletes an upload and its bytes, wherever they are; what it has become stays. One that is gone is no error."""
    async with database.transaction() as session:
        await session.execute(delete(Upload).where(Upload.id == upload_id))
        finished = await session.scalar(select(Content.id).where(Content.id == upload_id))
    await store.delete([partial_key(library_id, upload_id)] if finished else unfinished_keys(library_id, upload_id))


async def delete_expired(session: AsyncSession) -> int:
    """Forgets the uploads that have waited too long; their bytes are garbage from now on. Returns how many."""
    return len((await session.scalars(delete(Upload).where(_EXPIRED, _FREE).returning(Upload.id))).all())


def gone(library_id: UUID, upload_id: UUID) -> NotFoundError:
    """There is no such upload, or not any more."""
    return NotFoundError(
        f"There is no {name(UPLOAD, library_id, upload_id)}. It may have expired, been cancelled or refused, or belong "
        "to another library: start a new upload.",
        reason=error_reason_pb2.ERROR_REASON_RESOURCE_NOT_FOUND,
    )


def busy() -> AbortedError:
    """Somebody else has the lease."""
    return AbortedError(
        "Another stream writes to this upload, or another call finishes it. Try again in some seconds: one whose "
        f"client or server is gone is given up after {LEASE.seconds} s.",
        reason=error_reason_pb2.ERROR_REASON_UPLOAD_BUSY,
        retry_after_seconds=1,
    )


def offset_mismatch(offset: int, committed_bytes: int) -> AbortedError:
    """The stream goes on where the upload does not."""
    problem = f"must be {committed_bytes}, where the upload goes on, and is {offset}"
    return AbortedError(
        f"The offset {problem}.",
        reason=error_reason_pb2.ERROR_REASON_UPLOAD_OFFSET_MISMATCH,
        violations=[FieldViolation("start.offset", problem)],
    )


def _held(lease: Lease) -> tuple[ColumnElement[bool], ...]:
    return (
        Upload.id == lease.upload_id,
        Upload.fencing_token == lease.fencing_token,
        Upload.state == UploadState.OPEN,
    )


async def _change(session: AsyncSession, lease: Lease, values: dict[str, object]) -> AnyRow:
    query = update(Upload).where(*_held(lease)).values(values).returning(*UPLOAD_COLUMNS)
    row = (await session.execute(query)).one_or_none()
    if row is None:
        await get(session, lease.library_id, lease.upload_id)
        raise busy()
    return row


async def _require_person(session: AsyncSession, library_id: UUID, person_id: UUID) -> None:
    person = select(Person.id).where(Person.id == person_id, Person.library_id == library_id)
    if await session.scalar(person) is None:
        raise not_found(name(PERSON, library_id, person_id))
