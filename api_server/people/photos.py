"""Reference photos: read, tried again, deleted. How they come in is in `people.upload`."""

from __future__ import annotations

from uuid import UUID

from google.protobuf.message import Message
from sqlalchemy import ColumnElement, bindparam, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from api_server import work
from api_server.database.rows import AnyRow, AnySelect
from api_server.database.schema import Content, ErasureKind, MediaState, Person, ReferencePhoto
from api_server.erasures import erasures
from api_server.erasures.counting import count_contents
from api_server.erasures.deleted import Deleted
from api_server.names import PHOTO, name, not_found
from api_server.results.people import recompute_query_embedding
from whodex.errors import FailedPreconditionError
from whodex.runtime.log import current_correlation_id
from whodex.v1 import error_reason_pb2, geometry_pb2, tasks_pb2

_Original = aliased(Content, name="original")
_Thumbnail = aliased(Content, name="thumbnail")
_Duplicated = aliased(ReferencePhoto, name="duplicated")
_LookAlike = aliased(Person, name="look_alike")


def select_photos(*conditions: ColumnElement[bool]) -> AnySelect:
    """The query of everything that a ReferencePhoto message shows, in one statement."""
    return (
        select(
            ReferencePhoto.id,
            ReferencePhoto.person_id,
            ReferencePhoto.library_id,
            ReferencePhoto.file_name,
            ReferencePhoto.state,
            ReferencePhoto.failure_reason,
            ReferencePhoto.failure_message,
            ReferencePhoto.failure_retryable,
            ReferencePhoto.failure_attempts,
            ReferencePhoto.failure_time,
            ReferencePhoto.width,
            ReferencePhoto.height,
            ReferencePhoto.face_box,
            ReferencePhoto.quality,
            ReferencePhoto.quality_warnings,
            ReferencePhoto.same_person_confirmed,
            ReferencePhoto.duplicate_of,
            ReferencePhoto.look_alike_id,
            ReferencePhoto.look_alike_similarity,
            ReferencePhoto.look_alikes_checked,
            ReferencePhoto.content_id,
            ReferencePhoto.thumbnail_id,
            ReferencePhoto.create_time,
            ReferencePhoto.update_time,
            _Original.media_type.label("original_media_type"),
            _Original.size_bytes.label("original_size_bytes"),
            _Thumbnail.media_type.label("thumbnail_media_type"),
            _Thumbnail.size_bytes.label("thumbnail_size_bytes"),
            _Duplicated.file_name.label("duplicated_file_name"),
            _LookAlike.display_name.label("look_alike_name"),
        )
        .join(_Original, _Original.id == ReferencePhoto.content_id)
        .outerjoin(_Thumbnail, _Thumbnail.id == ReferencePhoto.thumbnail_id)
        .outerjoin(_Duplicated, _Duplicated.id == ReferencePhoto.duplicate_of)
        .outerjoin(_LookAlike, _LookAlike.id == ReferencePhoto.look_alike_id)
        .where(*conditions)
    )


# Built once: clients that wait for a photo run it all the time.
_ONE = select_photos(
    ReferencePhoto.id == bindparam("photo_id"),
    ReferencePhoto.person_id == bindparam("person_id"),
    ReferencePhoto.library_id == bindparam("library_id"),
)


async def get(session: AsyncSession, library_id: UUID, person_id: UUID, photo_id: UUID) -> AnyRow:
    """Returns a photo."""
    parameters = {"photo_id": photo_id, "person_id": person_id, "library_id": library_id}
    row = (await session.execute(_ONE, parameters)).one_or_none()
    if row is None:
        raise not_found(name(PHOTO, library_id, person_id, photo_id))
    return row


async def list_page(session: AsyncSession, person_id: UUID, *, after: UUID | None, limit: int | None) -> list[AnyRow]:
    """Returns up to `limit` photos of a person (None: all), oldest first."""
    query = select_photos(ReferencePhoto.person_id == person_id).order_by(ReferencePhoto.id).limit(limit)
    if after is not None:
        query = query.where(ReferencePhoto.id > after)
    return list((await session.execute(query)).all())


