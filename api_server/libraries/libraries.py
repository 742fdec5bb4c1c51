"""Libraries: made, read, deleted with all that they hold."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import delete, exists, func, select, text, union_all, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from api_server import feed, work
from api_server.database.rows import AnyRow
from api_server.database.schema import (
    Appearance,
    AuditChain,
    CollectionKind,
    ErasureKind,
    Library,
    Person,
    ReferencePhoto,
    Video,
)
from api_server.erasures import erasures
from api_server.erasures.counting import count_contents
from api_server.erasures.deleted import Deleted
from api_server.idempotency import request_digest, request_uuid, reused
from api_server.libraries.retention import policy_columns
from api_server.limits.limits import changed_overrides
from api_server.names import LIBRARY, name, not_found
from whodex.errors import FailedPreconditionError
from whodex.runtime.validation import validate
from whodex.v1 import error_reason_pb2
from whodex.v1.library_service_pb2 import CreateLibraryRequest, UpdateLibraryLimitsRequest, UpdateLibraryRequest

# A library may hold millions of rows; the call's own deadline still ends the wait.
_PATIENCE = text("SET LOCAL statement_timeout = '10min'")
LIBRARY_COLUMNS = (
    Library.id,
    Library.display_name,
    Library.create_time,
    Library.stored_bytes,
    Library.reserved_bytes,
    Library.people_count,
    Library.limit_overrides,
    Library.video_days,
    Library.photo_days,
    Library.delete_people_without_consent,
    func.coalesce(
        select(AuditChain.retention_days).where(AuditChain.library_id == Library.id).scalar_subquery(), 0
    ).label("audit_days"),
)


async def create(session: AsyncSession, request: CreateLibraryRequest) -> AnyRow:
    """Makes a library, or returns the one that this request made before."""
    request_id, digest = request_uuid(request.request_id), request_digest(request)
    values = {"display_name": request.display_name, "request_id": request_id, "request_sha256": digest}
    made = await session.scalar(insert(Library).values(values).on_conflict_do_nothing().returning(Library.id))
    if made is not None:
        return await get(session, made)
    found = select(*LIBRARY_COLUMNS, Library.request_sha256).where(Library.request_id == request_id)
    existing: AnyRow = (await session.execute(found)).one()
    if existing.request_sha256 != digest:
        raise reused(request_id)
    return existing


async def get(session: AsyncSession, library_id: UUID) -> AnyRow:
    """Returns a library."""
    row: AnyRow | None = (await session.execute(select(*LIBRARY_COLUMNS).where(Library.id == library_id))).one_or_none()
    if row is None:
        raise not_found(name(LIBRARY, library_id))
    return row


async def change(session: AsyncSession, request: UpdateLibraryRequest, library_id: UUID) -> None:
    """Changes the fields that the mask names.

    Raises:
        NotFoundError: there is no such library.
        InvalidArgumentError: INVALID_FIELD, a new value breaks the limits that it had at the creation.
    """
    values: dict[str, Any] = {}
    if "display_name" in request.update_mask.paths:
        # The same limits as for a new library, from the same contract.
        validate(CreateLibraryRequest(display_name=request.library.display_name))
        values["display_name"] = request.library.display_name
    if "retention_policy" in request.update_mask.paths:
        values |= policy_columns(request.library.retention_policy)
    query = update(Library).where(Library.id == library_id).values(values).returning(Library.id)
    if await session.scalar(query) is None:
        raise not_found(name(LIBRARY, library_id))


async def list_page(session: AsyncSession, *, after: UUID | None, limit: int) -> list[AnyRow]:
    """Returns up to `limit` libraries, oldest first."""
    query = select(*LIBRARY_COLUMNS).order_by(Library.id).limit(limit)
    if after is not None:
        query = query.where(Library.id > after)
    return list((await session.execute(query)).all())


async def change_limits(session: AsyncSession, library_id: UUID, request: UpdateLibraryLimitsRequest) -> AnyRow:
    """Sets or unsets the limits that the mask names."""
    locked = select(Library.limit_overrides).where(Library.id == library_id).with_for_update(key_share=True)
    overrides = await session.scalar(locked)
    if overrides is None:
        raise not_found(name(LIBRARY, library_id))
    changed = changed_overrides(overrides, request.limits, request.update_mask.paths)
    query = update(Library).where(Library.id == library_id).values(limit_overrides=changed)
    return (await session.execute(query.returning(*LIBRARY_COLUMNS))).one()


async def delete_whole(session: AsyncSession, library_id: UUID, *, force: bool) -> Deleted:
    """Deletes a library: its rows now, its embeddings from the feed; the erasure sees to the rest.

    Raises:
        NotFoundError: there is no such library.
        FailedPreconditionError: LIBRARY_NOT_EMPTY, it holds something and `force` is not set.
    """
    await session.execute(_PATIENCE)
    cancelled = await work.cancel(session, await _media_ids(session, library_id))
    # Nothing can be added to a library whose row is locked: every insert needs a share lock on it.
    locked = select(Library.id).where(Library.id == library_id).with_for_update()
    target = name(LIBRARY, library_id)
    if await session.scalar(locked) is None:
        raise not_found(target)
    if not force and await _holds_something(session, library_id):
        raise FailedPreconditionError(
            "The library still holds people or videos. Delete them first, or set force to delete all of it.",
            reason=error_reason_pb2.ERROR_REASON_LIBRARY_NOT_EMPTY,
        )
    tombstones = await _tombstones(session, library_id)
    contents = await count_contents(session, ErasureKind.LIBRARY, library_id)
    await session.execute(delete(Library).where(Library.id == library_id))
    erasure_id = await erasures.begin(session, ErasureKind.LIBRARY, library_id, target, contents, cancelled)
    return Deleted(await feed.record_changes(session, tombstones), erasure_id)


async def _media_ids(session: AsyncSession, library_id: UUID) -> list[UUID]:
    query = union_all(
        select(ReferencePhoto.id).where(ReferencePhoto.library_id == library_id),
        select(Video.id).where(Video.library_id == library_id),
    )
    return list((await session.scalars(query)).all())


async def _holds_something(session: AsyncSession, library_id: UUID) -> bool:
    person = exists().where(Person.library_id == library_id)
    video = exists().where(Video.library_id == library_id)
    return bool(await session.scalar(select(person | video)))


async def _tombstones(session: AsyncSession, library_id: UUID) -> list[feed.Change]:
    people = select(Person.id, Person.query_space).where(
        Person.library_id == library_id, Person.query_space.is_not(None)
    )
    appearances = select(Appearance.id, Appearance.space).where(Appearance.library_id == library_id)
    return [
        feed.Change(kind, id_, library_id, space or "", None)
        for kind, query in ((CollectionKind.PEOPLE, people), (CollectionKind.APPEARANCES, appearances))
        for id_, space in (await session.execute(query)).all()
    ]
