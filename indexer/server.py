"""The composition root of `python -m indexer`."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator

from indexer.follower import FeedFollower
from indexer.index import IndexImage, VectorIndex
from indexer.replica import Replica
from indexer.search_pool import SearchPool
from indexer.servicers.index_service import IndexServicer
from indexer.settings import IndexerSettings
from indexer.snapshots import SnapshotDirectoryInUseError, SnapshotStore
from whodex.runtime.channel import internal_channel
from whodex.runtime.credentials import internal_credential
from whodex.runtime.log import configure_logging, get_logger
from whodex.runtime.server import Listener, Service, serve
from whodex.runtime.settings import live_secrets, load_settings
from whodex.v1 import index_service_pb2
from whodex.v1.embedding_feed_service_pb2_grpc import EmbeddingFeedServiceStub
from whodex.v1.index_service_pb2_grpc import add_IndexServiceServicer_to_server

SERVICE_NAME = index_service_pb2.DESCRIPTOR.services_by_name["IndexService"].full_name
_log = get_logger()


def main() -> None:
    """Serves until SIGTERM or SIGINT, then writes a snapshot."""
    configure_logging("indexer")
    settings = load_settings(IndexerSettings)
    try:
        asyncio.run(_run(settings))
    except SnapshotDirectoryInUseError as error:
        sys.exit(f"cannot start: {error}")


async def _run(settings: IndexerSettings) -> None:
    async with following(settings) as listener:
        await serve([listener])


@contextlib.asynccontextmanager
async def following(settings: IndexerSettings) -> AsyncIterator[Listener]:
    """Loads the newest snapshot, follows the feed, and at the end writes a snapshot.

    Yields:
        The listener to serve, whose service is SERVING as soon as the index has caught up.

    Raises:
        SnapshotDirectoryInUseError: another indexer uses the directory.
    """
    token = settings.internal_token
    async with contextlib.AsyncExitStack() as stack:
        snapshots = stack.enter_context(SnapshotStore.opened(settings.index_dir))
        pool = await stack.enter_async_context(SearchPool(_cores()))
        channel = await stack.enter_async_context(
            internal_channel(settings.internal_address, live_secrets(token)[0], settings.mesh)
        )
        replica = Replica(_index_of(await asyncio.to_thread(snapshots.load_newest)))
        follower = FeedFollower(EmbeddingFeedServiceStub(channel), replica)
        servicer = IndexServicer(replica, follower, pool, snapshots)
        service = Service(SERVICE_NAME, add_IndexServiceServicer_to_server, servicer, [follower.check])
        async with _running(follower):
            yield Listener(
                settings.indexer_listen,
                [service],
                internal_credential(token),
                tls=settings.mesh,
                allow_plaintext=settings.allow_plaintext,
            )
        if replica.current is not None:
            await asyncio.to_thread(_write_last, snapshots, replica.current.image())


def _cores() -> int:
    return len(os.sched_getaffinity(0))


def _index_of(image: IndexImage | None) -> VectorIndex | None:
    return None if image is None else VectorIndex.from_image(image)


@contextlib.asynccontextmanager
async def _running(follower: FeedFollower) -> AsyncIterator[None]:
    """Follows the feed meanwhile. A defect in the follower ends the process: a stale index must not look alive."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(follower.run())
        yield
        task.cancel()


def _write_last(snapshots: SnapshotStore, image: IndexImage) -> None:
    try:
        snapshots.write(image)
    except OSError as error:
        # The next start reads more of the feed; nothing is lost.
        _log.error("no snapshot written", why=str(error))
