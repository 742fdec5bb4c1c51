from __future__ import annotations

import pytest

from whodex.errors import AbortedError, InvalidArgumentError
from whodex.v1 import tasks_pb2, video_pb2


@pytest.fixture
async def library(rows):
    await rows.space()
    return await rows.library()


@pytest.fixture
async def item(rows, worker, library):
    await rows.video(library)
    (item,) = await worker.claim(worker.videos)
    return item


async def test_parts_become_scenes_and_appearances_all_at_once(rows, worker, samples, item):
    await worker.stage(
        item, samples.video_part(0, (1,), (0, 1)), samples.video_part(10), samples.video_part(20, (1, 1))
    )
    assert await rows.all("SELECT * FROM scenes") == []

    await worker.complete((item, samples.video_result(part_count=3)))

    video = await rows.one("SELECT * FROM videos")
    assert (video.state, video.progress, video.scene_count, video.appearance_count) == ("ready", 1, 3, 3)
    assert (video.duration_us, video.width, video.height, video.frame_rate) == (60_000_000, 640, 360, 25)
    scenes = await rows.all("SELECT * FROM scenes ORDER BY index")
    assert [(scene.start_us, scene.end_us) for scene in scenes] == [
        (0, 10_000_000),
        (10_000_000, 20_000_000),
        (20_000_000, 30_000_000),
    ]
    appearances = await rows.all("SELECT * FROM appearances ORDER BY start_us, id")
    assert [one.scene_id for one in appearances] == [scenes[0].id, scenes[0].id, scenes[2].id]
    assert (appearances[0].start_us, appearances[0].end_us) == (1_000_000, 2_000_000)
    assert appearances[0].embedding == samples.vector(1).tobytes()
    assert appearances[0].space == samples.space


async def test_the_feed_gets_every_appearance(rows, worker, samples, item):
    await worker.stage(item, samples.video_part(0, (1,), (0, 1)))

    await worker.complete((item, samples.video_result(part_count=1)))

    told = await rows.all(
        "SELECT appearances.id FROM appearances JOIN embedding_changes AS change ON change.id = appearances.id "
        "AND change.sequence = appearances.embedding_sequence AND change.vector = appearances.embedding "
        "WHERE change.kind = 'appearances'"
    )
    assert len(told) == 2
    newest = await rows.one("SELECT newest_sequence FROM feed_state")
    assert (await rows.one("SELECT embedding_sequence FROM videos")).embedding_sequence == newest.newest_sequence


async def test_pictures_become_contents_of_the_video(rows, worker, samples, item, library):
    await worker.stage(item, samples.video_part(0, (1,)))

    await worker.complete((item, samples.video_result(part_count=1)))

    contents = await rows.all("SELECT * FROM contents WHERE key LIKE 'work/%' ORDER BY key")
    prefix = f"work/{library}/{item.resource_id}/{item.id}/{item.fencing_token}/"
    assert [content.key for content in contents] == [f"{prefix}face-0-0.jpg", f"{prefix}scene-0.jpg"]
    assert {content.owner_id for content in contents} == {item.resource_id}
    record = video_pb2.Appearance.FromString((await rows.one("SELECT record FROM appearances")).record)
    assert record.best_shots[0].thumbnail.name == f"libraries/{library}/contents/{contents[0].id}"
    assert record.boxes[0].box.right == 101


async def test_a_part_reported_again_replaces_the_first(rows, worker, samples, item):
    await worker.stage(item, samples.video_part(0, (1,)))
    await worker.stage(item, samples.video_part(0))

    await worker.complete((item, samples.video_result(part_count=1)))

    assert (await rows.one("SELECT appearance_count FROM videos")).appearance_count == 0


@pytest.mark.parametrize("staged", [[0], [0, 2], [0, 1, 2]])
async def test_a_completion_with_another_number_of_parts_is_refused(rows, worker, samples, item, staged):
    for ordinal in staged:
        await worker.stage(item, samples.video_part(10 * ordinal), first=ordinal)

    with pytest.raises(InvalidArgumentError, match="announces 2 parts"):
        await worker.complete((item, samples.video_result(part_count=2)))

    assert (await rows.one("SELECT state FROM videos")).state == "processing"
    assert await rows.all("SELECT * FROM scenes") == []


async def test_a_video_with_more_parts_than_are_read_at_once(rows, worker, samples, item):
    parts = [samples.video_part(10 * ordinal) for ordinal in range(250)]
    await worker.stage(item, *parts)

    await worker.complete((item, samples.video_result(part_count=250)))

    assert (await rows.one("SELECT scene_count FROM videos")).scene_count == 250


async def test_a_video_without_scenes_is_ready(rows, worker, samples, item):
    await worker.complete((item, samples.video_result(part_count=0)))

    assert (await rows.one("SELECT state FROM videos")).state == "ready"


async def test_parts_of_a_late_worker_are_refused(worker, samples, item):
    await worker.release(item)
    await worker.claim(worker.videos)

    with pytest.raises(AbortedError):
        await worker.stage(item, samples.video_part(0))


async def test_a_part_must_be_the_tasks_own(worker, samples, item):
    with pytest.raises(InvalidArgumentError, match=r"is not whodex\.v1\.ProcessVideoPart"):
        await worker.stage(item, samples.photo_result())
    with pytest.raises(InvalidArgumentError, match="thumbnail"):
        await worker.stage(item, tasks_pb2.ProcessVideoPart())


async def test_a_task_without_parts_takes_none(rows, worker, samples, library):
    await rows.blob_deletion(library, "a")
    (item,) = await worker.claim(worker.blobs)

    with pytest.raises(InvalidArgumentError, match="has no parts"):
        await worker.stage(item, samples.video_part(0))


async def test_a_video_that_was_deleted_meanwhile_leaves_nothing(rows, worker, samples, item):
    await worker.stage(item, samples.video_part(0, (1,)))
    await rows.do("DELETE FROM videos")

    assert await worker.complete((item, samples.video_result(part_count=1))) == []

    left = await rows.all(
        "SELECT id FROM scenes UNION ALL SELECT id FROM appearances UNION ALL SELECT id FROM embedding_changes"
    )
    assert left == []
