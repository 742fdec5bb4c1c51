from __future__ import annotations

import asyncio
import random
from uuid import uuid4

from api_server.database.schema import CollectionKind
from api_server.feed import Change, read_position, record_changes


def person_change(samples, id_=None, vector=(1,)):
    vector = None if vector is None else samples.vector(*vector)
    return Change(CollectionKind.PEOPLE, id_ or uuid4(), uuid4(), samples.space, vector)


async def test_sequences_follow_the_order_given(rows, samples, database):
    changes = [person_change(samples) for _ in range(3)]

    async with database.transaction() as session:
        position = await record_changes(session, changes)

    recorded = await rows.all("SELECT id, sequence FROM embedding_changes ORDER BY sequence")
    assert [row.id for row in recorded] == [change.id for change in changes]
    assert [row.sequence for row in recorded] == [1, 2, 3]
    assert position.sequence == 3


async def test_a_second_change_of_one_id_moves_it_to_the_end(rows, samples, database):
    first, second = person_change(samples), person_change(samples)
    async with database.transaction() as session:
        await record_changes(session, [first, second])

    async with database.transaction() as session:
        await record_changes(session, [person_change(samples, first.id, vector=None)])

    recorded = await rows.all("SELECT id, sequence, vector FROM embedding_changes ORDER BY sequence")
    assert [(row.id, row.sequence) for row in recorded] == [(second.id, 2), (first.id, 3)]
    assert recorded[1].vector is None


async def test_nothing_to_record_takes_no_sequence(samples, database):
    async with database.transaction() as session:
        before = await record_changes(session, [person_change(samples)])
        assert await record_changes(session, []) == before


async def test_a_rollback_leaves_no_gap(samples, database):
    async with database.transaction() as session:
        await record_changes(session, [person_change(samples)])
        await session.rollback()

    async with database.transaction() as session:
        assert (await record_changes(session, [person_change(samples)])).sequence == 1


async def test_whoever_sees_a_sequence_sees_every_one_before_it(rows, samples, database):
    """The order of sequences is the order of commits: a reader who has gone past a number never misses it later."""
    dice = random.Random(0)  # noqa: S311 - not a secret
    done = asyncio.Event()
    snapshots = []

    async def write() -> None:
        for _ in range(15):
            async with database.transaction() as session:
                await asyncio.sleep(dice.uniform(0, 0.005))
                await record_changes(session, [person_change(samples) for _ in range(dice.randint(1, 3))])

    async def read() -> None:
        while not done.is_set():
            async with database.reads() as session:
                newest = (await read_position(session)).sequence
            found = await rows.all("SELECT sequence FROM embedding_changes WHERE sequence <= :newest", newest=newest)
            snapshots.append((newest, {row.sequence for row in found}))

    reader = asyncio.create_task(read())
    await asyncio.gather(*(write() for _ in range(6)))
    done.set()
    await reader

    assert len({newest for newest, _ in snapshots}) > 5
    for newest, seen in snapshots:
        assert seen == set(range(1, newest + 1))
