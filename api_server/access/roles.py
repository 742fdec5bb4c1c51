"""The roles of keys, as the database and as the contracts have them; in both a greater one may do more."""

from __future__ import annotations

from collections.abc import Mapping

from api_server.database.schema import KeyRole
from whodex.v1.library_pb2 import ApiKey

ROLES: Mapping[KeyRole, ApiKey.Role.ValueType] = {
    KeyRole.READ: ApiKey.ROLE_READ,
    KeyRole.WRITE: ApiKey.ROLE_WRITE,
    KeyRole.ADMIN: ApiKey.ROLE_ADMIN,
}
