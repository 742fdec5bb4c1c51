"""Reference photos: stored with their work in one go, shown as they are, tried again, deleted without a trace."""

from __future__ import annotations

from typing import Any

import numpy as np

from whodex.v1 import failure_pb2, tasks_pb2
from whodex.v1.people_service_pb2 import (
    DeleteReferencePhotoRequest,
    GetPersonRequest,
    GetReferencePhotoRequest,
    ListReferencePhotosRequest,
    RetryReferencePhotoRequest,
)
from whodex.v1.person_pb2 import ReferencePhoto

BOX = {"left": 1.5, "top": 2, "right": 101, "bottom": 122}


async def _get(api: Any, photo: ReferencePhoto) -> ReferencePhoto:
    return (await api.caller.people.GetReferencePhoto(GetReferencePhotoRequest(name=photo.name))).photo


async def test_an_upload_makes_photo_work_and_doorbell_at_once(api: Any, rows: Any) -> None:
    person = await api.caller.person(api.library)
    photo = await api.caller.photo(person.name, face_box=BOX)
    assert photo.state == ReferencePhoto.STATE_UPLOADED
    assert photo.name.startswith(f"{person.name}/photos/")
    assert await _get(api, photo) == photo
    work = await rows.one("SELECT task, payload, resource_id::text AS resource_id, correlation_id FROM work_items")
    assert await rows.all("SELECT task FROM outbox") == [(work.task,)]
    assert photo.name.endswith(work.resource_id)
    payload = tasks_pb2.AnalyzeReferencePhotoPayload.FromString(work.payload)
    (blob,) = api.blobs()
    expected = tasks_pb2.AnalyzeReferencePhotoPayload(
        photo=photo.name, content_key=str(blob.relative_to(api.store)), face_box=BOX
    )
    assert payload == expected


async def test_a_ready_photo_shows_what_was_measured(api: Any, rows: Any, worker: Any, samples: Any) -> None:
    await rows.space()
    photo = await api.caller.photo((await api.caller.person(api.library)).name)
    (item,) = await worker.claim(worker.photos)
    await worker.complete((item, samples.photo_result(1)))
    ready, result = await _get(api, photo), samples.photo_result(1)
    assert (ready.state, ready.width, ready.height) == (ReferencePhoto.STATE_READY, 640, 480)
    assert (ready.face_box, ready.quality) == (result.face_box, result.quality)
    assert (ready.thumbnail.media_type, ready.thumbnail.size_bytes) == ("image/jpeg", 1234)
    assert not ready.HasField("failure")


async def test_photos_are_listed_oldest_first_in_pages(api: Any) -> None:
    person = await api.caller.person(api.library)
    made = [(await api.caller.photo(person.name)).name for _ in range(3)]
    request = ListReferencePhotosRequest(parent=person.name, page_size=2)
    first = await api.caller.people.ListReferencePhotos(request)
    request.page_token = first.next_page_token
    second = await api.caller.people.ListReferencePhotos(request)
    assert [photo.name for photo in [*first.photos, *second.photos]] == made
    assert (len(first.photos), second.next_page_token) == (2, "")


async def test_a_failed_photo_says_why_and_can_be_tried_again_if_that_can_help(
    api: Any, rows: Any, worker: Any, samples: Any
) -> None:
    await rows.space()
    retry = api.caller.people.RetryReferencePhoto
    photo = await api.caller.photo((await api.caller.person(api.library)).name, face_box=BOX)
    request = RetryReferencePhotoRequest(name=photo.name)
    not_retryable = ("FAILED_PRECONDITION", "NOT_RETRYABLE")
    assert await api.refused(retry(request)) == not_retryable
    # Refused, it is still to be worked on.
    for _ in range(5):
        await rows.do("UPDATE work_items SET next_run_time = now()")
        (item,) = await worker.claim(worker.photos)
        await worker.fail(item, failure_pb2.FAILURE_REASON_INTERNAL, retryable=True)
    failed = await _get(api, photo)
    assert failed.state == ReferencePhoto.STATE_FAILED
    assert (failed.failure.reason, failed.failure.retryable, failed.failure.attempts) == (
        failure_pb2.FAILURE_REASON_INTERNAL,
        True,
        5,
    )
    again = (await retry(request)).photo
    assert (again.state, again.HasField("failure")) == (ReferencePhoto.STATE_UPLOADED, False)
    (item,) = await worker.claim(worker.photos)
    # Counted from zero.
    assert item.attempts == 0
    await worker.complete((item, samples.photo_result(1)))
    assert (await _get(api, photo)).state == ReferencePhoto.STATE_READY
    assert await api.refused(retry(request)) == not_retryable


async def test_a_photo_that_no_retry_can_help_is_not_tried_again(api: Any, rows: Any, worker: Any) -> None:
    await rows.space()
    photo = await api.caller.photo((await api.caller.person(api.library)).name)
    (item,) = await worker.claim(worker.photos)
    await worker.fail(item, failure_pb2.FAILURE_REASON_SEVERAL_FACES, retryable=False)
    call = api.caller.people.RetryReferencePhoto(RetryReferencePhotoRequest(name=photo.name))
    assert await api.refused(call) == ("FAILED_PRECONDITION", "NOT_RETRYABLE")


async def test_a_deleted_photo_is_taken_out_of_the_query_embedding(
    api: Any, rows: Any, worker: Any, samples: Any
) -> None:
    await rows.space()
    person = await api.caller.person(api.library)
    photos = [await api.caller.photo(person.name) for _ in range(2)]
    items = await worker.claim(worker.photos, 2)
    await worker.complete(*zip(items, [samples.photo_result(1), samples.photo_result(0, 1)], strict=True))
    delete = api.caller.people.DeleteReferencePhoto
    first_token = (await delete(DeleteReferencePhotoRequest(name=photos[0].name))).consistency_token
    embedding = await rows.one("SELECT query_embedding FROM people")
    assert np.allclose(np.frombuffer(embedding[0], "<f4"), samples.vector(0, 1))
    # The person as it is now is what the token stands for.
    shown = (await api.caller.people.GetPerson(GetPersonRequest(name=person.name))).person
    assert shown.consistency_token == first_token
    await delete(DeleteReferencePhotoRequest(name=photos[1].name))
    assert await rows.one("SELECT query_embedding, query_space FROM people") == (None, None)
    assert await rows.one("SELECT vector FROM embedding_changes") == (None,)
    payloads = await rows.all("SELECT payload FROM work_items WHERE task = 'whodex.delete_blobs'")
    keys = [key for row in payloads for key in tasks_pb2.DeleteBlobsPayload.FromString(row.payload).content_keys]
    # Each original and each thumbnail.
    assert len(set(keys)) == 4
    assert await rows.one("SELECT count(*) FROM contents") == (0,)


async def test_deleting_a_photo_calls_its_work_off(api: Any, rows: Any, worker: Any, samples: Any) -> None:
    await rows.space()
    person = await api.caller.person(api.library)
    photo = await api.caller.photo(person.name)
    (item,) = await worker.claim(worker.photos)
    await api.caller.people.DeleteReferencePhoto(DeleteReferencePhotoRequest(name=photo.name))
    assert await worker.complete((item, samples.photo_result(1))) == [item.lease]
    shown = (await api.caller.people.GetPerson(GetPersonRequest(name=person.name))).person
    assert (shown.state, shown.photo_count) == (shown.STATE_NEEDS_PHOTOS, 0)
