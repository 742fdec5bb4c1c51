"""Which credential opens what, and when it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from pydantic import SecretStr
from sqlalchemy import and_, bindparam, func, or_, select, text

from api_server.access.caller import ADMIN, Caller
from api_server.access.keys import PREFIX, secret_digest
from api_server.access.roles import ROLES
from api_server.database.engine import Database
from api_server.database.notifications import Channel, NotificationHub
from api_server.database.rows import AnyRow
from api_server.database.schema import ApiKey, KeyRole, Library
from api_server.limits.limits import Limits
from whodex.errors import PermissionDeniedError, TransientError, WhodexError
from whodex.runtime.access import method_access
from whodex.runtime.credentials import bearer_token, invalid_credentials, is_live_secret
from whodex.v1 import error_reason_pb2
from whodex.v1 import library_pb2 as pb
from whodex.v1.access_options_pb2 import MethodAccess

# A revocation between a call's authentication and its watch is noticed after this long; a stream that is over by then,
# as most uploads of photos are, costs no query.
_FIRST_LOOK_SECONDS = 1.0
# Of a watch while the database is away.
_RETRY_SECONDS = 1.0

IS_ACTIVE = and_(ApiKey.revoke_time.is_(None), or_(ApiKey.expire_time.is_(None), ApiKey.expire_time > func.now()))
_LAST_USE_IS_OLD = "(last_use_time IS NULL OR last_use_time < now() - interval '1 minute')"
# Built once: this runs before every call.
_BY_SECRET = (
    select(
        ApiKey.id,
        ApiKey.library_id,
        ApiKey.role,
        text(f"{_LAST_USE_IS_OLD} AS last_use_is_old"),
        Library.limit_overrides,
    )
    .join(Library, Library.id == ApiKey.library_id)
    .where(ApiKey.secret_sha256 == bindparam("digest"), IS_ACTIVE)
)
_TIME_LEFT = select((ApiKey.expire_time - func.now()).label("time_left")).where(ApiKey.id == bindparam("id"), IS_ACTIVE)
# Calls at the same time, and the deletion of the library, are not waited for.
_USED = text(f"""
UPDATE api_keys SET last_use_time = now()
WHERE id = (SELECT id FROM api_keys WHERE id = :id AND {_LAST_USE_IS_OLD} FOR UPDATE SKIP LOCKED)
""")  # noqa: S608 - made of constants


class Authenticator:
    """Checks the credential of each call. Nothing is cached: a revoked key lets no further call in, on any instance."""

    def __init__(self, database: Database, hub: NotificationHub, admin_key: SecretStr, default_limits: Limits) -> None:
        self._database = database
        self._hub = hub
        self._admin_key = admin_key
        self._default_limits = default_limits

    async def __call__(self, method: str, metadata: Mapping[str, str | bytes]) -> Caller:
        """Returns the caller.

        Raises:
            UnauthenticatedError: CREDENTIALS_MISSING or CREDENTIALS_INVALID.
            PermissionDeniedError: METHOD_NOT_ALLOWED, the credential is not for this method.
        """
        token, access = bearer_token(metadata), method_access(method)
        if is_live_secret(token, self._admin_key):
            if not access.admin_key:
                raise _not_allowed("The admin key opens no library: make a key for it with CreateApiKey and use that.")
            return ADMIN
        key = await self._find(token)
        _check_role(key.role, access)
        return Caller(key.library_id, key.id, self._default_limits.with_overrides(key.limit_overrides))

    async def credential_end(self, caller: Caller) -> WhodexError:
        """Returns once the caller's key has expired, was revoked or is gone; the admin key lasts as long as we do."""
        if caller.key_id is None:
            await asyncio.get_running_loop().create_future()
        seconds: float | None = _FIRST_LOOK_SECONDS
        with self._hub.subscribe(Channel.RESOURCES, str(caller.key_id)) as changes:
            while True:
                try:
                    await changes.changed(seconds)
                    key = await self._database.fetch_one(_TIME_LEFT, {"id": caller.key_id})
                except TransientError:
                    # The database is away, or this server is being stopped: neither says anything about the key.
                    await asyncio.sleep(_RETRY_SECONDS)
                    continue
                if key is None:
                    return invalid_credentials()
                seconds = None if key.time_left is None else key.time_left.total_seconds()

    async def _find(self, token: str) -> AnyRow:
        if not token.startswith(PREFIX):
            raise invalid_credentials()
        key = await self._database.fetch_one(_BY_SECRET, {"digest": secret_digest(token)})
        if key is None:
            raise invalid_credentials()
        if key.last_use_is_old:
            async with self._database.transaction() as session:
                await session.execute(_USED, {"id": key.id})
        return key


def _check_role(role: KeyRole, access: MethodAccess) -> None:
    if access.role == pb.ApiKey.ROLE_UNSPECIFIED:
        raise _not_allowed("This method needs the admin key; an API key opens one library only.")
    if ROLES[role] < access.role:
        raise _not_allowed(
            f"This key's role is {role.name}, and the method needs {_name(access.role)}: use a key with that role."
        )


def _name(role: pb.ApiKey.Role.ValueType) -> str:
    return pb.ApiKey.Role.Name(role).removeprefix("ROLE_")


def _not_allowed(message: str) -> PermissionDeniedError:
    return PermissionDeniedError(message, reason=error_reason_pb2.ERROR_REASON_METHOD_NOT_ALLOWED)
