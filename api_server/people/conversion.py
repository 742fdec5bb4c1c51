"""Rows of people and reference photos as messages."""

from __future__ import annotations

from api_server import feed, names
from api_server.contents.conversion import to_content
from api_server.database.rows import AnyRow
from api_server.database.schema import MediaState
from api_server.failures import to_failure
from api_server.timestamps import to_timestamp
from whodex.v1 import content_pb2, geometry_pb2, person_pb2
from whodex.v1.person_pb2 import Consent, Person, PhotoWarning, ReferencePhoto

_PHOTO_STATES = {
    MediaState.UPLOADED: ReferencePhoto.STATE_UPLOADED,
    MediaState.PROCESSING: ReferencePhoto.STATE_PROCESSING,
    MediaState.READY: ReferencePhoto.STATE_READY,
    MediaState.FAILED: ReferencePhoto.STATE_FAILED,
}


def to_person(row: AnyRow) -> Person:
    """Converts a row of `people.select_people`."""
    return Person(
        name=names.name(names.PERSON, row.library_id, row.id),
        display_name=row.display_name,
        description=row.description,
        state=derive_state(
            searchable=row.searchable, pending_count=row.pending_count, consent_expired=row.consent_expired
        ),
        photo_count=row.photo_count,
        ready_photo_count=row.ready_count,
        create_time=to_timestamp(row.create_time),
        update_time=to_timestamp(row.update_time),
        consistency_token=feed.make_consistency_token(feed.FeedPosition(row.epoch, row.embedding_sequence)),
        consent=None if row.consent is None else Consent.FromString(row.consent),
    )


def derive_state(*, searchable: bool, pending_count: int, consent_expired: bool) -> Person.State.ValueType:
    """READY with a query embedding and a consent, else PROCESSING while a photo is pending, else NEEDS_PHOTOS."""
    if consent_expired:
        return Person.STATE_CONSENT_EXPIRED
    if searchable:
        return Person.STATE_READY
    return Person.STATE_PROCESSING if pending_count else Person.STATE_NEEDS_PHOTOS


def to_photo(row: AnyRow) -> ReferencePhoto:
    """Converts a row of `photos.select_photos`."""
    return ReferencePhoto(
        name=names.name(names.PHOTO, row.library_id, row.person_id, row.id),
        file_name=row.file_name,
        state=_PHOTO_STATES[row.state],
        failure=to_failure(row),
        width=row.width,
        height=row.height,
        face_box=_to_box(row.face_box),
        quality=_to_quality(row.quality),
        original=to_content(row.library_id, row.content_id, row.original_media_type, row.original_size_bytes),
        thumbnail=_to_thumbnail(row),
        create_time=to_timestamp(row.create_time),
        update_time=to_timestamp(row.update_time),
        warnings=_to_warnings(row),
        same_person_confirmed=row.same_person_confirmed,
        look_alikes_checked=row.look_alikes_checked,
    )


def _to_box(edges: list[float] | None) -> geometry_pb2.Box | None:
    if edges is None:
        return None
    left, top, right, bottom = edges
    return geometry_pb2.Box(left=left, top=top, right=right, bottom=bottom)


def _to_quality(serialised: bytes | None) -> person_pb2.FaceQuality | None:
    return None if serialised is None else person_pb2.FaceQuality.FromString(serialised)


def _to_warnings(row: AnyRow) -> list[PhotoWarning]:
    if row.state is not MediaState.READY:
        return []
    warnings = [PhotoWarning(**warning) for warning in row.quality_warnings]
    if row.duplicate_of is not None:
        warnings.append(_near_duplicate(row))
    if row.look_alike_id is not None and row.look_alike_name is not None:
        warnings.append(_look_alike(row))
    return warnings


def _near_duplicate(row: AnyRow) -> PhotoWarning:
    return PhotoWarning(
        kind=PhotoWarning.KIND_NEAR_DUPLICATE,
        message=f"Nearly the same picture as {row.duplicated_file_name or 'an earlier photo'}, so that both count once:"
        " a photo of another day or angle tells more.",
        photo=names.name(names.PHOTO, row.library_id, row.person_id, row.duplicate_of),
    )


def _look_alike(row: AnyRow) -> PhotoWarning:
    return PhotoWarning(
        kind=PhotoWarning.KIND_LOOK_ALIKE,
        message=f"The face also looks like {row.look_alike_name} (similarity {row.look_alike_similarity:.3f}): if it is"
        " theirs, delete the photo; if the two are one person, keep one of them.",
        person=names.name(names.PERSON, row.library_id, row.look_alike_id),
        person_display_name=row.look_alike_name,
        similarity=row.look_alike_similarity,
    )


def _to_thumbnail(row: AnyRow) -> content_pb2.Content | None:
    if row.thumbnail_id is None:
        return None
    return to_content(row.library_id, row.thumbnail_id, row.thumbnail_media_type, row.thumbnail_size_bytes)
