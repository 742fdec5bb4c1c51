"""Who may call what. What foreign keys and names are told is in tests/integration/test_tenants.py, for every method."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from whodex.v1 import (
    library_service_pb2,
    operations_service_pb2,
    people_service_pb2,
)
from whodex.v1.library_service_pb2 import (
    CreateApiKeyRequest,
    GetLibraryRequest,
    ListApiKeysRequest,
    RevokeApiKeyRequest,
)
from whodex.v1.operations_service_pb2_grpc import OperationsServiceStub

NOT_FOUND = ("NOT_FOUND", "RESOURCE_NOT_FOUND")


async def test_a_call_needs_a_key(api: Any, connect: Callable[[str, str], Any]) -> None:
    get = GetLibraryRequest(name=api.library)
    without = connect(api.address, "")
    assert await api.refused(without.libraries.GetLibrary(get)) == ("UNAUTHENTICATED", "CREDENTIALS_MISSING")


@pytest.mark.parametrize("key", ["nonsense", "wdx_" + "A" * 43, "the-admin-key-of-the-test"])
async def test_an_unknown_key_opens_nothing(api: Any, connect: Callable[[str, str], Any], key: str) -> None:
    get = GetLibraryRequest(name=api.library)
    stranger = connect(api.address, key)
    assert await api.refused(stranger.libraries.GetLibrary(get)) == ("UNAUTHENTICATED", "CREDENTIALS_INVALID")


async def test_a_revoked_key_opens_nothing_from_then_on(api: Any, connect: Callable[[str, str], Any]) -> None:
    made = await api.caller.libraries.CreateApiKey(CreateApiKeyRequest(parent=api.library, display_name="Lost"))
    finder = connect(api.address, made.secret)
    await finder.libraries.GetLibrary(GetLibraryRequest(name=api.library))
    revoke = RevokeApiKeyRequest(name=made.api_key.name)
    first = (await api.caller.libraries.RevokeApiKey(revoke)).api_key
    call = finder.libraries.GetLibrary(GetLibraryRequest(name=api.library))
    assert await api.refused(call) == ("UNAUTHENTICATED", "CREDENTIALS_INVALID")
    assert (await api.caller.libraries.RevokeApiKey(revoke)).api_key == first
    assert first.HasField("revoke_time")


async def test_a_secret_is_shown_once_and_stored_as_its_hash(api: Any, rows: Any) -> None:
    made = await api.caller.libraries.CreateApiKey(CreateApiKeyRequest(parent=api.library, display_name="Laptop"))
    assert made.secret.startswith(made.api_key.prefix)
    assert len(made.api_key.prefix) == len("wdx_") + 6
    listed = (await api.caller.libraries.ListApiKeys(ListApiKeysRequest(parent=api.library))).api_keys
    assert made.api_key in listed
    stored = await rows.all("SELECT row_to_json(api_keys)::text AS json FROM api_keys")
    assert not any(made.secret in row.json for row in stored)


async def test_a_key_of_a_library_does_not_open_what_is_the_admins(api: Any) -> None:
    operations: Any = OperationsServiceStub(api.caller.channel)
    for call in (
        api.caller.libraries.CreateLibrary(library_service_pb2.CreateLibraryRequest(display_name="Mine")),
        api.caller.libraries.ListLibraries(library_service_pb2.ListLibrariesRequest()),
        api.caller.libraries.DeleteLibrary(library_service_pb2.DeleteLibraryRequest(name=api.library)),
        operations.ListTasks(operations_service_pb2.ListTasksRequest()),
    ):
        assert await api.refused(call) == ("PERMISSION_DENIED", "METHOD_NOT_ALLOWED")


async def test_the_admin_key_opens_no_library(api: Any) -> None:
    call = api.admin.people.ListPeople(people_service_pb2.ListPeopleRequest(parent=api.library))
    assert await api.refused(call) == ("PERMISSION_DENIED", "METHOD_NOT_ALLOWED")


async def test_a_library_that_does_not_exist_is_not_found_by_the_admin(api: Any) -> None:
    library = f"libraries/{api.unknown_id}"
    for call in (
        api.admin.libraries.GetLibrary(GetLibraryRequest(name=library)),
        api.admin.libraries.DeleteLibrary(library_service_pb2.DeleteLibraryRequest(name=library)),
        api.admin.libraries.CreateApiKey(CreateApiKeyRequest(parent=library, display_name="Key")),
        api.admin.libraries.ListApiKeys(ListApiKeysRequest(parent=library)),
        api.admin.libraries.RevokeApiKey(RevokeApiKeyRequest(name=f"{library}/apiKeys/{api.unknown_id}")),
    ):
        assert await api.refused(call) == NOT_FOUND
