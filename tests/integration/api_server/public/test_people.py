"""People: their fields, their derived state, their query embedding."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import grpc.aio
import pytest

from whodex.v1 import failure_pb2
from whodex.v1.people_service_pb2 import (
    CreatePersonRequest,
    DeletePersonRequest,
    DeleteReferencePhotoRequest,
    GetPersonRequest,
    ListPeopleRequest,
    UpdatePersonRequest,
    WatchPersonRequest,
)
from whodex.v1.person_pb2 import Person

NOT_FOUND = ("NOT_FOUND", "RESOURCE_NOT_FOUND")


async def _get(api: Any, person: Person) -> Person:
    return (await api.caller.people.GetPerson(GetPersonRequest(name=person.name))).person


async def test_the_same_request_id_returns_the_person_made_first_even_after_a_change_of_name(api: Any) -> None:
    create, update = api.caller.people.CreatePerson, api.caller.people.UpdatePerson
    request = CreatePersonRequest(parent=api.library, display_name="Ada", request_id=str(uuid4()))
    first = (await create(request)).person
    await update(
        UpdatePersonRequest(
            person={"name": first.name, "display_name": "Ada Lovelace"}, update_mask={"paths": ["display_name"]}
        )
    )
    assert (await create(request)).person.name == first.name
    other = CreatePersonRequest(parent=api.library, display_name="Eve", request_id=request.request_id)
    assert await api.refused(create(other)) == ("ALREADY_EXISTS", "REQUEST_ID_REUSED")


async def test_people_who_share_a_name_are_different_people(api: Any) -> None:
    first, second = await api.caller.person(api.library, "Ada"), await api.caller.person(api.library, "Ada")
    await api.caller.person(api.library, "ada")
    assert first.name != second.name
    listed = await api.caller.people.ListPeople(ListPeopleRequest(parent=api.library, display_name="Ada"))
    assert list(listed.people) == [first, second]


async def test_people_are_listed_oldest_first_in_pages(api: Any) -> None:
    made = [(await api.caller.person(api.library, name)).name for name in "ABCDE"]
    listed, token = [], ""
    for size in (2, 1, 2):
        # The page size may change from page to page.
        request = ListPeopleRequest(parent=api.library, page_size=size, page_token=token)
        page = await api.caller.people.ListPeople(request)
        listed += [person.name for person in page.people]
        token = page.next_page_token
    assert (listed, token) == (made, "")


async def test_an_update_changes_what_its_mask_names_and_nothing_else(api: Any) -> None:
    request = CreatePersonRequest(parent=api.library, display_name="Ada", description="Countess")
    made = (await api.caller.people.CreatePerson(request)).person
    values = {"name": made.name, "display_name": "Ada Lovelace", "description": "ignored"}
    update = UpdatePersonRequest(person=values, update_mask={"paths": ["display_name"]})
    changed = (await api.caller.people.UpdatePerson(update)).person
    assert (changed.display_name, changed.description) == ("Ada Lovelace", "Countess")
    assert changed.update_time.ToDatetime() > made.update_time.ToDatetime()
    assert await _get(api, made) == changed


@pytest.mark.parametrize(
    ("values", "paths"),
    [
        ({"display_name": ""}, ["display_name"]),
        ({"display_name": "x" * 201}, ["display_name"]),
        ({"description": "x" * 2001}, ["description"]),
        ({"display_name": "Eve"}, []),
        ({"display_name": "Eve"}, ["state"]),
        ({"display_name": "Eve", "name": "people/1"}, ["display_name"]),
    ],
)
async def test_an_update_keeps_to_the_limits_of_a_creation(api: Any, values: dict[str, str], paths: list[str]) -> None:
    made = await api.caller.person(api.library)
    update = UpdatePersonRequest(person={"name": made.name} | values, update_mask={"paths": paths})
    assert await api.refused(api.caller.people.UpdatePerson(update)) == ("INVALID_ARGUMENT", "INVALID_FIELD")
    assert await _get(api, made) == made


async def test_the_state_follows_from_the_photos(api: Any, rows: Any, worker: Any, samples: Any) -> None:
    await rows.space()
    person = await api.caller.person(api.library)
    assert person.state == Person.STATE_NEEDS_PHOTOS
    await api.caller.photo(person.name)
    assert (await _get(api, person)).state == Person.STATE_PROCESSING
    (item,) = await worker.claim(worker.photos)
    await worker.fail(item, failure_pb2.FAILURE_REASON_NO_FACE, retryable=False)
    failed = await _get(api, person)
    assert (failed.state, failed.photo_count, failed.ready_photo_count) == (Person.STATE_NEEDS_PHOTOS, 1, 0)
    photo = await api.caller.photo(person.name)
    (item,) = await worker.claim(worker.photos)
    await worker.complete((item, samples.photo_result(1)))
    ready = await _get(api, person)
    assert (ready.state, ready.photo_count, ready.ready_photo_count) == (Person.STATE_READY, 2, 1)
    # A further photo on its way does not make a person any less searchable.
    await api.caller.photo(person.name)
    assert (await _get(api, person)).state == Person.STATE_READY
    await api.caller.people.DeleteReferencePhoto(DeleteReferencePhotoRequest(name=photo.name))
    assert (await _get(api, person)).state == Person.STATE_PROCESSING


async def test_a_watch_shows_each_change_and_ends_with_the_person(
    api: Any, rows: Any, worker: Any, samples: Any
) -> None:
    await rows.space()
    person = await api.caller.person(api.library)
    watch = api.caller.people.WatchPerson(WatchPersonRequest(name=person.name))
    states = aiter(watch)
    assert not (await anext(states)).photos
    await api.caller.photo(person.name)
    shown = await anext(states)
    assert [photo.state for photo in shown.photos] == [shown.photos[0].STATE_UPLOADED]
    (item,) = await worker.claim(worker.photos)
    assert (await anext(states)).photos[0].state == shown.photos[0].STATE_PROCESSING
    await worker.complete((item, samples.photo_result(1)))
    ready = await anext(states)
    assert (ready.person.state, ready.photos[0].state) == (Person.STATE_READY, shown.photos[0].STATE_READY)
    await api.caller.people.DeletePerson(DeletePersonRequest(name=person.name))
    assert await api.refused(anext(states)) == NOT_FOUND


async def test_nobody_waits_for_a_client_that_hung_up(api: Any, server_parts: Any) -> None:
    person = await api.caller.person(api.library)
    watch = api.caller.people.WatchPerson(WatchPersonRequest(name=person.name))
    await anext(aiter(watch))
    assert server_parts.hub._subscriptions
    watch.cancel()
    async with asyncio.timeout(5):
        while server_parts.hub._subscriptions:
            await asyncio.sleep(0.01)


async def test_a_watch_ends_when_the_server_stops(api: Any, server_parts: Any) -> None:
    person = await api.caller.person(api.library)
    states = aiter(api.caller.people.WatchPerson(WatchPersonRequest(name=person.name)))
    await anext(states)
    server_parts.hub.stop()
    assert await api.refused(anext(states)) == ("UNAVAILABLE", "SERVER_STOPPING")


async def test_a_deleted_person_is_gone_from_rows_feed_and_queue(
    api: Any, rows: Any, worker: Any, samples: Any
) -> None:
    await rows.space()
    person = await api.caller.person(api.library)
    await api.caller.photo(person.name)
    (item,) = await worker.claim(worker.photos)
    await worker.complete((item, samples.photo_result(1)))
    await api.caller.photo(person.name)
    (pending,) = await worker.claim(worker.photos)
    request = DeletePersonRequest(name=person.name)
    token = (await api.caller.people.DeletePerson(request)).consistency_token
    assert token
    assert token != (await api.caller.person(api.library)).consistency_token
    counts = await rows.one(
        "SELECT (SELECT count(*) FROM reference_photos), (SELECT count(*) FROM contents),"
        " (SELECT count(*) FROM embedding_changes WHERE vector IS NULL)"
    )
    assert counts == (0, 0, 1)
    assert await rows.all("SELECT task FROM work_items") == [("whodex.delete_blobs",)]
    # Who still works on the other photo has lost the lease.
    assert await worker.complete((pending, samples.photo_result(1))) == [pending.lease]
    assert await api.refused(api.caller.people.DeletePerson(request)) == NOT_FOUND


async def test_deletions_and_results_that_meet_never_fail_each_other(
    api: Any, rows: Any, worker: Any, samples: Any
) -> None:
    await rows.space()
    for _ in range(5):
        person = await api.caller.person(api.library)
        photos = [await api.caller.photo(person.name) for _ in range(4)]
        items = await worker.claim(worker.photos, 4)
        delete_photo, delete_person = api.caller.people.DeleteReferencePhoto, api.caller.people.DeletePerson
        answers = await asyncio.gather(
            *(worker.complete((item, samples.photo_result(1))) for item in items),
            *(delete_photo(DeleteReferencePhotoRequest(name=photo.name)) for photo in photos),
            delete_person(DeletePersonRequest(name=person.name)),
            return_exceptions=True,
        )
        errors = [answer for answer in answers if isinstance(answer, BaseException)]
        # Who comes after the person's end finds nothing; everybody else succeeds.
        assert {error.code().name for error in errors if isinstance(error, grpc.aio.AioRpcError)} <= {"NOT_FOUND"}
        assert all(isinstance(error, grpc.aio.AioRpcError) for error in errors), errors
    left = await rows.one(
        "SELECT (SELECT count(*) FROM reference_photos), (SELECT count(*) FROM contents),"
        " (SELECT count(*) FROM embedding_changes WHERE vector IS NOT NULL)"
    )
    assert left == (0, 0, 0)
