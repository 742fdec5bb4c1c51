from __future__ import annotations

import os
import time
from datetime import timedelta
from uuid import uuid4

import pytest

from api_server.contents.keys import output_prefix
from api_server.database.schema import CollectionKind
from api_server.feed import Change, record_changes
from api_server.feed.horizon import forget_deletions
from api_server.scheduler.garbage import collect_garbage
from whodex.runtime.store import ObjectStore

HOUR = timedelta(hours=1)


@pytest.fixture
def store(tmp_path):
    return ObjectStore.from_url(f"file://{tmp_path}/objects")


@pytest.fixture
def put(store):
    """Stores a blob of a certain age."""

    async def put(key, hours_old=2):
        await store.put(key, b"bytes")
        path = store.local_path(key)
        assert path is not None
        then = time.time() - 3600 * hours_old
        os.utime(path, (then, then))

    return put


async def keys(store):
    return {stored.key async for stored in store.list()}


async def test_a_blob_that_no_row_names_is_garbage_after_an_hour(database, store, put):
    await put("uploads/old")
    await put("uploads/young", hours_old=0)

    assert await collect_garbage(database, store, HOUR) == 1

    assert await keys(store) == {"uploads/young"}


async def test_a_named_blob_is_kept(rows, database, store, put):
    library = await rows.library()
    await rows.photo(library, await rows.person(library))
    key = (await rows.one("SELECT key FROM contents")).key
    await put(key)

    assert await collect_garbage(database, store, HOUR) == 0

    assert await keys(store) == {key}


async def test_what_a_running_attempt_has_written_is_kept_and_that_of_one_before_is_not(
    rows, database, store, put, worker
):
    await rows.video(await rows.library())
    (late,) = await worker.claim(worker.videos)
    await worker.release(late)
    (item,) = await worker.claim(worker.videos)
    kept = f"{item.output_prefix}scene.jpg"
    unknown = output_prefix(uuid4(), uuid4(), uuid4(), 1)
    for key in (kept, f"{late.output_prefix}scene.jpg", f"{unknown}scene.jpg"):
        await put(key)

    assert await collect_garbage(database, store, HOUR) == 2

    assert await keys(store) == {kept}


async def test_more_blobs_than_are_looked_up_at_once(rows, database, store, put):
    await rows.do(
        "INSERT INTO contents (id, library_id, owner_id, key, media_type, size_bytes) "
        "SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'named/' || n, 'image/jpeg', 1 "
        "FROM generate_series(1, 300) AS n"
    )
    for number in range(1, 301):
        await put(f"named/{number}")
        await put(f"unnamed/{number}")

    assert await collect_garbage(database, store, HOUR) == 300

    assert await keys(store) == {f"named/{number}" for number in range(1, 301)}


async def test_old_deletions_are_forgotten_and_the_horizon_says_so(rows, database, samples):
    changes = [
        Change(CollectionKind.PEOPLE, uuid4(), uuid4(), samples.space, vector)
        for vector in (None, samples.vector(1), None, None)
    ]
    async with database.transaction() as session:
        await record_changes(session, changes)
    await rows.do("UPDATE embedding_changes SET change_time = now() - interval '8 days' WHERE sequence <= 3")

    await forget_deletions(database, timedelta(days=7))

    left = await rows.all("SELECT sequence FROM embedding_changes ORDER BY sequence")
    assert [row.sequence for row in left] == [2, 4]
    assert (await rows.one("SELECT horizon_sequence FROM feed_state")).horizon_sequence == 3


async def test_the_horizon_never_moves_back(rows, database):
    await rows.do("UPDATE feed_state SET horizon_sequence = 5")

    await forget_deletions(database, timedelta(days=7))

    assert (await rows.one("SELECT horizon_sequence FROM feed_state")).horizon_sequence == 5
