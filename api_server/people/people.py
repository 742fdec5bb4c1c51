"""People: made, read with their derived state, changed, deleted."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, bindparam, delete, func, select, true, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from api_server import feed, work
from api_server.database.rows import AnyRow, AnySelect
from api_server.database.schema import CollectionKind, ErasureKind, FeedState, MediaState, Person, ReferencePhoto
from api_server.erasures import erasures
from api_server.erasures.counting import count_contents
from api_server.erasures.deleted import Deleted
from api_server.idempotency import request_digest, request_uuid, reused
from api_server.limits.usage import require_within_limits
from api_server.names import LIBRARY, PERSON, name, not_found
from api_server.people.consent import HAS_EXPIRED, consent_columns
from whodex.runtime.validation import validate
from whodex.v1.people_service_pb2 import CreatePersonRequest, UpdatePersonRequest


def select_people(*conditions: ColumnElement[bool]) -> AnySelect:
    """The query of everything that a Person message shows: one statement, whatever the number of people."""
    photos = (
        select(
            func.count().label("photo_count"),
            func.count().filter(ReferencePhoto.state == MediaState.READY).label("ready_count"),
            func.count()
            .filter(ReferencePhoto.state.in_([MediaState.UPLOADED, MediaState.PROCESSING]))
            .label("pending_count"),
        )
        .where(ReferencePhoto.person_id == Person.id)
        .lateral("photos")
    )
    return (
        select(
            Person.id,
            Person.library_id,
            Person.display_name,
            Person.description,
            Person.consent,
            HAS_EXPIRED,
            Person.create_time,
            Person.update_time,
            Person.embedding_sequence,
            Person.query_space.is_not(None).label("searchable"),
            photos.c.photo_count,
            photos.c.ready_count,
            photos.c.pending_count,
            select(FeedState.epoch).scalar_subquery().label("epoch"),
        )
        .select_from(Person)
        .join(photos, true())
        .where(*conditions)
    )


# Built once: watches and waiting clients run it all the time.
_ONE = select_people(Person.id == bindparam("person_id"), Person.library_id == bindparam("library_id"))


async def create(session: AsyncSession, library_id: UUID, request: CreatePersonRequest) -> AnyRow:
    """Makes a person, or returns the one that this request made before."""
    request_id, digest = request_uuid(request.request_id), request_digest(request)
    values = {
        "library_id": library_id,
        "display_name": request.display_name,
        "description": request.description,
        "request_id": request_id,
        "request_sha256": digest,
        **consent_columns(request.consent if request.HasField("consent") else None),
    }
    try:
        made = await session.scalar(insert(Person).values(values).on_conflict_do_nothing().returning(Person.id))
    except IntegrityError as error:  # the library is gone
        raise not_found(name(LIBRARY, library_id)) from error
    if made is not None:
        await require_within_limits(session, library_id)
        return await get(session, library_id, made)
    same_id = (Person.library_id == library_id, Person.request_id == request_id)
    existing, existing_digest = (await session.execute(select(Person.id, Person.request_sha256).where(*same_id))).one()
    if existing_digest != digest:
        raise reused(request_id)
    return await get(session, library_id, existing)


async def get(session: AsyncSession, library_id: UUID, person_id: UUID) -> AnyRow:
    """Returns a person."""
    row = (await session.execute(_ONE, {"person_id": person_id, "library_id": library_id})).one_or_none()
    if row is None:
        raise not_found(name(PERSON, library_id, person_id))
    return row


async def list_page(
    session: AsyncSession, library_id: UUID, *, display_name: str, after: UUID | None, limit: int
) -> list[AnyRow]:
    """Returns up to `limit` people, oldest first.

    Args:
        session: where to read.
        library_id: the library.
        display_name: only people of exactly this name; empty: all.
        after: the last person of the page before.
        limit: how many at most.
    """
    query = select_people(Person.library_id == library_id).order_by(Person.id).limit(limit)
    if display_name:
        query = query.where(Person.display_name == display_name)
    if after is not None:
        query = query.where(Person.id > after)
    return list((await session.execute(query)).all())


def changed_values(request: UpdatePersonRequest) -> dict[str, Any]:
    """Returns the new values of the fields that the mask names.

    Raises:
        InvalidArgumentError: INVALID_FIELD, a new value breaks the limits that it had at the creation.
    """
    paths = set(request.update_mask.paths)
    values = {path: getattr(request.person, path) for path in paths - {"consent"}}
    consent = request.person.consent if "consent" in paths and request.person.HasField("consent") else None
    # The same limits as for a new person, from the same contract.
    parent = request.person.name.partition("/people/")[0]
    validate(CreatePersonRequest(**{"parent": parent, "display_name": "unchanged", "consent": consent, **values}))
    return values | consent_columns(consent) if "consent" in paths else values


async def change(session: AsyncSession, library_id: UUID, person_id: UUID, values: dict[str, Any]) -> AnyRow:
    """Sets some columns, as `changed_values` returns them."""
    query = (
        update(Person)
        .where(Person.id == person_id, Person.library_id == library_id)
        .values(**values, update_time=func.now())
    )
    await session.execute(query)
    return await get(session, library_id, person_id)


async def delete_whole(session: AsyncSession, library_id: UUID, person_id: UUID) -> Deleted:
    """Deletes a person: rows now, the query embedding from the feed; the erasure sees to the rest.

    Returns:
        The position from which on an index no longer finds the person.
    """
    # Work before people: the order in which everybody takes these locks. A photo that is added between the two goes
    # with the person all the same; its work finds nothing to do.
    cancelled = await work.cancel(session, await _photo_ids(session, person_id))
    locked = select(Person.query_space).where(Person.id == person_id, Person.library_id == library_id).with_for_update()
    row = (await session.execute(locked)).one_or_none()
    target = name(PERSON, library_id, person_id)
    if row is None:
        raise not_found(target)
    contents = await count_contents(session, ErasureKind.PERSON, person_id)
    await session.execute(delete(Person).where(Person.id == person_id))
    erasure_id = await erasures.begin(session, ErasureKind.PERSON, library_id, target, contents, cancelled)
    tombstone = feed.Change(CollectionKind.PEOPLE, person_id, library_id, row.query_space or "", None)
    return Deleted(await feed.record_changes(session, [tombstone] if row.query_space else []), erasure_id)


async def _photo_ids(session: AsyncSession, person_id: UUID) -> list[UUID]:
    query = select(ReferencePhoto.id).where(ReferencePhoto.person_id == person_id)
    return list((await session.scalars(query)).all())
