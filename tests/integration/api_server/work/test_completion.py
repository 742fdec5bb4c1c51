from __future__ import annotations

import asyncio

import pytest

from whodex.errors import InvalidArgumentError
from whodex.v1 import tasks_pb2


@pytest.fixture
async def library(rows):
    await rows.space()
    return await rows.library()


async def test_a_result_takes_effect_once_and_the_item_is_gone(rows, worker, samples, library):
    await rows.photo(library, await rows.person(library))
    (item,) = await worker.claim(worker.photos)

    assert await worker.complete((item, samples.photo_result())) == []
    assert await worker.complete((item, samples.photo_result())) == [item.lease]

    assert (await rows.one("SELECT state FROM reference_photos")).state == "ready"
    assert await rows.all("SELECT * FROM work_items") == []
    assert len(await rows.all("SELECT * FROM contents WHERE key LIKE 'work/%'")) == 1


async def test_a_late_result_is_refused(rows, worker, samples, library):
    await rows.photo(library, await rows.person(library))
    (late,) = await worker.claim(worker.photos)
    await worker.release(late)
    (item,) = await worker.claim(worker.photos)

    assert await worker.complete((late, samples.photo_result(0, 1))) == [late.lease]
    assert (await rows.one("SELECT state FROM reference_photos")).state == "processing"

    assert await worker.complete((item, samples.photo_result())) == []
    key = (await rows.one("SELECT key FROM contents WHERE key LIKE 'work/%'")).key
    assert key == f"{item.output_prefix}face.jpg"


async def test_a_lost_lease_does_not_keep_the_rest_of_a_batch_from_its_effect(rows, worker, samples, library):
    person = await rows.person(library)
    for _ in range(3):
        await rows.photo(library, person)
    items = await worker.claim(worker.photos, 3)
    await worker.release(items[1], delay_seconds=60)

    lost = await worker.complete(*((item, samples.photo_result()) for item in items))

    assert lost == [items[1].lease]
    states = await rows.all("SELECT state FROM reference_photos ORDER BY id")
    assert [row.state for row in states] == ["ready", "processing", "ready"]


@pytest.mark.parametrize("when", ["of another task", "outside its limits", "of an unknown space"])
async def test_a_result_that_breaks_its_contract_changes_nothing(rows, worker, samples, library, when):
    person = await rows.person(library)
    for _ in range(2):
        await rows.photo(library, person)
    good, bad = await worker.claim(worker.photos, 2)
    result = samples.photo_result()
    if when == "of another task":
        result = tasks_pb2.DeleteBlobsResult()
    elif when == "outside its limits":
        result.weight = 0
    else:
        result.embedding.space = "another"

    with pytest.raises(InvalidArgumentError):
        await worker.complete((good, samples.photo_result()), (bad, result))

    states = await rows.all("SELECT state FROM reference_photos")
    assert [row.state for row in states] == ["processing", "processing"]
    assert await worker.complete((good, samples.photo_result())) == []


async def test_two_workers_with_one_lease_have_one_effect(rows, worker, samples, library):
    await rows.photo(library, await rows.person(library))
    (item,) = await worker.claim(worker.photos)

    answers = await asyncio.gather(*(worker.complete((item, samples.photo_result())) for _ in range(4)))

    assert sorted(len(lost) for lost in answers) == [0, 1, 1, 1]
    assert len(await rows.all("SELECT * FROM contents WHERE key LIKE 'work/%'")) == 1
