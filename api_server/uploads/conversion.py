"""Rows of uploads as messages."""

from __future__ import annotations

from api_server import names
from api_server.database.rows import AnyRow
from api_server.database.schema import UploadState
from api_server.timestamps import to_timestamp
from whodex.v1.upload_pb2 import Upload

_STATES = {UploadState.OPEN: Upload.STATE_OPEN, UploadState.FINISHED: Upload.STATE_FINISHED}


def to_upload(row: AnyRow) -> Upload:
    """Converts a row of `uploads.UPLOAD_COLUMNS`."""
    return Upload(
        name=names.name(names.UPLOAD, row.library_id, row.id),
        state=_STATES[row.state],
        size_bytes=row.size_bytes,
        committed_bytes=row.committed_bytes,
        expire_time=to_timestamp(row.expire_time),
        create_time=to_timestamp(row.create_time),
        resource=_resource(row),
    )


def _resource(row: AnyRow) -> str:
    if row.resource_id is None:
        return ""
    if row.person_id is None:
        return names.name(names.VIDEO, row.library_id, row.resource_id)
    return names.name(names.PHOTO, row.library_id, row.person_id, row.resource_id)
