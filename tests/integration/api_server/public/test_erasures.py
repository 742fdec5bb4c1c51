"""Erasures over the public API. That they come to their end is tested with the whole stack."""

from __future__ import annotations

import hashlib
from typing import Any

from whodex.v1.erasure_pb2 import Erasure, RemovedCounts
from whodex.v1.erasure_service_pb2 import GetErasureRequest, ListErasuresRequest, ListReceiptKeysRequest
from whodex.v1.library_service_pb2 import DeleteLibraryRequest
from whodex.v1.people_service_pb2 import DeletePersonRequest, DeleteReferencePhotoRequest
from whodex.v1.video_service_pb2 import DeleteVideoRequest


async def _get(caller: Any, name: str) -> Erasure:
    erasure: Erasure = (await caller.erasures.GetErasure(GetErasureRequest(name=name))).erasure
    return erasure


async def test_each_deletion_begins_an_erasure_that_says_what_goes(api: Any) -> None:
    person = await api.caller.person(api.library)
    photos = [await api.caller.photo(person.name, api.jpeg + bytes([number])) for number in range(3)]
    video = await api.caller.video(api.library)
    people, videos = api.caller.people, api.caller.videos

    of_photo = (await people.DeleteReferencePhoto(DeleteReferencePhotoRequest(name=photos[0].name))).erasure
    of_person = (await people.DeletePerson(DeletePersonRequest(name=person.name))).erasure
    of_video = (await videos.DeleteVideo(DeleteVideoRequest(name=video.name))).erasure

    expected = {
        of_photo: (photos[0].name, RemovedCounts(photos=1, blobs=1, work_items=1)),
        of_person: (person.name, RemovedCounts(people=1, photos=2, blobs=2, work_items=2)),
        of_video: (video.name, RemovedCounts(videos=1, blobs=1, work_items=1)),
    }
    for name, (target, removed) in expected.items():
        erasure = await _get(api.caller, name)
        assert (erasure.target, erasure.removed, erasure.state) == (target, removed, Erasure.STATE_RUNNING)
        assert not erasure.HasField("complete_time")
        assert erasure.receipt == ""
    listed, request = [], ListErasuresRequest(parent=api.library, page_size=2)
    while True:
        page = await api.caller.erasures.ListErasures(request)
        listed += [erasure.name for erasure in page.erasures]
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert listed == list(expected)


async def test_the_digest_is_that_of_the_files(api: Any, rows: Any) -> None:
    person = await api.caller.person(api.library)
    files = [api.jpeg + bytes([number]) for number in range(2)]
    for file in files:
        await api.caller.photo(person.name, file)

    await api.caller.people.DeletePerson(DeletePersonRequest(name=person.name))

    digests = sorted(hashlib.sha256(file).digest() for file in files)
    stored = (await rows.one("SELECT content_digest FROM erasures")).content_digest
    assert stored == hashlib.sha256(b"".join(digests)).digest()


async def test_the_admin_sees_the_erasure_of_a_deleted_library_and_another_library_sees_none(
    api: Any, connect: Any
) -> None:
    _, other_key = await api.new_library()
    person = await api.caller.person(api.library)
    await api.caller.photo(person.name)
    name = (await api.admin.libraries.DeleteLibrary(DeleteLibraryRequest(name=api.library, force=True))).erasure

    erasure = await _get(api.admin, name)

    assert erasure.target == api.library
    assert erasure.removed == RemovedCounts(people=1, photos=1, blobs=1, work_items=1, api_keys=1)
    other = connect(api.address, other_key)
    assert await api.refused(_get(other, name)) == ("NOT_FOUND", "RESOURCE_NOT_FOUND")
    listing = other.erasures.ListErasures(ListErasuresRequest(parent=api.library))
    assert await api.refused(listing) == ("NOT_FOUND", "RESOURCE_NOT_FOUND")
    unknown = name.replace(name.rpartition("/")[2], api.unknown_id)
    assert await api.refused(_get(api.admin, unknown)) == ("NOT_FOUND", "RESOURCE_NOT_FOUND")


async def test_no_key_has_signed_before_the_first_erasure_is_complete(api: Any) -> None:
    assert list((await api.caller.erasures.ListReceiptKeys(ListReceiptKeysRequest())).receipt_keys) == []
