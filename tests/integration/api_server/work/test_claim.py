from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from whodex.errors import InvalidArgumentError
from whodex.v1 import tasks_pb2


async def test_a_claim_leases_the_oldest_items_and_marks_their_resources(rows, worker):
    library = await rows.library()
    person = await rows.person(library)
    photos = [await rows.photo(library, person) for _ in range(3)]

    items = await worker.claim(worker.photos, 2)

    assert [item.resource_id for item in items] == photos[:2]
    assert {item.fencing_token for item in items} == {1}
    payload = tasks_pb2.AnalyzeReferencePhotoPayload.FromString(items[0].payload)
    assert payload.photo.endswith(str(photos[0]))
    states = await rows.all("SELECT state FROM reference_photos ORDER BY id")
    assert [row.state for row in states] == ["processing", "processing", "uploaded"]


async def test_two_claimers_never_get_one_item(rows, worker):
    library = await rows.library()
    person = await rows.person(library)
    photos = [await rows.photo(library, person) for _ in range(24)]

    claims = await asyncio.gather(*(worker.claim(worker.photos, 8) for _ in range(6)))

    claimed = Counter(item.resource_id for items in claims for item in items)
    assert set(claimed.values()) == {1}
    assert set(claimed) <= set(photos)
    rest = await worker.claim(worker.photos, 24)
    assert len(claimed) + len(rest) == 24


async def test_a_long_queue_of_one_library_does_not_hold_up_another(rows, worker):
    greedy, modest = await rows.library(), await rows.library()
    ada, bob = await rows.person(greedy), await rows.person(modest)
    for _ in range(100):
        await rows.photo(greedy, ada)
    late = await rows.photo(modest, bob)

    items = await worker.claim(worker.photos, 8)

    assert late in {item.resource_id for item in items}


async def test_libraries_take_turns_also_when_items_are_claimed_one_by_one(rows, worker):
    first, second = await rows.library(), await rows.library()
    for _ in range(4):
        await rows.video(first)
    for _ in range(2):
        await rows.video(second)

    order = [(await worker.claim(worker.videos))[0].library_id for _ in range(6)]

    assert order == [first, second, first, second, first, first]


async def test_work_that_is_not_due_is_not_claimed(rows, worker):
    library = await rows.library()
    await rows.blob_deletion(library, "a")
    await rows.do("UPDATE work_items SET next_run_time = now() + interval '1 hour'")

    assert await worker.claim(worker.blobs, 8) == []


async def test_a_new_claim_starts_without_the_parts_of_the_one_before(rows, worker, samples):
    library = await rows.library()
    await rows.video(library)
    (item,) = await worker.claim(worker.videos)
    await worker.stage(item, samples.video_part(0))
    await worker.release(item)

    await worker.claim(worker.videos)

    assert await rows.all("SELECT * FROM staged_parts") == []


async def test_an_unknown_task_is_an_error(worker):
    with pytest.raises(InvalidArgumentError, match=r"no task 'whodex\.brew_coffee'"):
        await worker.claim("whodex.brew_coffee")
