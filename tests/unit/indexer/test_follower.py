from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import numpy as np
import pytest

from indexer.follower import FeedFollower, FeedLostError
from indexer.replica import Replica
from whodex.errors import UnavailableError
from whodex.runtime.channel import internal_channel
from whodex.v1.embedding_feed_service_pb2_grpc import EmbeddingFeedServiceStub

SILENCE_SECONDS = 0.3


@contextlib.asynccontextmanager
async def running(follower: FeedFollower) -> AsyncIterator[asyncio.Task[None]]:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(follower.run())
        yield task
        task.cancel()


async def reaches(replica: Replica, history: Any) -> None:
    """Waits until the replica serves all of the history."""
    async with asyncio.timeout(5):
        while True:
            with contextlib.suppress(UnavailableError):
                index = replica.serving()
                if (index.epoch, index.sequence) == (history.epoch, history.sequence):
                    return
            await asyncio.sleep(0.01)


def serving_count(replica: Replica) -> int:
    return sum(view.live_count for view in replica.serving().image().collections.values())


@pytest.fixture(autouse=True)
def ten_people(history: Any, unit_vectors: Any) -> list[Any]:
    ids = [uuid4() for _ in range(10)]
    for id_, vector in zip(ids, unit_vectors(10), strict=True):
        history.put(id_, vector)
    return ids


@pytest.fixture
def replica() -> Replica:
    return Replica(None)


@pytest.fixture
def follower(feed_stub: Any, replica: Replica) -> FeedFollower:
    return FeedFollower(feed_stub, replica, silence_seconds=SILENCE_SECONDS)


async def test_changes_arrive_as_they_are_committed(
    follower: FeedFollower, replica: Replica, history: Any, ten_people: Any, unit_vectors: Any
) -> None:
    async with running(follower):
        await reaches(replica, history)
        history.remove(ten_people[0])
        history.put(uuid4(), unit_vectors(1)[0])
        history.put(uuid4(), unit_vectors(1)[0])
        await reaches(replica, history)
        assert serving_count(replica) == 11
        await follower.check()
    assert len(history.requests) == 1


async def test_a_watermark_that_is_too_old_means_starting_from_nothing(
    feed_stub: Any, history: Any, ten_people: Any, index_of: Any
) -> None:
    replica = Replica(index_of(history))
    history.remove(ten_people[0])
    history.forget_deletions()
    async with running(FeedFollower(feed_stub, replica)):
        await reaches(replica, history)
    assert serving_count(replica) == 9
    assert [request.HasField("after") for request in history.requests] == [True, False]


async def test_a_restored_database_is_followed_from_its_start(
    follower: FeedFollower, replica: Replica, history: Any, unit_vectors: Any
) -> None:
    async with running(follower):
        await reaches(replica, history)
        history.restore()
        history.put(uuid4(), unit_vectors(1)[0])
        await reaches(replica, history)
    assert serving_count(replica) == 1


async def test_a_silent_feed_is_unhealthy_and_opened_again(
    follower: FeedFollower, replica: Replica, history: Any
) -> None:
    async with running(follower):
        await reaches(replica, history)
        history.silent = True
        async with asyncio.timeout(5):
            while len(history.requests) < 2:
                await asyncio.sleep(0.01)
        with pytest.raises(FeedLostError, match="silent"):
            await follower.check()
        assert serving_count(replica) == 10
        history.silent = False
        async with asyncio.timeout(5):
            while not await is_healthy(follower):
                await asyncio.sleep(0.01)
    assert history.requests[-1].after == history.watermark


async def is_healthy(follower: FeedFollower) -> bool:
    try:
        await follower.check()
    except FeedLostError:
        return False
    return True


async def test_an_api_server_that_is_away_is_waited_for(start_feed: Any, replica: Replica, history: Any) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    async with internal_channel(address, "internal-token-of-the-tests") as channel:
        follower = FeedFollower(EmbeddingFeedServiceStub(channel), replica)
        async with running(follower) as following:
            await asyncio.sleep(0.2)
            with pytest.raises(UnavailableError):
                await follower.check()
            async with start_feed(address):
                await reaches(replica, history)
                await follower.check()
                # A server that stops waits for its streams.
                following.cancel()


async def test_a_feed_that_breaks_its_contract_is_unhealthy_until_it_does_not(
    follower: FeedFollower, replica: Replica, history: Any, unit_vectors: Any
) -> None:
    async with running(follower):
        await reaches(replica, history)
        broken = uuid4()
        history.put(broken, np.ones(1, np.float32))
        async with asyncio.timeout(5):
            while await is_healthy(follower):
                await asyncio.sleep(0.01)
        assert replica.serving().sequence == 10
        history.put(broken, unit_vectors(1)[0])
        await reaches(replica, history)
        await follower.check()


async def test_a_rebuild_replaces_the_index(follower: FeedFollower, replica: Replica, history: Any) -> None:
    async with running(follower):
        await reaches(replica, history)
        old = replica.serving()
        rebuilt = await follower.rebuild()
        assert replica.serving() is rebuilt
        assert rebuilt is not old
        assert serving_count(replica) == 10


async def test_a_rebuild_without_a_feed_leaves_the_index_as_it_is(
    follower: FeedFollower, replica: Replica, history: Any
) -> None:
    async with running(follower):
        await reaches(replica, history)
        old = replica.serving()
        history.silent = True
        with pytest.raises(UnavailableError, match="could not be rebuilt"):
            await follower.rebuild()
        assert replica.serving() is old
