"""Rows of libraries and API keys as messages."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from google.protobuf.timestamp_pb2 import Timestamp
from sqlalchemy import func

from api_server import names
from api_server.access.roles import ROLES
from api_server.database.rows import AnyRow
from api_server.database.schema import KeyRole
from api_server.libraries.api_keys import End
from api_server.limits.limits import Limits
from api_server.timestamps import to_timestamp
from whodex.v1 import library_pb2, library_service_pb2

_STATES = {
    "active": library_pb2.ApiKey.STATE_ACTIVE,
    "expired": library_pb2.ApiKey.STATE_EXPIRED,
    "revoked": library_pb2.ApiKey.STATE_REVOKED,
}
_ROLES = {number: role for role, number in ROLES.items()}


def to_library(row: AnyRow, default_limits: Limits) -> library_pb2.Library:
    """Converts a row of `libraries.LIBRARY_COLUMNS`."""
    return library_pb2.Library(
        name=names.name(names.LIBRARY, row.id),
        display_name=row.display_name,
        create_time=to_timestamp(row.create_time),
        usage=library_pb2.LibraryUsage(
            stored_bytes=row.stored_bytes, reserved_bytes=row.reserved_bytes, people=row.people_count
        ),
        limits=default_limits.with_overrides(row.limit_overrides).to_message(),
        retention_policy=library_pb2.RetentionPolicy(
            video_days=row.video_days,
            photo_days=row.photo_days,
            audit_days=row.audit_days,
            delete_people_without_consent=row.delete_people_without_consent,
        ),
    )


def to_api_key(row: AnyRow) -> library_pb2.ApiKey:
    """Converts a row of `api_keys.API_KEY_COLUMNS`."""
    return library_pb2.ApiKey(
        name=names.name(names.API_KEY, row.library_id, row.id),
        display_name=row.display_name,
        prefix=row.prefix,
        create_time=to_timestamp(row.create_time),
        revoke_time=_optional(row.revoke_time),
        role=ROLES[row.role],
        state=_STATES[row.state],
        expire_time=_optional(row.expire_time),
        last_use_time=_optional(row.last_use_time),
        successor=_successor(row.library_id, row.successor_id),
    )


def role_of(request: library_service_pb2.CreateApiKeyRequest) -> KeyRole:
    """What the new key may do."""
    return _ROLES.get(request.role, KeyRole.ADMIN)


def end_of(request: library_service_pb2.CreateApiKeyRequest | library_service_pb2.RotateApiKeyRequest) -> End:
    """When the new key ends by itself."""
    match request.WhichOneof("expiration"):
        case "expire_time":
            return request.expire_time.ToDatetime(tzinfo=UTC)
        case "ttl":
            return func.now() + request.ttl.ToTimedelta()
        case _:
            return None


def _successor(library_id: UUID, key_id: UUID | None) -> str:
    return "" if key_id is None else names.name(names.API_KEY, library_id, key_id)


def _optional(moment: datetime | None) -> Timestamp | None:
    return None if moment is None else to_timestamp(moment)
