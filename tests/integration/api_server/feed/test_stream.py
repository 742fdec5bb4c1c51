from __future__ import annotations

import asyncio
from contextlib import aclosing
from uuid import uuid4

import pytest

from api_server.database.notifications import NotificationHub
from api_server.database.schema import CollectionKind
from api_server.feed import Change, FeedPosition, record_changes
from api_server.feed.stream import BATCH_CHANGES, HEARTBEAT_SECONDS, follow
from whodex.errors import OutOfRangeError


@pytest.fixture
async def hub(database_url):
    hub = NotificationHub(database_url)
    listener = asyncio.create_task(hub.run())
    yield hub
    listener.cancel()
    await asyncio.wait([listener])


@pytest.fixture
def record(database, samples):
    """Records changes; returns them with the position after them."""

    async def record(count=1, **values: object):
        one = {
            "kind": CollectionKind.PEOPLE,
            "library_id": uuid4(),
            "space": samples.space,
            "vector": samples.vector(1),
        }
        changes = [Change(**(one | {"id": uuid4()} | values)) for _ in range(count)]
        async with database.transaction() as session:
            return changes, await record_changes(session, changes)

    return record


async def test_a_follower_without_a_place_starts_from_nothing(database, hub, record):
    changes, position = await record(3)

    async with aclosing(follow(database, hub, None)) as batches:
        batch, restart = await anext(batches)

    assert restart
    assert [row.id for row in batch.changes] == [change.id for change in changes]
    assert batch.changes[0].vector == changes[0].vector.tobytes()
    assert (batch.position, batch.newest_sequence) == (position, position.sequence)


async def test_a_follower_goes_on_where_it_was(database, hub, record):
    _, place = await record(2)
    changes, position = await record(1)

    async with aclosing(follow(database, hub, place)) as batches:
        batch, restart = await anext(batches)

    assert not restart
    assert [row.id for row in batch.changes] == [changes[0].id]
    assert batch.position == position


@pytest.mark.parametrize("problem", ["another epoch", "a sequence that is not reached", "sequence 0"])
async def test_a_place_that_is_not_of_this_history_starts_from_nothing(database, hub, record, problem):
    changes, position = await record(2)
    place = {
        "another epoch": FeedPosition(uuid4(), 2),
        "a sequence that is not reached": FeedPosition(position.epoch, 99),
        "sequence 0": FeedPosition(position.epoch, 0),
    }[problem]

    async with aclosing(follow(database, hub, place)) as batches:
        batch, restart = await anext(batches)

    assert restart
    assert len(batch.changes) == len(changes)


async def test_a_place_before_the_horizon_is_too_old(database, hub, record, rows):
    _, place = await record(1)
    await record(4)
    await rows.do("UPDATE feed_state SET horizon_sequence = 3")

    async with aclosing(follow(database, hub, place)) as batches:
        with pytest.raises(OutOfRangeError, match="Start from 0"):
            await anext(batches)


async def test_a_start_from_nothing_does_not_mind_the_horizon(database, hub, record, rows):
    await record(BATCH_CHANGES + 5)
    await rows.do("UPDATE feed_state SET horizon_sequence = :sequence", sequence=BATCH_CHANGES + 5)

    async with aclosing(follow(database, hub, None)) as batches:
        first, restart = await anext(batches)
        second, restart_again = await anext(batches)

    assert (restart, restart_again) == (True, False)
    assert (len(first.changes), len(second.changes)) == (BATCH_CHANGES, 5)


async def test_a_horizon_that_overtakes_a_start_from_nothing_ends_it(database, hub, record, rows):
    """A deletion that the follower has not read yet may be forgotten."""
    await record(BATCH_CHANGES + 5)

    async with aclosing(follow(database, hub, None)) as batches:
        await anext(batches)
        await rows.do("UPDATE feed_state SET horizon_sequence = :sequence", sequence=BATCH_CHANGES + 1)
        with pytest.raises(OutOfRangeError):
            await anext(batches)


async def test_changes_come_as_they_are_committed(database, hub, record):
    async with aclosing(follow(database, hub, None)) as batches:
        await anext(batches)
        await anext(batches)
        started = asyncio.get_running_loop().time()
        changes, _ = await record(1)
        batch, _ = await anext(batches)
        while not batch.changes:
            batch, _ = await anext(batches)

    assert [row.id for row in batch.changes] == [changes[0].id]
    assert asyncio.get_running_loop().time() - started < HEARTBEAT_SECONDS


async def test_a_quiet_feed_still_says_its_watermark(database, hub, record):
    _, position = await record(1)

    async with aclosing(follow(database, hub, None)) as batches:
        await anext(batches)
        heartbeats = [await asyncio.wait_for(anext(batches), 5 * HEARTBEAT_SECONDS) for _ in range(2)]

    assert [batch.position for batch, _ in heartbeats] == [position, position]
    assert [list(batch.changes) for batch, _ in heartbeats] == [[], []]


async def test_a_deletion_is_a_change_without_a_vector(database, hub, record):
    await record(1, vector=None)

    async with aclosing(follow(database, hub, None)) as batches:
        batch, _ = await anext(batches)

    assert batch.changes[0].vector is None
