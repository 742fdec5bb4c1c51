from __future__ import annotations

import asyncio

import numpy as np
import pytest
from sqlalchemy import text

from api_server import work
from api_server.database.schema import EmbeddingVector
from api_server.results.people import recompute_query_embedding
from whodex.v1 import failure_pb2, person_pb2, tasks_pb2


@pytest.fixture
async def person(rows):
    await rows.space()
    return await rows.person(await rows.library())


@pytest.fixture
def upload(rows, person):
    """Uploads a photo of the person."""

    async def upload():
        library = await rows.one("SELECT library_id FROM people")
        return await rows.photo(library.library_id, person)

    return upload


@pytest.fixture
def ready_photo(upload, worker, samples):
    """Uploads a photo and completes its work; returns its id."""

    async def ready_photo(*vector: float):
        photo = await upload()
        (item,) = await worker.claim(worker.photos)
        await worker.complete((item, samples.photo_result(*vector)))
        return photo

    return ready_photo


async def query_embedding(rows):
    row = await rows.one("SELECT query_embedding FROM people")
    return EmbeddingVector().process_result_value(row.query_embedding, None)


async def delete(rows, photo):
    """Deletes a photo as PeopleService does."""
    async with rows.database.transaction() as session:
        await work.cancel(session, [photo])
        query = text("DELETE FROM reference_photos WHERE id = :id RETURNING person_id")
        person = await session.scalar(query, {"id": photo})
        return await recompute_query_embedding(session, person)


async def test_a_ready_photo_holds_what_was_measured(rows, worker, samples, upload):
    photo = await upload()
    (item,) = await worker.claim(worker.photos)

    await worker.complete((item, samples.photo_result(0, 1, weight=0.5)))

    row = await rows.one("SELECT * FROM reference_photos")
    assert (row.state, row.width, row.height, row.weight, row.space) == ("ready", 640, 480, 0.5, samples.space)
    assert row.face_box == [1, 2, 101, 122]
    assert person_pb2.FaceQuality.FromString(row.quality) == samples.photo_result().quality
    assert row.embedding == samples.vector(0, 1).tobytes()
    thumbnail = await rows.one("SELECT * FROM contents WHERE id = :id", id=row.thumbnail_id)
    assert (thumbnail.owner_id, thumbnail.media_type, thumbnail.size_bytes) == (photo, "image/jpeg", 1234)


async def test_the_query_embedding_is_the_weighted_mean(rows, worker, samples, upload):
    for _ in range(2):
        await upload()
    first, second = await worker.claim(worker.photos, 2)

    await worker.complete(
        (first, samples.photo_result(1, weight=1.0)), (second, samples.photo_result(0, 1, weight=0.5))
    )

    np.testing.assert_allclose(await query_embedding(rows), samples.vector(1.0, 0.5), atol=1e-6)


async def test_concurrent_completions_of_one_persons_photos_lose_neither(rows, worker, samples, upload):
    for _ in range(8):
        await upload()
    items = await worker.claim(worker.photos, 8)
    vectors = np.eye(8)

    await asyncio.gather(*(worker.complete((item, samples.photo_result(*vectors[n]))) for n, item in enumerate(items)))

    np.testing.assert_allclose(await query_embedding(rows), samples.vector(*np.ones(8)), atol=1e-6)


async def test_a_completion_and_a_deletion_at_once_leave_what_is_ready(rows, worker, samples, upload, ready_photo):
    first = await ready_photo(1)
    await upload()
    (item,) = await worker.claim(worker.photos)

    await asyncio.gather(delete(rows, first), worker.complete((item, samples.photo_result(0, 1))))

    np.testing.assert_allclose(await query_embedding(rows), samples.vector(0, 1), atol=1e-6)


async def test_without_a_ready_photo_there_is_no_query_embedding(rows, samples, ready_photo):
    photo = await ready_photo(1)
    before = await rows.one("SELECT sequence FROM embedding_changes")

    position = await delete(rows, photo)

    row = await rows.one("SELECT query_embedding, query_space, embedding_sequence FROM people")
    assert (row.query_embedding, row.query_space, row.embedding_sequence) == (None, None, position.sequence)
    change = await rows.one("SELECT sequence, vector, space FROM embedding_changes")
    assert (change.sequence, change.vector, change.space) == (before.sequence + 1, None, samples.space)


async def test_photos_of_an_older_space_do_not_count(rows, samples, ready_photo):
    old = await ready_photo(1)
    await rows.do("UPDATE reference_photos SET space = 'old' WHERE id = :id", id=old)

    await ready_photo(0, 1)

    np.testing.assert_allclose(await query_embedding(rows), samples.vector(0, 1), atol=1e-6)
    assert (await rows.one("SELECT query_space FROM people")).query_space == samples.space


async def test_a_person_who_never_had_an_embedding_gets_no_tombstone(rows, person, database):
    async with database.transaction() as session:
        await recompute_query_embedding(session, person)

    assert await rows.all("SELECT * FROM embedding_changes") == []


async def test_photos_that_cancel_each_other_out_stay_ready(rows, worker, samples, upload):
    for _ in range(2):
        await upload()
    first, second = await worker.claim(worker.photos, 2)

    await worker.complete((first, samples.photo_result(1, weight=0.5)), (second, samples.photo_result(-1, weight=0.5)))

    states = await rows.all("SELECT state FROM reference_photos")
    assert [row.state for row in states] == ["ready", "ready"]
    np.testing.assert_allclose(await query_embedding(rows), samples.vector(1), atol=1e-6)


async def test_a_photo_that_is_ready_cannot_be_failed_by_work_that_is_late(rows, worker, ready_photo):
    photo = await ready_photo(1)
    await rows.work_on(photo, tasks_pb2.AnalyzeReferencePhotoPayload())
    (late,) = await worker.claim(worker.photos)

    await worker.fail(late, failure_pb2.FAILURE_REASON_NO_FACE, retryable=False)

    row = await rows.one("SELECT state, failure_reason FROM reference_photos")
    assert (row.state, row.failure_reason) == ("ready", None)


async def test_a_photo_that_was_deleted_meanwhile_leaves_nothing(rows, worker, samples, upload):
    await upload()
    (item,) = await worker.claim(worker.photos)
    await rows.do("DELETE FROM reference_photos")

    assert await worker.complete((item, samples.photo_result())) == []

    assert await rows.all("SELECT * FROM contents WHERE key LIKE 'work/%'") == []
    assert await rows.all("SELECT * FROM embedding_changes") == []
