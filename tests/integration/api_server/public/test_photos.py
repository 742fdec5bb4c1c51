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
from whodex.v1.person_pb2 import PhotoWarning, ReferencePhoto

BOX = {"left": 1.5, "top": 2, "right": 101, "bottom": 122}


async def _get(api: Any, photo: ReferencePhoto) -> ReferencePhoto:
    return (await api.caller.people.GetReferencePhoto(GetReferencePhotoRequest(name=photo.name))).photo


async def _complete(worker: Any, *results: tasks_pb2.AnalyzeReferencePhotoResult) -> None:
    """Gives the photos that wait these results, the oldest the first."""
    items = sorted(await worker.claim(worker.photos, len(results)), key=lambda item: item.resource_id)
    assert await worker.complete(*zip(items, results, strict=True)) == []


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


async def test_a_photo_of_somebody_else_is_taken_once_it_is_confirmed(
    api: Any, rows: Any, worker: Any, samples: Any
) -> None:
    await rows.space(0.25)
    person = await api.caller.person(api.library)
    first = await api.caller.photo(person.name)
    await _complete(worker, samples.photo_result(1))
    other = await api.caller.photo(person.name)
    await _complete(worker, samples.photo_result(0, 1))
    failed = await _get(api, other)
    assert (failed.state, failed.failure.reason, failed.failure.retryable, failed.same_person_confirmed) == (
        ReferencePhoto.STATE_FAILED,
        failure_pb2.FAILURE_REASON_DIFFERENT_PERSON,
        True,
        False,
    )
    # What was measured can be looked at.
    assert failed.quality == samples.photo_result(1).quality
    # Another attempt alone changes nothing.
    retry = api.caller.people.RetryReferencePhoto
    again = (await retry(RetryReferencePhotoRequest(name=other.name))).photo
    assert (again.state, again.HasField("quality")) == (ReferencePhoto.STATE_UPLOADED, False)
    await _complete(worker, samples.photo_result(0, 1))
    assert (await _get(api, other)).state == ReferencePhoto.STATE_FAILED
    confirmed = (await retry(RetryReferencePhotoRequest(name=other.name, confirm_same_person=True))).photo
    assert confirmed.same_person_confirmed
    # The confirmation outlives an attempt that fails for another reason, and the retry after it.
    await rows.do("UPDATE work_items SET attempts = 4")
    (item,) = await worker.claim(worker.photos)
    await worker.fail(item, failure_pb2.FAILURE_REASON_INTERNAL, retryable=True)
    await retry(RetryReferencePhotoRequest(name=other.name))
    await _complete(worker, samples.photo_result(0, 1))
    ready = await _get(api, other)
    assert (ready.state, ready.same_person_confirmed) == (ReferencePhoto.STATE_READY, True)
    assert (await _get(api, first)).state == ReferencePhoto.STATE_READY


async def test_a_retry_is_taken_once_the_photos_that_it_disagreed_with_are_gone(
    api: Any, rows: Any, worker: Any, samples: Any
) -> None:
    await rows.space(0.25)
    person = await api.caller.person(api.library)
    wrong = await api.caller.photo(person.name)
    await _complete(worker, samples.photo_result(1))
    right = await api.caller.photo(person.name)
    await _complete(worker, samples.photo_result(0, 1))
    await api.caller.people.DeleteReferencePhoto(DeleteReferencePhotoRequest(name=wrong.name))
    await api.caller.people.RetryReferencePhoto(RetryReferencePhotoRequest(name=right.name))
    await _complete(worker, samples.photo_result(0, 1))
    assert (await _get(api, right)).state == ReferencePhoto.STATE_READY


async def test_an_upload_can_confirm_at_once(api: Any, rows: Any, worker: Any, samples: Any) -> None:
    await rows.space(0.25)
    person = await api.caller.person(api.library)
    await api.caller.photo(person.name)
    await _complete(worker, samples.photo_result(1))
    photo = await api.caller.photo(person.name, confirm_same_person=True)
    assert photo.same_person_confirmed
    await _complete(worker, samples.photo_result(0, 1))
    assert (await _get(api, photo)).state == ReferencePhoto.STATE_READY


async def test_a_ready_photo_says_what_could_be_better(api: Any, rows: Any, worker: Any, samples: Any) -> None:
    await rows.space()
    person = await api.caller.person(api.library)
    first, second = [await api.caller.photo(person.name) for _ in range(2)]
    blurred = PhotoWarning(kind=PhotoWarning.KIND_BLURRED, message="Rather blurred: focus.")
    result = samples.photo_result(1)
    result.warnings.append(blurred)
    await _complete(worker, result, samples.photo_result(1))
    assert list((await _get(api, first)).warnings) == [blurred]
    (duplicate,) = (await _get(api, second)).warnings
    assert (duplicate.kind, duplicate.photo) == (PhotoWarning.KIND_NEAR_DUPLICATE, first.name)
    assert "ada.jpg" in duplicate.message
    # It is there, and READY; it only adds nothing.
    shown = (await api.caller.people.GetPerson(GetPersonRequest(name=person.name))).person
    assert (shown.photo_count, shown.ready_photo_count) == (2, 2)
    listed = await api.caller.people.ListReferencePhotos(ListReferencePhotosRequest(parent=person.name))
    assert [list(photo.warnings) for photo in listed.photos] == [[blurred], [duplicate]]
    await api.caller.people.DeleteReferencePhoto(DeleteReferencePhotoRequest(name=first.name))
    assert list((await _get(api, second)).warnings) == []
