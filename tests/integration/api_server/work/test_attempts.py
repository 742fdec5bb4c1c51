from __future__ import annotations

import pytest

from api_server import work
from whodex.errors import AbortedError
from whodex.v1 import failure_pb2

NO_FACE = failure_pb2.FAILURE_REASON_NO_FACE
INTERNAL = failure_pb2.FAILURE_REASON_INTERNAL


@pytest.fixture(autouse=True)
async def photo(rows):
    library = await rows.library()
    return await rows.photo(library, await rows.person(library))


async def photo_row(rows):
    return await rows.one("SELECT * FROM reference_photos")


async def item_row(rows):
    return await rows.one("SELECT *, next_run_time > now() AS delayed FROM work_items")


async def lapse(rows):
    """Moves the end of every lease into the past."""
    await rows.do("UPDATE work_items SET lease_expire_time = now() - interval '1 second'")


async def test_a_permanent_failure_is_on_the_resource_at_once(rows, worker):
    (item,) = await worker.claim(worker.photos)

    await worker.fail(item, NO_FACE, retryable=False)

    row = await photo_row(rows)
    assert (row.state, row.failure_reason, row.failure_retryable, row.failure_attempts) == ("failed", NO_FACE, False, 1)
    assert row.failure_message == "It did not work."
    assert (await item_row(rows)).state == "failed"


async def test_a_retryable_failure_is_tried_again_after_a_while(rows, worker):
    (item,) = await worker.claim(worker.photos)

    await worker.fail(item, INTERNAL, retryable=True)

    row = await item_row(rows)
    assert (row.state, row.attempts, row.last_error, row.delayed) == ("waiting", 1, "It did not work.", True)
    assert (await photo_row(rows)).state == "processing"


async def test_the_fifth_failure_is_the_last(rows, worker):
    for attempt in range(1, 6):
        await rows.do("UPDATE work_items SET next_run_time = now()")
        (item,) = await worker.claim(worker.photos)
        assert item.attempts + 1 == attempt
        await worker.fail(item, INTERNAL, retryable=True)

    row = await photo_row(rows)
    assert (row.state, row.failure_attempts, row.failure_retryable) == ("failed", 5, True)


async def test_a_release_is_not_counted_and_waits(rows, worker):
    (item,) = await worker.claim(worker.photos)

    await worker.release(item, delay_seconds=60)

    row = await item_row(rows)
    assert (row.state, row.attempts, row.delayed) == ("waiting", 0, True)


async def test_a_release_without_delay_rings_for_the_next_worker(rows, worker):
    (item,) = await worker.claim(worker.photos)
    await rows.do("DELETE FROM outbox")

    await worker.release(item)

    assert (await rows.one("SELECT task FROM outbox")).task == worker.photos
    assert len(await worker.claim(worker.photos)) == 1


async def test_to_release_a_lost_lease_changes_nothing(rows, worker):
    (late,) = await worker.claim(worker.photos)
    await worker.release(late)
    (item,) = await worker.claim(worker.photos)

    await worker.release(late)

    row = await item_row(rows)
    assert (row.state, row.fencing_token) == ("running", item.fencing_token)


async def test_an_expired_lease_counts_as_an_attempt_and_runs_again(rows, worker):
    (late,) = await worker.claim(worker.photos)
    await lapse(rows)

    assert await worker.expire() == 1

    (item,) = await worker.claim(worker.photos)
    assert (item.attempts, item.fencing_token) == (1, late.fencing_token + 1)


async def test_leases_that_keep_expiring_fail_the_resource(rows, worker):
    for _ in range(5):
        await worker.claim(worker.photos)
        await lapse(rows)
        await worker.expire()

    row = await photo_row(rows)
    assert (row.state, row.failure_reason) == ("failed", failure_pb2.FAILURE_REASON_LEASE_EXPIRED)
    assert row.failure_retryable


async def test_a_live_lease_does_not_expire(worker):
    await worker.claim(worker.photos)

    assert await worker.expire() == 0


async def test_a_late_worker_can_neither_fail_nor_extend_an_item(rows, worker):
    (late,) = await worker.claim(worker.photos)
    await lapse(rows)
    await worker.expire()
    await worker.claim(worker.photos)

    with pytest.raises(AbortedError, match="is lost"):
        await worker.fail(late, NO_FACE, retryable=False)
    assert await worker.heartbeat({late.lease: 0.5}) == [late.lease]
    assert (await photo_row(rows)).state == "processing"


async def test_cancelled_work_is_lost_to_its_worker(rows, worker, photo, database):
    (item,) = await worker.claim(worker.photos)

    async with database.transaction() as session:
        await work.cancel(session, [photo])

    assert await worker.heartbeat({item.lease: 0}) == [item.lease]
    assert await rows.all("SELECT * FROM work_items") == []


async def test_failed_work_without_a_resource_is_kept_with_its_error(rows, worker):
    await rows.blob_deletion(await rows.library(), "a")
    (item,) = await worker.claim(worker.blobs)

    await worker.fail(item, INTERNAL, retryable=False)

    row = await rows.one("SELECT * FROM work_items WHERE id = :id", id=item.id)
    assert (row.state, row.last_error) == ("failed", "It did not work.")
