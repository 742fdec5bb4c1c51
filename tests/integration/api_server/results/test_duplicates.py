"""Nearly the same picture twice: both READY, counted once, and counted again when the first goes."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from sqlalchemy import text

from api_server.database.schema import EmbeddingVector
from api_server.results.people import recompute_query_embedding

NEARLY = (1, 0.2)  # a cosine of 0.98 to (1, 0)


@pytest.fixture
async def person(rows):
    await rows.space()
    return await rows.person(await rows.library())


@pytest.fixture
def ready_photo(rows, person, worker, samples):
    """A READY photo with this embedding; returns its id."""

    async def ready_photo(*vector: float):
        library = (await rows.one("SELECT library_id FROM people")).library_id
        photo = await rows.photo(library, person)
        (item,) = await worker.claim(worker.photos)
        await worker.complete((item, samples.photo_result(*vector)))
        return photo

    return ready_photo


async def query_embedding(rows):
    row = await rows.one("SELECT query_embedding FROM people")
    return EmbeddingVector().process_result_value(row.query_embedding, None)


async def marks(rows):
    return [(row.state, row.duplicate_of) for row in await rows.all("SELECT * FROM reference_photos ORDER BY id")]


async def test_a_near_duplicate_is_ready_and_counts_once(rows, samples, ready_photo):
    original = await ready_photo(1)
    await ready_photo(0, 1)
    await ready_photo(*NEARLY)

    assert await marks(rows) == [("ready", None), ("ready", None), ("ready", original)]
    np.testing.assert_allclose(await query_embedding(rows), samples.vector(1, 1), atol=1e-6)


async def test_a_duplicate_counts_again_when_its_original_is_deleted(rows, samples, ready_photo, person):
    original = await ready_photo(1)
    duplicate = await ready_photo(*NEARLY)
    another = await ready_photo(*NEARLY)
    async with rows.database.transaction() as session:
        await session.execute(text("DELETE FROM reference_photos WHERE id = :id"), {"id": original})
        await recompute_query_embedding(session, person)

    assert await marks(rows) == [("ready", None), ("ready", duplicate)]
    assert another != duplicate
    np.testing.assert_allclose(await query_embedding(rows), samples.vector(*NEARLY), atol=1e-6)


async def test_copies_that_become_ready_at_once_count_once(rows, worker, samples, person):
    library = (await rows.one("SELECT library_id FROM people")).library_id
    photos = [await rows.photo(library, person) for _ in range(6)]
    items = await worker.claim(worker.photos, 6)

    await asyncio.gather(*(worker.complete((item, samples.photo_result(1))) for item in items))

    assert await marks(rows) == [("ready", None)] + [("ready", photos[0])] * 5
