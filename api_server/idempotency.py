"""The `request_id` of a create: the same id again returns what was made first, if the request is the same too."""

from __future__ import annotations

import hashlib
from uuid import UUID

from google.protobuf.message import Message

from whodex.errors import AlreadyExistsError
from whodex.v1 import error_reason_pb2


def request_uuid(request_id: str) -> UUID | None:
    """The id as the database keeps it; None when the client wants no protection."""
    return UUID(request_id) if request_id else None


def request_digest(request: Message) -> bytes:
    """SHA-256 of the whole request."""
    return hashlib.sha256(request.SerializeToString(deterministic=True)).digest()


def reused(request_id: UUID | None) -> AlreadyExistsError:
    """The id was used for something else."""
    return AlreadyExistsError(
        f"The request_id {request_id} was used before with other content. Use a new one for a new resource.",
        reason=error_reason_pb2.ERROR_REASON_REQUEST_ID_REUSED,
    )
