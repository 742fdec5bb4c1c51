"""What a resumable upload can become: a video or a reference photo."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from uuid import UUID

from api_server import names
from api_server.database.engine import Database
from api_server.database.rows import AnyRow
from api_server.people import photos
from api_server.people.upload import MAX_PHOTO_BYTES, PhotoUploader
from api_server.people.upload import insert as insert_photo
from api_server.uploads.signatures import image_media_type, video_media_type
from api_server.videos import videos
from api_server.videos.upload import MAX_VIDEO_BYTES, VideoUploader
from api_server.videos.upload import insert as insert_video
from whodex.runtime.store import ObjectStore

Resource = Callable[..., Awaitable[AnyRow]]


@dataclass(frozen=True)
class Kind:
    """How the one-shot upload of the same resource does it. A parent is the ids along the name of the resource's own.

    Attributes:
        parent: the collections along the parent's name.
        max_bytes: the limit, inclusive.
        media_type_of: recognises the first bytes; raises UNSUPPORTED_FORMAT.
        insert: (session, parent, metadata, file) makes the resource.
        repeated: (parent, metadata, sha256) returns the resource that the request_id made before.
        get: (session, parent, id) returns a resource.
    """

    parent: tuple[str, ...]
    max_bytes: int
    media_type_of: Callable[[bytes], str]
    insert: Resource
    repeated: Resource
    get: Resource


def kinds(database: Database, store: ObjectStore) -> Mapping[str, Kind]:
    """Each kind under its field of StartUploadRequest."""
    people, films = PhotoUploader(database, store), VideoUploader(database, store)
    return {
        "video": Kind(
            parent=names.LIBRARY,
            max_bytes=MAX_VIDEO_BYTES,
            media_type_of=video_media_type,
            insert=lambda session, parent, *rest: insert_video(session, parent[0], *rest),
            repeated=lambda parent, *rest: films.repeated(parent[0], *rest),
            get=lambda session, parent, id_: videos.get(session, parent[0], id_),
        ),
        "reference_photo": Kind(
            parent=names.PERSON,
            max_bytes=MAX_PHOTO_BYTES,
            media_type_of=image_media_type,
            insert=insert_photo,
            repeated=people.repeated,
            get=lambda session, parent, id_: photos.get(session, parent[0], parent[1], id_),
        ),
    }


def parent_of(row: AnyRow) -> tuple[UUID, ...]:
    """The ids along the name of an upload's parent."""
    return (row.library_id,) if row.person_id is None else (row.library_id, row.person_id)