async def retry(
    session: AsyncSession, library_id: UUID, person_id: UUID, photo_id: UUID, *, confirm_same_person: bool
) -> AnyRow:
    """Orders the analysis of a FAILED photo anew, with its attempts counted from zero.

    Args:
        session: the transaction.
        library_id: the library.
        person_id: the person.
        photo_id: the photo.
        confirm_same_person: it shows the person, whatever the others look like; stays true once it was.

    Raises:
        NotFoundError: there is no such photo.
        FailedPreconditionError: NOT_RETRYABLE, it has not FAILED, or another attempt cannot help.
    """
    await work.cancel(session, [photo_id])
    query = (
        select(
            ReferencePhoto.state,
            ReferencePhoto.failure_retryable,
            ReferencePhoto.failure_message,
            ReferencePhoto.requested_box,
            Content.key,
        )
        .join(Content, Content.id == ReferencePhoto.content_id)
        .where(*_is(library_id, person_id, photo_id))
        .with_for_update(of=ReferencePhoto)
    )
    photo = (await session.execute(query)).one_or_none()
    if photo is None:
        raise not_found(name(PHOTO, library_id, person_id, photo_id))
    _require_retryable(photo)
    confirmed = {"same_person_confirmed": True} if confirm_same_person else {}
    await session.execute(update(ReferencePhoto).where(ReferencePhoto.id == photo_id).values(_FRESH | confirmed))
    await work.enqueue(
        session,
        analysis_payload(name(PHOTO, library_id, person_id, photo_id), photo.key, photo.requested_box),
        library_id=library_id,
        resource_id=photo_id,
        correlation_id=current_correlation_id(),
    )
    return await get(session, library_id, person_id, photo_id)


async def delete_whole(session: AsyncSession, library_id: UUID, person_id: UUID, photo_id: UUID) -> Deleted:
    """Deletes a photo and takes it out of the query embedding; the erasure sees to the rest.

    Returns:
        The position from which on an index knows the person without the photo.
    """
    cancelled = await work.cancel(session, [photo_id])
    # The person before the photo, as in a deletion of the person: two that meet wait for each other.
    await session.execute(select(Person.id).where(Person.id == person_id).with_for_update())
    contents = await count_contents(session, ErasureKind.PHOTO, photo_id)
    gone = await session.scalar(
        delete(ReferencePhoto).where(*_is(library_id, person_id, photo_id)).returning(ReferencePhoto.id)
    )
    target = name(PHOTO, library_id, person_id, photo_id)
    if gone is None:
        raise not_found(target)
    erasure_id = await erasures.begin(session, ErasureKind.PHOTO, library_id, target, contents, cancelled)
    return Deleted(await recompute_query_embedding(session, person_id), erasure_id)


def analysis_payload(photo_name: str, content_key: str, box: list[float] | None) -> Message:
    """The work that a photo needs."""
    payload = tasks_pb2.AnalyzeReferencePhotoPayload(photo=photo_name, content_key=content_key)
    if box is not None:
        left, top, right, bottom = box
        payload.face_box.CopyFrom(geometry_pb2.Box(left=left, top=top, right=right, bottom=bottom))
    return payload


_FRESH = {
    "state": MediaState.UPLOADED,
    "failure_reason": None,
    "failure_message": None,
    "failure_retryable": None,
    "failure_attempts": None,
    "failure_time": None,
    "face_box": None,
    "quality": None,
    "embedding": None,
    "update_time": func.now(),
}


def _is(library_id: UUID, person_id: UUID, photo_id: UUID) -> tuple[ColumnElement[bool], ...]:
    return (
        ReferencePhoto.id == photo_id,
        ReferencePhoto.person_id == person_id,
        ReferencePhoto.library_id == library_id,
    )


def _require_retryable(photo: AnyRow) -> None:
    if photo.state is not MediaState.FAILED:
        problem = f"The photo has not failed: it is {photo.state.value}."
    elif not photo.failure_retryable:
        problem = f"Another attempt cannot help: {photo.failure_message} Upload another photo instead."
    else:
        return
    raise FailedPreconditionError(problem, reason=error_reason_pb2.ERROR_REASON_NOT_RETRYABLE)
