"""A feed over real gRPC whose history a test writes itself, and the indexer that follows it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import SecretStr

from indexer.index import VectorIndex
from indexer.server import following
from indexer.settings import IndexerSettings
from whodex.errors import OutOfRangeError
from whodex.runtime.channel import internal_channel
from whodex.runtime.credentials import internal_credential
from whodex.runtime.embedding import to_proto
from whodex.runtime.server import HealthCheck, Listener, Service, running
from whodex.v1 import embedding_feed_service_pb2 as feed
from whodex.v1 import error_reason_pb2
from whodex.v1.embedding_feed_service_pb2_grpc import (
    EmbeddingFeedServiceServicer,
    EmbeddingFeedServiceStub,
    add_EmbeddingFeedServiceServicer_to_server,
)
from whodex.v1.index_service_pb2_grpc import IndexServiceStub

LOOPBACK = "127.0.0.1:0"
TOKEN = "internal-token-of-the-tests"  # noqa: S105 - it opens nothing but this test's servers
BATCH_CHANGES = 3
HEARTBEAT_SECONDS = 0.02


@dataclass
class History(EmbeddingFeedServiceServicer):
    """A history of embeddings, and the feed of it as the contract describes it."""

    space: str = "space-a"
    library: UUID = field(default_factory=uuid4)
    epoch: UUID = field(default_factory=uuid4)
    sequence: int = 0
    horizon: int = 0
    silent: bool = False
    requests: list[feed.StreamChangesRequest] = field(default_factory=list)
    _last_changes: dict[str, feed.EmbeddingChange] = field(default_factory=dict)

    @property
    def collection(self) -> feed.Collection:
        """Where `put` puts vectors."""
        return feed.Collection(library=str(self.library), kind=feed.COLLECTION_KIND_PEOPLE, space=self.space)

    @property
    def watermark(self) -> feed.Watermark:
        """Everything up to now."""
        return feed.Watermark(epoch=str(self.epoch), sequence=self.sequence)

    def put(self, id_: UUID, vector: NDArray[np.float32]) -> None:
        """Commits a vector."""
        self._commit(id_, feed.EmbeddingChange(embedding=to_proto(vector, self.space)))

    def remove(self, id_: UUID) -> None:
        """Commits a deletion."""
        self._commit(id_, feed.EmbeddingChange())

    def forget_deletions(self) -> None:
        """Who is behind now has to start from nothing."""
        self.horizon = self.sequence

    def restore(self) -> None:
        """Becomes another history, as a restored database does."""
        self.epoch, self.sequence, self.horizon = uuid4(), 0, 0
        self._last_changes.clear()

    def message(self, after: int, *, restart: bool = False) -> feed.StreamChangesResponse:
        """What the feed says next to who has seen everything up to `after`."""
        newer = [change for change in self._last_changes.values() if change.sequence > after]
        batch = sorted(newer, key=lambda change: change.sequence)[:BATCH_CHANGES]
        end = self.sequence if len(batch) == len(newer) else batch[-1].sequence
        watermark = feed.Watermark(epoch=str(self.epoch), sequence=end)
        return feed.StreamChangesResponse(
            watermark=watermark, changes=batch, restart=restart, newest_sequence=self.sequence
        )

    def messages(self, after: int = 0) -> Iterator[feed.StreamChangesResponse]:
        """What the feed says until there is no more for now."""
        restart = after == 0
        while True:
            message = self.message(after, restart=restart)
            yield message
            after, restart = message.watermark.sequence, False
            if after == self.sequence:
                return

    async def StreamChanges(  # noqa: N802 - gRPC's name
        self,
        request: feed.StreamChangesRequest,
        context: Any,  # noqa: ARG002 - gRPC's signature
    ) -> AsyncIterator[feed.StreamChangesResponse]:
        """The contract's stream; while `silent` is set it says nothing."""
        self.requests.append(request)
        epoch, after = self.epoch, request.after.sequence
        restart = after == 0 or request.after.epoch != str(epoch)
        if not restart and after < self.horizon:
            raise OutOfRangeError("Too old.", reason=error_reason_pb2.ERROR_REASON_WATERMARK_TOO_OLD)
        after = 0 if restart else after
        while self.epoch == epoch:
            if not self.silent:
                message = self.message(after, restart=restart)
                yield message
                after, restart = message.watermark.sequence, False
            if self.silent or after == self.sequence:
                await asyncio.sleep(HEARTBEAT_SECONDS)

    def _commit(self, id_: UUID, change: feed.EmbeddingChange) -> None:
        self.sequence += 1
        change.sequence, change.id = self.sequence, str(id_)
        change.collection.CopyFrom(self.collection)
        self._last_changes[change.id] = change


