"""Which credential opens what."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import SecretStr
from sqlalchemy import bindparam, select

from api_server.access.caller import Caller
from api_server.access.keys import PREFIX, secret_digest
from api_server.database.engine import Database
from api_server.database.schema import ApiKey
from whodex.errors import PermissionDeniedError
from whodex.runtime.credentials import bearer_token, equal_secrets, invalid_credentials
from whodex.v1 import error_reason_pb2

_ADMIN_ONLY_METHODS = frozenset(
    f"/whodex.v1.LibraryService/{method}" for method in ("CreateLibrary", "ListLibraries", "DeleteLibrary")
)
_OPERATIONS_SERVICE = "/whodex.v1.OperationsService/"
# What the admin may call: these see what belongs to a library, never what is in it.
_ADMIN_SERVICES = ("/whodex.v1.LibraryService/", "/whodex.v1.ErasureService/", _OPERATIONS_SERVICE)
# Built once: this runs before every call.
_LIBRARY_OF_KEY = select(ApiKey.library_id).where(
    ApiKey.secret_sha256 == bindparam("digest"), ApiKey.revoke_time.is_(None)
)


class Authenticator:
    """Checks the credential of each call. Nothing is cached: a revoked key lets no further call in, on any instance."""

    def __init__(self, database: Database, admin_key: SecretStr) -> None:
        self._database = database
        self._admin_key = admin_key

    async def __call__(self, method: str, metadata: Mapping[str, str | bytes]) -> Caller:
        """Returns the caller.

        Raises:
            UnauthenticatedError: CREDENTIALS_MISSING or CREDENTIALS_INVALID.
            PermissionDeniedError: METHOD_NOT_ALLOWED, the credential is not for this method.
        """
        caller = await self._identify(bearer_token(metadata))
        if not _allowed(caller, method):
            raise PermissionDeniedError(_advice(caller), reason=error_reason_pb2.ERROR_REASON_METHOD_NOT_ALLOWED)
        return caller

    async def _identify(self, token: str) -> Caller:
        if equal_secrets(token, self._admin_key):
            return Caller(library_id=None)
        if not token.startswith(PREFIX):
            raise invalid_credentials()
        key = await self._database.fetch_one(_LIBRARY_OF_KEY, {"digest": secret_digest(token)})
        if key is None:
            raise invalid_credentials()
        return Caller(key.library_id)


def _allowed(caller: Caller, method: str) -> bool:
    if caller.library_id is None:
        return method.startswith(_ADMIN_SERVICES)
    return method not in _ADMIN_ONLY_METHODS and not method.startswith(_OPERATIONS_SERVICE)


def _advice(caller: Caller) -> str:
    if caller.library_id is None:
        return "The admin key opens no library: make an API key for it with CreateApiKey and use that."
    return "This method needs the admin key; an API key opens one library only."
