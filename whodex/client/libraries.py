from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp

from whodex.client.connection import Connection
from whodex.client.pages import Pages
from whodex.v1.library_pb2 import ApiKey, Library, LibraryLimits, RetentionPolicy
from whodex.v1.library_service_pb2 import (
    CreateApiKeyRequest,
    CreateApiKeyResponse,
    CreateLibraryRequest,
    DeleteLibraryRequest,
    DeleteLibraryResponse,
    GetLibraryRequest,
    ListApiKeysRequest,
    ListApiKeysResponse,
    ListLibrariesRequest,
    ListLibrariesResponse,
    PreviewRetentionRequest,
    PreviewRetentionResponse,
    RevokeApiKeyRequest,
    RotateApiKeyRequest,
    RotateApiKeyResponse,
    UpdateLibraryLimitsRequest,
    UpdateLibraryRequest,
)
from whodex.v1.library_service_pb2_grpc import LibraryServiceStub


class Libraries:
    """Libraries and the keys that open them; to create, list, limit or delete libraries takes the admin key.

    Every method raises `whodex.errors.WhodexError`.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._stub = LibraryServiceStub(connection.channel)

    def create(self, display_name: str, *, request_id: str = "") -> Library:
        """Creates an empty library without keys.

        Args:
            display_name: 1 to 200 characters.
            request_id: a UUID; calling again with the same one returns the same library.
        """
        request = CreateLibraryRequest(display_name=display_name, request_id=request_id)
        return self._connection.call(self._stub.CreateLibrary, request).library

    def get(self, name: str) -> Library:
        """Returns `libraries/{library}`."""
        return self._connection.call(self._stub.GetLibrary, GetLibraryRequest(name=name)).library

    def update(self, library: Library, fields: Iterable[str]) -> Library:
        """Writes the named fields of `library`: `display_name`, `retention_policy` or both."""
        request = UpdateLibraryRequest(library=library, update_mask=FieldMask(paths=fields))
        return self._connection.call(self._stub.UpdateLibrary, request).library

    def preview_retention(self, name: str, policy: RetentionPolicy | None = None) -> PreviewRetentionResponse:
        """Counts what a policy (None: the library's own) would delete now."""
        request = PreviewRetentionRequest(name=name, retention_policy=policy)
        return self._connection.call(self._stub.PreviewRetention, request)

    def list(self, *, page_size: int = 0) -> Pages[ListLibrariesResponse, Library]:
        """Lists all libraries, oldest first."""

        def fetch(page_token: str) -> ListLibrariesResponse:
            request = ListLibrariesRequest(page_size=page_size, page_token=page_token)
            return self._connection.call(self._stub.ListLibraries, request)

        return Pages(fetch, lambda page: page.libraries)

    def update_limits(self, name: str, limits: LibraryLimits, fields: Iterable[str]) -> Library:
        """Sets the named fields of `limits`; one that is not set in it becomes the deployment's default again.

        Args:
            name: `libraries/{library}`.
            limits: the new values.
            fields: names of fields of LibraryLimits.
        """
        request = UpdateLibraryLimitsRequest(name=name, limits=limits, update_mask=FieldMask(paths=fields))
        return self._connection.call(self._stub.UpdateLibraryLimits, request).library

    def delete(self, name: str, *, force: bool = False) -> DeleteLibraryResponse:
        """Deletes a library; one that still holds people or videos only with `force`."""
        return self._connection.call(self._stub.DeleteLibrary, DeleteLibraryRequest(name=name, force=force))

    def create_key(
        self,
        library: str,
        display_name: str,
        *,
        role: ApiKey.Role.ValueType = ApiKey.ROLE_ADMIN,
        end: datetime | timedelta | None = None,
    ) -> CreateApiKeyResponse:
        """Creates a key; the response holds its secret, which cannot be read again.

        Args:
            library: `libraries/{library}`.
            display_name: 1 to 200 characters.
            role: what it may do: READ looks and searches, WRITE adds and changes, ADMIN deletes and makes keys.
            end: from when on it opens nothing: a moment with its time zone, or the time from now on, 1 minute to 10
                years; None: never.
        """
        request = CreateApiKeyRequest(parent=library, display_name=display_name, role=role, **_expiration(end))
        return self._connection.call(self._stub.CreateApiKey, request)

    def rotate_key(
        self, name: str, *, overlap: timedelta | None = None, end: datetime | timedelta | None = None
    ) -> RotateApiKeyResponse:
        """Replaces a key by a new one of the same name and role; the response holds the new secret.

        Args:
            name: `libraries/{library}/apiKeys/{key}`.
            overlap: how long the old key still opens the library, up to 90 days; None: a day.
            end: of the new key, as in `create_key`.
        """
        request = RotateApiKeyRequest(name=name, **_expiration(end))
        if overlap is not None:
            request.overlap.FromTimedelta(overlap)
        return self._connection.call(self._stub.RotateApiKey, request)

    def list_keys(self, library: str, *, page_size: int = 0) -> Pages[ListApiKeysResponse, ApiKey]:
        """Lists the keys of a library, oldest first, those that have ended included."""

        def fetch(page_token: str) -> ListApiKeysResponse:
            request = ListApiKeysRequest(parent=library, page_size=page_size, page_token=page_token)
            return self._connection.call(self._stub.ListApiKeys, request)

        return Pages(fetch, lambda page: page.api_keys)

    def revoke_key(self, name: str) -> ApiKey:
        """Revokes `libraries/{library}/apiKeys/{key}` at once; the streams that are open with it end."""
        return self._connection.call(self._stub.RevokeApiKey, RevokeApiKeyRequest(name=name)).api_key


def _expiration(end: datetime | timedelta | None) -> dict[str, Any]:
    if end is None:
        return {}
    if isinstance(end, timedelta):
        ttl = Duration()
        ttl.FromTimedelta(end)
        return {"ttl": ttl}
    expire_time = Timestamp()
    expire_time.FromDatetime(end)
    return {"expire_time": expire_time}
