"""A photo that shows somebody else than the person's other photos is not taken for theirs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from api_server.database.schema import EmbeddingVector
from whodex.v1 import failure_pb2, person_pb2

LEAST = 0.25
ADA, ADA_TOO, ADA_AS_WELL, SOMEBODY_ELSE = (1, 0, 0), (0.8, 0.6, 0), (0.8, 0, 0.6), (0, 0, 0, 1)


@pytest.fixture
async def person(rows):
    await rows.space(LEAST)
    return await rows.person(await rows.library())


@pytest.fixture
def enrol(rows, person, worker, samples):
    """Uploads photos with these embeddings and completes their work in one call; returns their ids."""

    async def enrol(*vectors: Sequence[float], **values: Any):
        library = (await rows.one("SELECT library_id FROM people")).library_id
        photos = [await rows.photo(library, person, **values) for _ in vectors]
        items = await worker.claim(worker.photos, len(photos))
        vector_of = dict(zip(photos, vectors, strict=True))
        await worker.complete(*((item, samples.photo_result(*vector_of[item.resource_id])) for item in items))
        return photos

    return enrol


async def states(rows):
    return [row.state for row in await rows.all("SELECT state FROM reference_photos ORDER BY id")]


async def query_embedding(rows):
    row = await rows.one("SELECT query_embedding FROM people")
    return EmbeddingVector().process_result_value(row.query_embedding, None)


async def test_a_photo_of_somebody_else_fails_with_both_numbers_and_can_be_retried(rows, samples, enrol):
    await enrol(ADA)
    before = await query_embedding(rows)

    (photo,) = await enrol(SOMEBODY_ELSE)

    row = await rows.one("SELECT * FROM reference_photos WHERE id = :id", id=photo)
    assert (row.state, row.failure_reason, row.failure_retryable, row.failure_attempts) == (
        "failed",
        failure_pb2.FAILURE_REASON_DIFFERENT_PERSON,
        True,
        1,
    )
    assert "is 0.000, at least 0.250 is needed" in row.failure_message
    # Which face was meant can be seen; the picture of it is garbage.
    assert row.face_box == [1, 2, 101, 122]
    assert person_pb2.FaceQuality.FromString(row.quality) == samples.photo_result().quality
    assert row.thumbnail_id is None
    assert len(await rows.all("SELECT * FROM contents WHERE media_type = 'image/jpeg' AND key LIKE '%face.jpg'")) == 1
    np.testing.assert_array_equal(await query_embedding(rows), before)
    assert await rows.all("SELECT * FROM work_items") == []


async def test_a_rejected_photo_changes_nothing_in_the_feed(rows, enrol):
    await enrol(ADA)
    before = await rows.one("SELECT newest_sequence FROM feed_state")
    await enrol(SOMEBODY_ELSE)
    assert await rows.one("SELECT newest_sequence FROM feed_state") == before


async def test_photos_are_compared_with_the_mean_of_the_others(rows, enrol):
    # Orthogonal to one of them, and near enough to both together.
    await enrol((1, 0), (0.3, 0.95))
    await enrol((0, 1))
    assert await states(rows) == ["ready"] * 3


async def test_of_several_that_arrive_together_the_one_that_agrees_with_nobody_is_left_over(rows, enrol):
    await enrol(SOMEBODY_ELSE, ADA, ADA_TOO)
    assert await states(rows) == ["failed", "ready", "ready"]


async def test_of_two_that_arrive_together_and_disagree_the_older_one_counts(rows, enrol):
    await enrol(ADA, SOMEBODY_ELSE)
    assert await states(rows) == ["ready", "failed"]


async def test_a_wrong_first_photo_shows_when_others_agree_against_it(rows, enrol):
    await enrol(SOMEBODY_ELSE)
    (first,) = await enrol(ADA)
    (second,) = await enrol(ADA_TOO)

    sentence = "SELECT failure_message FROM reference_photos WHERE id = :id"
    assert "more that were rejected" not in (await rows.one(sentence, id=first)).failure_message
    assert "1 more that were rejected look like it" in (await rows.one(sentence, id=second)).failure_message
    # What is READY stays READY.
    assert await states(rows) == ["ready", "failed", "failed"]


async def test_a_confirmed_photo_is_taken_as_it_is(rows, samples, enrol):
    await enrol(ADA)
    await enrol(SOMEBODY_ELSE, same_person_confirmed=True)
    assert await states(rows) == ["ready", "ready"]
    np.testing.assert_allclose(await query_embedding(rows), samples.vector(1, 0, 0, 1), atol=1e-6)


async def test_what_is_confirmed_comes_before_what_arrives_with_it(rows, worker, samples, person):
    library = (await rows.one("SELECT library_id FROM people")).library_id
    await rows.photo(library, person)
    confirmed = await rows.photo(library, person, same_person_confirmed=True)
    items = await worker.claim(worker.photos, 2)
    vectors = [ADA if item.resource_id == confirmed else SOMEBODY_ELSE for item in items]
    await worker.complete(*((item, samples.photo_result(*v)) for item, v in zip(items, vectors, strict=True)))
    assert await states(rows) == ["failed", "ready"]


async def test_photos_of_an_older_space_are_not_compared_with(rows, enrol):
    (old,) = await enrol(ADA)
    await rows.do("UPDATE reference_photos SET space = 'old' WHERE id = :id", id=old)
    await enrol(SOMEBODY_ELSE)
    assert await states(rows) == ["ready", "ready"]


async def test_workers_that_complete_at_once_cannot_make_two_people_ready(rows, worker, samples, person):
    library = (await rows.one("SELECT library_id FROM people")).library_id
    for _ in range(8):
        await rows.photo(library, person)
    items = await worker.claim(worker.photos, 8)
    vectors = [ADA, SOMEBODY_ELSE] * 4

    await asyncio.gather(
        *(
            worker.complete((item, samples.photo_result(*vector, weight=1)))
            for item, vector in zip(items, vectors, strict=True)
        )
    )

    found = await rows.all("SELECT state, embedding FROM reference_photos WHERE state = 'ready'")
    assert len({row.embedding for row in found}) == 1
    assert sorted(await states(rows)) == ["failed"] * 4 + ["ready"] * 4
