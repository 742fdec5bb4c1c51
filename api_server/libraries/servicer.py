"""LibraryService: converts, calls, converts."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from grpc.aio import ServicerContext

from api_server import audit, names
from api_server.access.authorization import authorized_ids
from api_server.database.engine import Database
from api_server.libraries import api_keys, libraries, retention
from api_server.libraries.conversion import end_of, role_of, to_api_key, to_library
from api_server.limits.limits import Limits
from api_server.paging import cut, page_size, read_place, uuid_place
from whodex.v1 import library_service_pb2 as pb
from whodex.v1.audit_pb2 import (
    AUDIT_ACTION_CREATE_KEY,
    AUDIT_ACTION_CREATE_LIBRARY,
    AUDIT_ACTION_DELETE,
    AUDIT_ACTION_REVOKE_KEY,
    AUDIT_ACTION_UPDATE_LIBRARY,
)
from whodex.v1.library_service_pb2_grpc import LibraryServiceServicer

Context = ServicerContext[Any, Any]


class LibraryServicer(LibraryServiceServicer):
    """Libraries and their keys."""

    def __init__(self, database: Database, default_limits: Limits) -> None:
        self._database = database
        self._default_limits = default_limits

    async def CreateLibrary(self, request: pb.CreateLibraryRequest, context: Context) -> pb.CreateLibraryResponse:
        """Makes a library."""
        async with self._database.transaction() as session:
            row = await libraries.create(session, request)
            created = names.name(names.LIBRARY, row.id)
            await audit.append(session, AUDIT_ACTION_CREATE_LIBRARY, row.id, created)
        return pb.CreateLibraryResponse(library=to_library(row, self._default_limits))

    async def GetLibrary(self, request: pb.GetLibraryRequest, context: Context) -> pb.GetLibraryResponse:
        """Returns a library."""
        (library_id,) = authorized_ids(request.name, names.LIBRARY)
        async with self._database.reads() as session:
            row = await libraries.get(session, library_id)
        return pb.GetLibraryResponse(library=to_library(row, self._default_limits))

    async def UpdateLibrary(self, request: pb.UpdateLibraryRequest, context: Context) -> pb.UpdateLibraryResponse:
        """Changes the fields that the mask names."""
        (library_id,) = authorized_ids(request.library.name, names.LIBRARY)
        async with self._database.transaction() as session:
            await libraries.change(session, request, library_id)
            await audit.append(session, AUDIT_ACTION_UPDATE_LIBRARY, library_id, request.library.name)
            if "retention_policy" in request.update_mask.paths:
                await retention.keep_log(session, library_id, request.library.retention_policy.audit_days)
            row = await libraries.get(session, library_id)
        return pb.UpdateLibraryResponse(library=to_library(row, self._default_limits))

    async def PreviewRetention(
        self, request: pb.PreviewRetentionRequest, context: Context
    ) -> pb.PreviewRetentionResponse:
        """Counts what a policy would delete."""
        (library_id,) = authorized_ids(request.name, names.LIBRARY)
        async with self._database.reads() as session:
            own = to_library(await libraries.get(session, library_id), self._default_limits).retention_policy
            policy = request.retention_policy if request.HasField("retention_policy") else own
            return await retention.preview(session, library_id, policy)

    async def ListLibraries(self, request: pb.ListLibrariesRequest, context: Context) -> pb.ListLibrariesResponse:
        """Lists all libraries."""
        async with self._database.reads() as session:
            rows = await libraries.list_page(session, after=_place(request), limit=page_size(request) + 1)
        page, token = cut(rows, request, lambda row: row.id.bytes)
        shown = [to_library(row, self._default_limits) for row in page]
        return pb.ListLibrariesResponse(libraries=shown, next_page_token=token)

    async def UpdateLibraryLimits(
        self, request: pb.UpdateLibraryLimitsRequest, context: Context
    ) -> pb.UpdateLibraryLimitsResponse:
        """Sets or unsets limits."""
        (library_id,) = authorized_ids(request.name, names.LIBRARY)
        async with self._database.transaction() as session:
            row = await libraries.change_limits(session, library_id, request)
            await audit.append(session, AUDIT_ACTION_UPDATE_LIBRARY, library_id, request.name)
        return pb.UpdateLibraryLimitsResponse(library=to_library(row, self._default_limits))

    async def DeleteLibrary(self, request: pb.DeleteLibraryRequest, context: Context) -> pb.DeleteLibraryResponse:
        """Deletes a library with all that it holds."""
        (library_id,) = authorized_ids(request.name, names.LIBRARY)
        async with self._database.transaction() as session:
            deleted = await libraries.delete_whole(session, library_id, force=request.force)
            await audit.append(session, AUDIT_ACTION_DELETE, library_id, request.name)
        return pb.DeleteLibraryResponse(erasure=deleted.erasure(library_id))

    async def CreateApiKey(self, request: pb.CreateApiKeyRequest, context: Context) -> pb.CreateApiKeyResponse:
        """Makes a key and shows its secret, this once."""
        (library_id,) = authorized_ids(request.parent, names.LIBRARY)
        async with self._database.transaction() as session:
            row, secret = await api_keys.create(
                session, library_id, request.display_name, role_of(request), end_of(request)
            )
            created = names.name(names.API_KEY, library_id, row.id)
            await audit.append(session, AUDIT_ACTION_CREATE_KEY, library_id, created)
        return pb.CreateApiKeyResponse(api_key=to_api_key(row), secret=secret)

    async def ListApiKeys(self, request: pb.ListApiKeysRequest, context: Context) -> pb.ListApiKeysResponse:
        """Lists the keys of a library."""
        (library_id,) = authorized_ids(request.parent, names.LIBRARY)
        async with self._database.reads() as session:
            await libraries.get(session, library_id)
            rows = await api_keys.list_page(session, library_id, after=_place(request), limit=page_size(request) + 1)
        page, token = cut(rows, request, lambda row: row.id.bytes)
        return pb.ListApiKeysResponse(api_keys=map(to_api_key, page), next_page_token=token)

    async def RotateApiKey(self, request: pb.RotateApiKeyRequest, context: Context) -> pb.RotateApiKeyResponse:
        """Makes the successor of a key, which ends after an overlap."""
        library_id, key_id = authorized_ids(request.name, names.API_KEY)
        overlap = request.overlap.ToTimedelta() if request.HasField("overlap") else api_keys.DEFAULT_OVERLAP
        async with self._database.transaction() as session:
            row, secret, rotated = await api_keys.rotate(session, library_id, key_id, overlap, end_of(request))
            created = names.name(names.API_KEY, library_id, row.id)
            await audit.append(session, AUDIT_ACTION_CREATE_KEY, library_id, created)
        return pb.RotateApiKeyResponse(api_key=to_api_key(row), secret=secret, rotated=to_api_key(rotated))

    async def RevokeApiKey(self, request: pb.RevokeApiKeyRequest, context: Context) -> pb.RevokeApiKeyResponse:
        """Revokes a key."""
        library_id, key_id = authorized_ids(request.name, names.API_KEY)
        async with self._database.transaction() as session:
            row = await api_keys.revoke(session, library_id, key_id)
            await audit.append(session, AUDIT_ACTION_REVOKE_KEY, library_id, request.name)
        return pb.RevokeApiKeyResponse(api_key=to_api_key(row))


def _place(request: pb.ListLibrariesRequest | pb.ListApiKeysRequest) -> UUID | None:
    return read_place(request, uuid_place)