@dataclass(frozen=True)
class RunningIndexer:
    """An indexer over real gRPC."""

    address: str
    stub: Any
    check: HealthCheck

    async def caught_up(self) -> None:
        """Waits until the indexer is healthy."""
        async with asyncio.timeout(5):
            while not await self.is_healthy():
                await asyncio.sleep(0.01)

    async def is_healthy(self) -> bool:
        """Whether its health check passes."""
        try:
            await self.check()
        except Exception:  # noqa: BLE001 - whatever a check raises means unhealthy
            return False
        return True


StartFeed = Callable[[str], AbstractAsyncContextManager[str]]
StartIndexer = Callable[[], AbstractAsyncContextManager[RunningIndexer]]
UnitVectors = Callable[[int], NDArray[np.float32]]


@pytest.fixture
def unit_vectors() -> UnitVectors:
    """Makes float32 (count, 8) vectors of length 1, other ones each time."""
    generator = np.random.default_rng(0)

    def make(count: int) -> NDArray[np.float32]:
        vectors = generator.standard_normal((count, 8))
        unit: NDArray[np.float32] = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
        return unit

    return make


@pytest.fixture
def new_history() -> Callable[[], History]:
    """Makes histories, for tests that need one per example."""
    return History


@pytest.fixture
def history() -> History:
    return History()


@pytest.fixture
def index_of() -> Callable[[History], VectorIndex]:
    """Makes an index that holds all of a history."""

    def make(history: History) -> VectorIndex:
        index = VectorIndex(history.epoch)
        for message in history.messages():
            index.apply(message)
        return index

    return make


@pytest.fixture
def start_feed(history: History) -> StartFeed:
    """Serves the history at an address; yields the address with the port that it got."""

    @contextlib.asynccontextmanager
    async def start(address: str = LOOPBACK) -> AsyncIterator[str]:
        service = Service("whodex.v1.EmbeddingFeedService", add_EmbeddingFeedServiceServicer_to_server, history)
        listener = Listener(address, [service], internal_credential(SecretStr(TOKEN)))
        async with running(listener) as port:
            yield f"127.0.0.1:{port}"

    return start


@pytest.fixture
async def feed_address(start_feed: Callable[[], AbstractAsyncContextManager[str]]) -> AsyncIterator[str]:
    async with start_feed() as address:
        yield address


@pytest.fixture
async def feed_stub(feed_address: str) -> AsyncIterator[Any]:
    async with internal_channel(feed_address, TOKEN) as channel:
        yield EmbeddingFeedServiceStub(channel)


@pytest.fixture
def start_indexer(feed_address: str, tmp_path: Path) -> StartIndexer:
    """Runs the indexer as the process does, each time on the same directory; one at a time."""

    @contextlib.asynccontextmanager
    async def start() -> AsyncIterator[RunningIndexer]:
        settings = IndexerSettings(
            indexer_listen=LOOPBACK,
            internal_address=feed_address,
            internal_token=SecretStr(TOKEN),
            index_dir=tmp_path / "index",
        )
        async with (
            following(settings) as listener,
            running(listener) as port,
            internal_channel(f"127.0.0.1:{port}", TOKEN) as channel,
        ):
            yield RunningIndexer(f"127.0.0.1:{port}", IndexServiceStub(channel), listener.services[0].checks[0])

    return start


@pytest.fixture
async def indexer(start_indexer: StartIndexer) -> AsyncIterator[RunningIndexer]:
    async with start_indexer() as started:
        yield started
