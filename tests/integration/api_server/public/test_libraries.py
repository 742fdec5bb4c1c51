"""Libraries: made once per request_id, listed in pages, deleted with all that they hold."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from whodex.v1.library_service_pb2 import (
    CreateLibraryRequest,
    DeleteLibraryRequest,
    GetLibraryRequest,
    ListApiKeysRequest,
    ListLibrariesRequest,
)
from whodex.v1.people_service_pb2 import GetPersonRequest


async def test_the_same_request_id_returns_the_library_made_first(api: Any) -> None:
    request = CreateLibraryRequest(display_name="Films", request_id=str(uuid4()))
    first = (await api.admin.libraries.CreateLibrary(request)).library
    assert (await api.admin.libraries.CreateLibrary(request)).library == first
    assert (await api.admin.libraries.GetLibrary(GetLibraryRequest(name=first.name))).library == first
    other = CreateLibraryRequest(display_name="Photos", request_id=request.request_id)
    assert await api.refused(api.admin.libraries.CreateLibrary(other)) == ("ALREADY_EXISTS", "REQUEST_ID_REUSED")


async def test_libraries_are_listed_oldest_first_in_pages(api: Any) -> None:
    made = [api.library, *[(await api.new_library())[0] for _ in range(4)]]
    listed, request = [], ListLibrariesRequest(page_size=2)
    while True:
        page = await api.admin.libraries.ListLibraries(request)
        assert len(page.libraries) <= 2
        listed += [library.name for library in page.libraries]
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert listed == made


async def test_a_page_token_is_good_for_its_own_request_only(api: Any) -> None:
    await api.new_library()
    page = await api.admin.libraries.ListLibraries(ListLibrariesRequest(page_size=1))
    list_keys, list_libraries = api.admin.libraries.ListApiKeys, api.admin.libraries.ListLibraries
    token = page.next_page_token
    for call in (
        list_keys(ListApiKeysRequest(parent=api.library, page_token=token)),
        *(list_libraries(ListLibrariesRequest(page_token=bad)) for bad in (token[:-2] + "AA", "no token", "é")),
    ):
        assert await api.refused(call) == ("INVALID_ARGUMENT", "PAGE_TOKEN_INVALID")


async def test_a_library_that_holds_something_is_deleted_by_force_only(api: Any, rows: Any) -> None:
    person = await api.caller.person(api.library)
    await api.caller.photo(person.name)
    await api.caller.video(api.library)
    delete = api.admin.libraries.DeleteLibrary
    refused = await api.refused(delete(DeleteLibraryRequest(name=api.library)))
    assert refused == ("FAILED_PRECONDITION", "LIBRARY_NOT_EMPTY")
    await api.caller.people.GetPerson(GetPersonRequest(name=person.name))
    await delete(DeleteLibraryRequest(name=api.library, force=True))
    left = await rows.one(
        "SELECT (SELECT count(*) FROM libraries), (SELECT count(*) FROM api_keys), (SELECT count(*) FROM people),"
        " (SELECT count(*) FROM reference_photos), (SELECT count(*) FROM videos), (SELECT count(*) FROM contents)"
    )
    assert left == (0,) * 6
    # What is left to do is to delete the two blobs.
    assert await rows.all("SELECT task FROM work_items") == [("whodex.delete_blobs",)]
    assert len(api.blobs()) == 2


async def test_deleting_a_library_takes_its_embeddings_out_of_the_feed(
    api: Any, rows: Any, worker: Any, samples: Any
) -> None:
    await rows.space()
    person = await api.caller.person(api.library)
    await api.caller.photo(person.name)
    (item,) = await worker.claim(worker.photos)
    await worker.complete((item, samples.photo_result(1)))
    await api.caller.video(api.library)
    (item,) = await worker.claim(worker.videos)
    await worker.stage(item, samples.video_part(0, [1], [0, 1]))
    await worker.complete((item, samples.video_result(1)))
    await api.admin.libraries.DeleteLibrary(DeleteLibraryRequest(name=api.library, force=True))
    feed = await rows.all("SELECT kind, vector IS NULL AS gone FROM embedding_changes ORDER BY kind")
    assert feed == [("appearances", True), ("appearances", True), ("people", True)]


async def test_an_empty_library_is_deleted(api: Any) -> None:
    await api.admin.libraries.DeleteLibrary(DeleteLibraryRequest(name=api.library))
    call = api.admin.libraries.GetLibrary(GetLibraryRequest(name=api.library))
    assert await api.refused(call) == ("NOT_FOUND", "RESOURCE_NOT_FOUND")
