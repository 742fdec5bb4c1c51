from __future__ import annotations

from whodex.client.connection import Connection
from whodex.client.pages import Pages
from whodex.v1.library_pb2 import ApiKey, Library
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
    RevokeApiKeyRequest,
)
from whodex.v1.library_service_pb2_grpc import LibraryServiceStub


class Libraries:
    """Libraries and the keys that open them; to create, list or delete libraries takes the admin key.

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

    def list(self, *, page_size: int = 0) -> Pages[ListLibrariesResponse, Library]:
        """Lists all libraries, oldest first."""

        def fetch(page_token: str) -> ListLibrariesResponse:
            request = ListLibrariesRequest(page_size=page_size, page_token=page_token)
            return self._connection.call(self._stub.ListLibraries, request)

        return Pages(fetch, lambda page: page.libraries)

    def delete(self, name: str, *, force: bool = False) -> DeleteLibraryResponse:
        """Deletes a library; one that still holds people or videos only with `force`."""
        return self._connection.call(self._stub.DeleteLibrary, DeleteLibraryRequest(name=name, force=force))

    def create_key(self, library: str, display_name: str) -> CreateApiKeyResponse:
        """Creates a key; the response holds its secret, which cannot be read again."""
        request = CreateApiKeyRequest(parent=library, display_name=display_name)
        return self._connection.call(self._stub.CreateApiKey, request)

    def list_keys(self, library: str, *, page_size: int = 0) -> Pages[ListApiKeysResponse, ApiKey]:
        """Lists the keys of a library, oldest first, revoked ones included."""

        def fetch(page_token: str) -> ListApiKeysResponse:
            request = ListApiKeysRequest(parent=library, page_size=page_size, page_token=page_token)
            return self._connection.call(self._stub.ListApiKeys, request)

        return Pages(fetch, lambda page: page.api_keys)

    def revoke_key(self, name: str) -> ApiKey:
        """Revokes `libraries/{library}/apiKeys/{key}`: no call that starts afterwards is let in with it."""
        return self._connection.call(self._stub.RevokeApiKey, RevokeApiKeyRequest(name=name)).api_key
