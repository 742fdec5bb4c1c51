"""Contents as messages."""

from __future__ import annotations

from uuid import UUID

from api_server import names
from whodex.v1 import content_pb2


def to_content(library_id: UUID, content_id: UUID, media_type: str, size_bytes: int) -> content_pb2.Content:
    """Makes the reference by which ContentService finds the bytes."""
    return content_pb2.Content(
        name=names.name(names.CONTENT, library_id, content_id), media_type=media_type, size_bytes=size_bytes
    )
