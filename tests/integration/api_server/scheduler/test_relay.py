from __future__ import annotations

import pytest

from api_server import work
from api_server.scheduler.doorbell import BrokerUnavailableError, Doorbell
from api_server.scheduler.relay import relay
from api_server.scheduler.sweep import ring_for_due_work
from whodex.v1 import tasks_pb2

DELETE_BLOBS = "whodex.delete_blobs"


@pytest.fixture
def doorbell(broker):
    doorbell = Doorbell(broker.url)
    yield doorbell
    doorbell.close()


async def test_the_relay_rings_for_committed_work_and_empties_the_outbox(rows, database, broker, doorbell):
    await rows.blob_deletion(await rows.library(), "a")

    await relay(database, doorbell)

    assert broker.messages("maintenance") == [DELETE_BLOBS]
    assert await rows.all("SELECT * FROM outbox") == []


async def test_work_that_was_rolled_back_rings_nothing(rows, database, broker, doorbell):
    library = await rows.library()
    async with database.transaction() as session:
        payload = tasks_pb2.DeleteBlobsPayload()
        await work.enqueue(session, payload, library_id=library, resource_id=None, correlation_id="test-call")
        await session.rollback()

    await relay(database, doorbell)

    assert broker.messages("maintenance") == []


async def test_many_entries_become_few_rings(rows, database, broker, doorbell):
    await rows.do("INSERT INTO outbox (task) SELECT :task FROM generate_series(1, 9)", task=DELETE_BLOBS)

    await relay(database, doorbell)

    assert broker.messages("maintenance") == [DELETE_BLOBS, DELETE_BLOBS]


async def test_while_the_broker_is_away_the_outbox_keeps_everything(rows, database, broker, doorbell):
    await rows.blob_deletion(await rows.library(), "a")
    broker.stop()

    with pytest.raises(BrokerUnavailableError):
        await relay(database, doorbell)
    assert len(await rows.all("SELECT * FROM outbox")) == 1

    broker.start()
    await relay(database, doorbell)
    assert broker.messages("maintenance") == [DELETE_BLOBS]


async def test_a_doorbell_of_a_task_that_is_gone_is_dropped(rows, database, doorbell):
    await rows.do("INSERT INTO outbox (task) VALUES ('whodex.of_the_release_before')")

    await relay(database, doorbell)

    assert await rows.all("SELECT * FROM outbox") == []


async def test_the_sweep_rings_again_for_work_whose_message_was_lost(rows, database, broker, doorbell):
    await rows.blob_deletion(await rows.library(), "a")
    await relay(database, doorbell)
    broker.flush()

    await ring_for_due_work(database, doorbell)

    assert broker.messages("maintenance") == [DELETE_BLOBS]


async def test_the_sweep_does_not_ring_for_work_whose_message_waits(rows, database, broker, doorbell):
    await rows.blob_deletion(await rows.library(), "a")
    await relay(database, doorbell)

    for _ in range(3):
        await ring_for_due_work(database, doorbell)

    assert len(broker.messages("maintenance")) == 1


async def test_the_sweep_does_not_ring_for_work_that_is_not_due(rows, database, broker, doorbell):
    await rows.blob_deletion(await rows.library(), "a")
    await rows.do("UPDATE work_items SET next_run_time = now() + interval '1 minute'")

    await ring_for_due_work(database, doorbell)

    assert broker.messages("maintenance") == []
