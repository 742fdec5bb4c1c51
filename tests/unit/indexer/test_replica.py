from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from indexer.index import FeedContractError
from indexer.replica import CatchUp, Replica
from whodex.errors import InvalidArgumentError, UnavailableError
from whodex.v1 import embedding_feed_service_pb2 as feed
from whodex.v1 import error_reason_pb2


@pytest.fixture(autouse=True)
def ten_people(history: Any, unit_vectors: Any) -> None:
    for vector in unit_vectors(10):
        history.put(uuid4(), vector)


def follow(replica: Replica, history: Any) -> None:
    after = replica.begin_stream(from_start=False).after
    for message in history.messages(after.sequence if after.epoch == str(history.epoch) else 0):
        replica.apply(message)


def test_nothing_is_served_before_the_index_has_caught_up(history: Any) -> None:
    """An answer that lacks people is worse than an error."""
    replica = Replica(None)
    replica.begin_stream(from_start=False)
    messages = list(history.messages())
    for message in messages[:-1]:
        replica.apply(message)
        with pytest.raises(UnavailableError) as raised:
            replica.serving()
        assert raised.value.reason == error_reason_pb2.ERROR_REASON_INDEX_UNAVAILABLE
    replica.apply(messages[-1])
    assert replica.serving().sequence == 10
    assert replica.lag == 0


def test_what_was_committed_after_the_feed_was_opened_does_not_delay_serving(history: Any, unit_vectors: Any) -> None:
    replica = Replica(None)
    replica.begin_stream(from_start=False)
    replica.apply(history.message(0, restart=True))
    for vector in unit_vectors(10):
        history.put(uuid4(), vector)
    for after in (3, 6, 9):
        replica.apply(history.message(after))
    assert replica.serving().sequence == 12
    assert replica.lag == 8


def test_a_loaded_index_asks_for_what_came_after_it(history: Any, unit_vectors: Any, index_of: Any) -> None:
    replica = Replica(index_of(history))
    history.put(uuid4(), unit_vectors(1)[0])
    request = replica.begin_stream(from_start=False)
    assert request.after == feed.Watermark(epoch=str(history.epoch), sequence=10)
    with pytest.raises(UnavailableError):
        replica.serving()
    replica.apply(history.message(10))
    assert replica.serving().sequence == 11


def test_a_stream_that_breaks_in_the_middle_goes_on_where_it_was(history: Any) -> None:
    replica = Replica(None)
    replica.begin_stream(from_start=False)
    replica.apply(history.message(0, restart=True))
    assert replica.begin_stream(from_start=False).after.sequence == 3
    for message in history.messages(3):
        replica.apply(message)
    assert replica.serving().sequence == 10


def test_the_old_index_serves_while_a_new_one_of_its_epoch_is_built(history: Any) -> None:
    replica = Replica(None)
    follow(replica, history)
    old = replica.serving()
    assert not replica.begin_stream(from_start=True).HasField("after")
    *first, last = history.messages()
    for message in first:
        replica.apply(message)
        assert replica.serving() is old
    replica.apply(last)
    assert replica.serving() is not old
    assert replica.serving().sequence == 10


def test_an_index_of_a_database_that_was_restored_is_dropped_at_once(history: Any, unit_vectors: Any) -> None:
    replica = Replica(None)
    follow(replica, history)
    history.restore()
    for vector in unit_vectors(5):
        history.put(uuid4(), vector)
    replica.begin_stream(from_start=False)
    replica.apply(history.message(0, restart=True))
    with pytest.raises(UnavailableError):
        replica.serving()
    replica.apply(history.message(3))
    assert replica.serving().epoch == history.epoch


def test_a_stream_from_nothing_must_say_so(history: Any) -> None:
    replica = Replica(None)
    replica.begin_stream(from_start=False)
    with pytest.raises(FeedContractError):
        replica.apply(history.message(0, restart=False))


async def test_a_watermark_is_waited_for(history: Any, unit_vectors: Any) -> None:
    replica = Replica(None)
    follow(replica, history)
    history.put(uuid4(), unit_vectors(1)[0])
    waiting = asyncio.create_task(replica.reach(history.watermark))
    replica.apply(feed.StreamChangesResponse(watermark=feed.Watermark(epoch=str(history.epoch), sequence=10)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not waiting.done()
    replica.apply(history.message(10))
    await asyncio.wait_for(waiting, 1)


async def test_a_watermark_of_another_database_is_refused(history: Any) -> None:
    replica = Replica(None)
    follow(replica, history)
    with pytest.raises(InvalidArgumentError) as raised:
        await replica.reach(feed.Watermark(epoch=str(uuid4()), sequence=1))
    assert raised.value.reason == error_reason_pb2.ERROR_REASON_CONSISTENCY_TOKEN_INVALID


async def test_a_wait_ends_when_the_database_is_restored(history: Any) -> None:
    replica = Replica(None)
    follow(replica, history)
    future = feed.Watermark(epoch=str(history.epoch), sequence=99)
    waiting = asyncio.create_task(replica.reach(future))
    await asyncio.sleep(0)
    history.restore()
    follow(replica, history)
    with pytest.raises(InvalidArgumentError):
        await asyncio.wait_for(waiting, 1)


def test_a_rebuilt_index_is_adopted_only_when_it_is_not_behind(history: Any, unit_vectors: Any) -> None:
    replica, rebuilt = Replica(None), CatchUp(None)
    follow(replica, history)
    old = replica.serving()
    for message in history.messages():
        rebuilt.apply(message)
    history.put(uuid4(), unit_vectors(1)[0])
    replica.apply(history.message(10))
    assert not replica.adopt(rebuilt)
    assert replica.serving() is old
    rebuilt.apply(history.message(10))
    assert replica.adopt(rebuilt)
    assert replica.serving() is rebuilt.index


def test_a_rebuilt_index_follows_the_stream_from_then_on(history: Any, unit_vectors: Any) -> None:
    replica, rebuilt = Replica(None), CatchUp(None)
    follow(replica, history)
    history.put(uuid4(), unit_vectors(1)[0])
    for message in history.messages():
        rebuilt.apply(message)
    replica.adopt(rebuilt)
    history.put(uuid4(), unit_vectors(1)[0])
    # The stream is still where the old index was.
    replica.apply(history.message(10))
    assert replica.serving().sequence == 12


def test_a_rebuilt_index_of_another_epoch_is_not_adopted(history: Any, unit_vectors: Any) -> None:
    replica, rebuilt = Replica(None), CatchUp(None)
    for message in history.messages():
        rebuilt.apply(message)
    history.restore()
    history.put(uuid4(), unit_vectors(1)[0])
    follow(replica, history)
    assert not replica.adopt(rebuilt)
