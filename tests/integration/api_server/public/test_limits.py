"""The limits of a library over the real database: exact where they count what is there, and visible to who asks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any
from uuid import UUID

import grpc
import pytest
from sqlalchemy import create_engine, text

from api_server.database.counts import recount
from api_server.server import Resources
from whodex.errors import QuotaViolation, from_rpc_error
from whodex.v1.library_pb2 import Library, LibraryLimits
from whodex.v1.library_service_pb2 import DeleteLibraryRequest, GetLibraryRequest, UpdateLibraryLimitsRequest
from whodex.v1.people_service_pb2 import (
    CreatePersonRequest,
    DeletePersonRequest,
    DeleteReferencePhotoRequest,
    ListPeopleRequest,
    UploadReferencePhotoRequest,
    WatchPersonRequest,
)
from whodex.v1.upload_service_pb2 import CancelUploadRequest
from whodex.v1.video_service_pb2 import DeleteVideoRequest, UploadVideoRequest

Miscounted = Callable[[], Sequence[UUID]]


async def _library(api: Any) -> Library:
    response = await api.caller.libraries.GetLibrary(GetLibraryRequest(name=api.library))
    found: Library = response.library
    return found


async def _limit(api: Any, **limits: Any) -> Library:
    request = UpdateLibraryLimitsRequest(
        name=api.library, limits=LibraryLimits(**limits), update_mask={"paths": list(limits)}
    )
    changed: Library = (await api.admin.libraries.UpdateLibraryLimits(request)).library
    return changed


@pytest.fixture
def miscounted(database_url: str) -> Iterator[Miscounted]:
    """Counts anew; returns the libraries whose counts were wrong."""
    engine = create_engine(database_url, connect_args={"options": "-c whodex.system=on"})

    def run() -> Sequence[UUID]:
        with engine.begin() as connection:
            return recount(connection)

    yield run
    engine.dispose()


def _reason(outcome: Any) -> str:
    assert isinstance(outcome, grpc.aio.AioRpcError), outcome
    return from_rpc_error(outcome).reason_name


async def test_a_library_shows_what_it_holds_and_what_it_may(api: Any) -> None:
    empty = await _library(api)
    assert (empty.usage.stored_bytes, empty.usage.people) == (0, 0)
    assert (empty.limits.stored_bytes, empty.limits.people) == (1 << 40, 100_000)

    person = await api.caller.person(api.library)
    await api.caller.photo(person.name)
    await api.caller.video(api.library)

    held = (await _library(api)).usage
    assert (held.stored_bytes, held.people) == (len(api.jpeg) + len(api.mp4), 1)


async def test_what_is_deleted_no_longer_counts(api: Any, miscounted: Miscounted) -> None:
    person = await api.caller.person(api.library)
    photo = await api.caller.photo(person.name)
    await api.caller.photo(person.name, api.jpeg + b"another")
    video = await api.caller.video(api.library)

    await api.caller.people.DeleteReferencePhoto(DeleteReferencePhotoRequest(name=photo.name))
    await api.caller.videos.DeleteVideo(DeleteVideoRequest(name=video.name))
    assert (await _library(api)).usage.stored_bytes == len(api.jpeg) + len(b"another")
    await api.caller.people.DeletePerson(DeletePersonRequest(name=person.name))

    held = (await _library(api)).usage
    assert (held.stored_bytes, held.people) == (0, 0)
    assert miscounted() == []


async def test_a_library_is_deleted_with_its_counts(api: Any, miscounted: Miscounted) -> None:
    await api.caller.photo((await api.caller.person(api.library)).name)
    await api.admin.libraries.DeleteLibrary(DeleteLibraryRequest(name=api.library, force=True))
    assert miscounted() == []


async def test_no_more_people_than_may_be_however_many_come_at_once(api: Any, miscounted: Miscounted) -> None:
    await _limit(api, people=5)

    outcomes = await asyncio.gather(
        *(api.caller.person(api.library, f"Person {number}") for number in range(20)), return_exceptions=True
    )

    refused = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    assert len(outcomes) - len(refused) == 5
    assert {_reason(one) for one in refused} == {"PEOPLE_LIMIT_REACHED"}
    assert (await _library(api)).usage.people == 5
    assert miscounted() == []


async def test_no_more_bytes_than_may_be_however_many_uploads_come_at_once(api: Any, miscounted: Miscounted) -> None:
    person = await api.caller.person(api.library)
    await _limit(api, stored_bytes=7 * len(api.jpeg) + 100)

    outcomes = await asyncio.gather(*(api.caller.photo(person.name) for _ in range(20)), return_exceptions=True)

    refused = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    assert len(outcomes) - len(refused) == 7
    assert {_reason(one) for one in refused} == {"STORAGE_LIMIT_REACHED"}
    assert (await _library(api)).usage.stored_bytes == 7 * len(api.jpeg)
    assert len(api.blobs()) == 7
    assert miscounted() == []


async def test_an_upload_that_says_that_it_does_not_fit_is_refused_before_its_bytes(api: Any) -> None:
    person = await api.caller.person(api.library)
    await _limit(api, stored_bytes=1000)
    taken = 0

    async def endless() -> AsyncIterator[UploadReferencePhotoRequest]:
        nonlocal taken
        yield UploadReferencePhotoRequest(metadata={"parent": person.name, "size_bytes": 1001})
        while True:
            taken += 1
            yield UploadReferencePhotoRequest(chunk=api.jpeg * 100)

    refused = await api.refused(api.caller.people.UploadReferencePhoto(endless()))
    assert refused == ("RESOURCE_EXHAUSTED", "STORAGE_LIMIT_REACHED")
    # No more than gRPC has under way.
    assert taken < 100


async def test_an_upload_that_does_not_say_its_size_is_refused_while_it_streams(api: Any) -> None:
    await _limit(api, stored_bytes=10 * len(api.mp4))

    async def endless() -> AsyncIterator[UploadVideoRequest]:
        yield UploadVideoRequest(metadata={"parent": api.library})
        while True:
            yield UploadVideoRequest(chunk=api.mp4)

    refused = await api.refused(api.caller.videos.UploadVideo(endless()))
    assert refused == ("RESOURCE_EXHAUSTED", "STORAGE_LIMIT_REACHED")
    assert api.blobs() == []


async def test_what_was_uploaded_before_can_be_asked_for_again_when_the_library_is_full(api: Any) -> None:
    person = await api.caller.person(api.library)
    request_id = "018f0000-0000-7000-8000-000000000002"
    first = await api.caller.photo(person.name, request_id=request_id, size_bytes=len(api.jpeg))
    await _limit(api, stored_bytes=len(api.jpeg))
    assert await api.caller.photo(person.name, request_id=request_id, size_bytes=len(api.jpeg)) == first


async def test_a_resumable_upload_reserves_its_bytes_and_can_be_finished(api: Any, miscounted: Miscounted) -> None:
    await _limit(api, stored_bytes=len(api.mp4) + 10)
    upload = await api.caller.start_video(api.library, len(api.mp4))
    held = (await _library(api)).usage
    assert (held.stored_bytes, held.reserved_bytes) == (0, len(api.mp4))
    assert (await api.refused(api.caller.video(api.library)))[1] == "STORAGE_LIMIT_REACHED"

    await api.caller.write(upload.name, 0, api.mp4)
    await api.caller.finish(upload.name)

    held = (await _library(api)).usage
    assert (held.stored_bytes, held.reserved_bytes) == (len(api.mp4), 0)
    assert miscounted() == []


async def test_a_resumable_upload_that_is_cancelled_gives_its_room_back(api: Any, miscounted: Miscounted) -> None:
    await _limit(api, stored_bytes=len(api.mp4))
    upload = await api.caller.start_video(api.library, len(api.mp4))
    await api.caller.uploads.CancelUpload(CancelUploadRequest(name=upload.name))
    assert (await _library(api)).usage.reserved_bytes == 0
    await api.caller.video(api.library)
    assert miscounted() == []


async def test_no_more_uploads_are_started_than_there_is_room_for_however_many_come_at_once(
    api: Any, miscounted: Miscounted
) -> None:
    await _limit(api, stored_bytes=7 * 1000 + 999)

    outcomes = await asyncio.gather(
        *(api.caller.start_video(api.library, 1000) for _ in range(20)), return_exceptions=True
    )

    refused = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    assert len(outcomes) - len(refused) == 7
    assert {_reason(one) for one in refused} == {"STORAGE_LIMIT_REACHED"}
    assert miscounted() == []


async def test_starting_the_same_upload_again_takes_no_further_room(api: Any) -> None:
    await _limit(api, stored_bytes=1000)
    request_id = "018f0000-0000-7000-8000-000000000003"
    first = await api.caller.start_video(api.library, 1000, request_id=request_id)
    assert await api.caller.start_video(api.library, 1000, request_id=request_id) == first


async def test_a_refusal_names_the_limit_and_its_value(api: Any) -> None:
    await _limit(api, people=0)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await api.caller.person(api.library)
    error = from_rpc_error(caught.value)
    assert error.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert error.quota == QuotaViolation(api.library, "people", 0)
    assert error.retry_after_seconds is None


async def test_the_person_that_a_request_id_made_before_takes_no_further_place(api: Any) -> None:
    await _limit(api, people=1)
    request = CreatePersonRequest(
        parent=api.library, display_name="Ada", request_id="018f0000-0000-7000-8000-000000000001"
    )
    first = (await api.caller.people.CreatePerson(request)).person
    assert (await api.caller.people.CreatePerson(request)).person == first


async def test_a_limit_is_unset_again(api: Any) -> None:
    assert (await _limit(api, people=3, request_burst=9)).limits.people == 3
    request = UpdateLibraryLimitsRequest(name=api.library, limits={}, update_mask={"paths": ["people"]})
    limits = (await api.admin.libraries.UpdateLibraryLimits(request)).library.limits
    assert (limits.people, limits.request_burst) == (100_000, 9)


async def test_a_key_of_the_library_cannot_raise_its_limits(api: Any) -> None:
    request = UpdateLibraryLimitsRequest(name=api.library, limits={"people": 9}, update_mask={"paths": ["people"]})
    refused = await api.refused(api.caller.libraries.UpdateLibraryLimits(request))
    assert refused == ("PERMISSION_DENIED", "METHOD_NOT_ALLOWED")


async def test_a_limit_that_is_none_is_refused(api: Any) -> None:
    mask = {"paths": ["display_name"]}
    request = UpdateLibraryLimitsRequest(name=api.library, limits={}, update_mask=mask)
    assert (await api.refused(api.admin.libraries.UpdateLibraryLimits(request)))[1] == "INVALID_FIELD"


async def test_a_flood_of_one_library_leaves_the_others_their_answers(
    api: Any, connect: Callable[[str, str], Any]
) -> None:
    """The rate is so low that it lets the burst pass and then next to nothing, however slow the machine."""
    await _limit(api, requests_per_second=0.001, request_burst=10)
    library, key = await api.new_library()
    other = connect(api.address, key)

    flood = [api.caller.people.ListPeople(ListPeopleRequest(parent=api.library)) for _ in range(200)]
    answers = [other.people.ListPeople(ListPeopleRequest(parent=library)) for _ in range(50)]
    refused, answered = await asyncio.gather(
        asyncio.gather(*flood, return_exceptions=True), asyncio.gather(*answers, return_exceptions=True)
    )

    assert [outcome for outcome in answered if isinstance(outcome, BaseException)] == []
    errors = [outcome for outcome in refused if isinstance(outcome, BaseException)]
    assert len(errors) == 190
    assert {_reason(error) for error in errors} == {"TOO_MANY_REQUESTS"}
    delay = from_rpc_error(errors[0]).retry_after_seconds  # type: ignore[arg-type]
    assert delay is not None
    assert delay > 900


async def test_more_watches_than_may_be_open_are_refused_until_one_ends(api: Any) -> None:
    person = await api.caller.person(api.library)
    await _limit(api, concurrent_streams=2)
    watches = [api.caller.people.WatchPerson(WatchPersonRequest(name=person.name)) for _ in range(2)]
    for watch in watches:
        await watch.read()

    third = api.caller.people.WatchPerson(WatchPersonRequest(name=person.name))
    assert await api.refused(third.read()) == ("RESOURCE_EXHAUSTED", "TOO_MANY_STREAMS")

    watches[0].cancel()
    async with asyncio.timeout(10):
        while True:
            again = api.caller.people.WatchPerson(WatchPersonRequest(name=person.name))
            try:
                assert (await again.read()).person.name == person.name
            except grpc.aio.AioRpcError:
                await asyncio.sleep(0.05)
            else:
                break
    # An upload is a stream as well.
    assert (await api.refused(api.caller.photo(person.name)))[1] == "TOO_MANY_STREAMS"


async def test_counts_that_were_wrong_are_put_right(api: Any, miscounted: Miscounted, server_parts: Resources) -> None:
    await api.caller.person(api.library)
    async with server_parts.database.system.transaction() as session:
        await session.execute(text("UPDATE libraries SET people_count = 7"))
    assert [f"libraries/{id_}" for id_ in miscounted()] == [api.library]
    assert (await _library(api)).usage.people == 1
    assert miscounted() == []
