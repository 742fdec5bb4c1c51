"""Who may call what, and that what is another library's looks as if it did not exist."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf.message import Message

from whodex.v1 import (
    content_service_pb2,
    library_service_pb2,
    operations_service_pb2,
    people_service_pb2,
    search_service_pb2,
    video_service_pb2,
)
from whodex.v1.library_service_pb2 import (
    CreateApiKeyRequest,
    GetLibraryRequest,
    ListApiKeysRequest,
    RevokeApiKeyRequest,
)
from whodex.v1.operations_service_pb2_grpc import OperationsServiceStub

NOT_FOUND = ("NOT_FOUND", "RESOURCE_NOT_FOUND")
ADMIN_ONLY = {"CreateLibrary", "ListLibraries", "UpdateLibraryLimits", "ListTasks", "SmokeTest"}
PUBLIC_FILES = (
    library_service_pb2,
    people_service_pb2,
    video_service_pb2,
    search_service_pb2,
    content_service_pb2,
    operations_service_pb2,
)


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


def _requests(library: str, id_: str) -> dict[str, Message | list[Message]]:
    """A valid request of each method that names something, by the method."""
    person, video = f"{library}/people/{id_}", f"{library}/videos/{id_}"
    photo, key, content = f"{person}/photos/{id_}", f"{library}/apiKeys/{id_}", f"{library}/contents/{id_}"
    people, videos, search = people_service_pb2, video_service_pb2, search_service_pb2
    photo_metadata = people.ReferencePhotoMetadata(parent=person)
    return {
        "GetLibrary": GetLibraryRequest(name=library),
        "DeleteLibrary": library_service_pb2.DeleteLibraryRequest(name=library),
        "UpdateLibrary": library_service_pb2.UpdateLibraryRequest(
            library={"name": library, "display_name": "Eve's"}, update_mask={"paths": ["display_name"]}
        ),
        "PreviewRetention": library_service_pb2.PreviewRetentionRequest(name=library),
        "CreateApiKey": CreateApiKeyRequest(parent=library, display_name="Key"),
        "ListApiKeys": ListApiKeysRequest(parent=library),
        "RevokeApiKey": RevokeApiKeyRequest(name=key),
        "RotateApiKey": library_service_pb2.RotateApiKeyRequest(name=key),
        "CreatePerson": people.CreatePersonRequest(parent=library, display_name="Ada"),
        "GetPerson": people.GetPersonRequest(name=person),
        "ListPeople": people.ListPeopleRequest(parent=library),
        "UpdatePerson": people.UpdatePersonRequest(
            person={"name": person, "display_name": "Eve"}, update_mask={"paths": ["display_name"]}
        ),
        "DeletePerson": people.DeletePersonRequest(name=person),
        "UploadReferencePhoto": [people.UploadReferencePhotoRequest(metadata=photo_metadata)],
        "GetReferencePhoto": people.GetReferencePhotoRequest(name=photo),
        "ListReferencePhotos": people.ListReferencePhotosRequest(parent=person),
        "DeleteReferencePhoto": people.DeleteReferencePhotoRequest(name=photo),
        "RetryReferencePhoto": people.RetryReferencePhotoRequest(name=photo),
        "WatchPerson": people.WatchPersonRequest(name=person),
        "UploadVideo": [videos.UploadVideoRequest(metadata=videos.VideoMetadata(parent=library))],
        "GetVideo": videos.GetVideoRequest(name=video),
        "ListVideos": videos.ListVideosRequest(parent=library),
        "DeleteVideo": videos.DeleteVideoRequest(name=video),
        "ListScenes": videos.ListScenesRequest(parent=video),
        "ListAppearances": videos.ListAppearancesRequest(parent=video),
        "WatchVideo": videos.WatchVideoRequest(name=video),
        "SearchScenes": search.SearchScenesRequest(parent=library, all_of=[person]),
        "IdentifyFaces": search.IdentifyFacesRequest(parent=library, image=b"\xff\xd8\xff"),
        "VerifyFaces": search.VerifyFacesRequest(
            parent=library, first_image=b"\xff\xd8\xff", second_image=b"\xff\xd8\xff"
        ),
        "DownloadContent": content_service_pb2.DownloadContentRequest(name=content),
    }


def test_every_public_method_is_tried_with_foreign_names() -> None:
    methods = {
        method.name
        for file in PUBLIC_FILES
        for service in file.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    }
    assert methods == ADMIN_ONLY | _requests("libraries/x", "y").keys()


async def test_what_is_another_librarys_is_not_found(api: Any, connect: Callable[[str, str], Any], rows: Any) -> None:
    other_library, other_key = await api.new_library()
    other = connect(api.address, other_key)
    # An id that exists.
    person = (await other.person(other_library)).name.rpartition("/")[2]
    requests = _requests(other_library, person)
    # The admin alone may delete a library, and to the admin none is foreign.
    del requests["DeleteLibrary"]
    before = await rows.all("SELECT * FROM people ORDER BY id")
    answers = {method: await api.refused(_call(api.caller, method, request)) for method, request in requests.items()}
    assert answers == dict.fromkeys(requests, NOT_FOUND)
    assert await rows.all("SELECT * FROM people ORDER BY id") == before


async def test_what_does_not_exist_is_not_found(api: Any, rows: Any) -> None:
    await rows.space()
    requests = _requests(api.library, api.unknown_id)
    # These name nothing but the library, which exists.
    of_the_library = ["GetLibrary", "CreateApiKey", "ListApiKeys", "CreatePerson", "ListPeople", "ListVideos"]
    for method in [*of_the_library, "DeleteLibrary", "UploadVideo", "IdentifyFaces", "VerifyFaces"]:
        del requests[method]
    answers = {method: await api.refused(_call(api.caller, method, request)) for method, request in requests.items()}
    assert answers == dict.fromkeys(requests, NOT_FOUND)


async def test_a_library_that_does_not_exist_is_not_found(api: Any) -> None:
    requests = _requests(f"libraries/{api.unknown_id}", api.unknown_id)
    methods = ["GetLibrary", "DeleteLibrary", "CreateApiKey", "ListApiKeys", "RevokeApiKey"]
    answers = {method: await api.refused(_call(api.admin, method, requests[method])) for method in methods}
    assert answers == dict.fromkeys(methods, NOT_FOUND)


async def _call(caller: Any, method: str, request: Message | list[Message]) -> Any:
    stubs = (caller.libraries, caller.people, caller.videos, caller.contents, caller.search)
    (call,) = [getattr(stub, method) for stub in stubs if hasattr(stub, method)]
    if isinstance(request, list):
        return await call(iter(request))
    if method.startswith(("Watch", "Download")):
        return [response async for response in call(request)]
    return await call(request)
