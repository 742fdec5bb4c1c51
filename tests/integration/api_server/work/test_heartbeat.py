from __future__ import annotations


async def test_a_heartbeat_extends_the_lease(rows, worker):
    await rows.video(await rows.library())
    (item,) = await worker.claim(worker.videos)
    await rows.do("UPDATE work_items SET lease_expire_time = now() + interval '1 second'")

    assert await worker.heartbeat({item.lease: 0}) == []

    row = await rows.one("SELECT lease_expire_time - now() > interval '20 seconds' AS extended FROM work_items")
    assert row.extended


async def test_progress_is_shown_on_the_video_and_only_grows(rows, worker):
    await rows.video(await rows.library())
    (item,) = await worker.claim(worker.videos)

    for share in (0.25, 0.75, 0.5):
        await worker.heartbeat({item.lease: share})

    assert (await rows.one("SELECT progress FROM videos")).progress == 0.75


async def test_the_progress_of_a_new_attempt_starts_again(rows, worker):
    await rows.video(await rows.library())
    (item,) = await worker.claim(worker.videos)
    await worker.heartbeat({item.lease: 0.5})
    await worker.release(item)

    await worker.claim(worker.videos)

    assert (await rows.one("SELECT progress FROM videos")).progress == 0


async def test_a_lost_lease_is_named_and_the_others_are_extended(rows, worker):
    library = await rows.library()
    for _ in range(2):
        await rows.blob_deletion(library, "a")
    first, second = await worker.claim(worker.blobs, 2)
    await worker.release(first, delay_seconds=60)

    assert await worker.heartbeat({first.lease: 0, second.lease: 0}) == [first.lease]
