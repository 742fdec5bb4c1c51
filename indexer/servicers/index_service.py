"""IndexService: convert, call, convert."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import grpc.aio
import numpy as np
from numpy.typing import NDArray

from indexer.collection import ID_BYTES
from indexer.follower import FeedFollower
from indexer.index import IndexImage, VectorIndex, collection_key, read_vector
from indexer.replica import Replica, watermark_of
from indexer.search import Neighbors, QueryLimits
from indexer.search_pool import SearchPool
from indexer.snapshots import SnapshotStore
from whodex.errors import FieldViolation, InvalidArgumentError, UnavailableError
from whodex.v1 import embedding_feed_service_pb2 as feed
from whodex.v1 import error_reason_pb2
from whodex.v1 import index_service_pb2 as pb
from whodex.v1.index_service_pb2_grpc import IndexServiceServicer

_Context = grpc.aio.ServicerContext[Any, Any]


class IndexServicer(IndexServiceServicer):
    """Answers from a replica.

    Args:
        replica: what is searched.
        follower: what rebuilds it.
        pool: where searches run.
        snapshots: where snapshots go.
    """

    def __init__(self, replica: Replica, follower: FeedFollower, pool: SearchPool, snapshots: SnapshotStore) -> None:
        self._replica = replica
        self._follower = follower
        self._pool = pool
        self._snapshots = snapshots
        # From an image to its file: an image from before a purge must not be written after it.
        self._writing = asyncio.Lock()

    async def Search(self, request: pb.SearchRequest, context: _Context) -> pb.SearchResponse:
        """Waits for `at_least`, then searches what is applied at that moment."""
        queries = _read_queries(request.queries, request.collection.space)
        if request.HasField("at_least"):
            await self._replica.reach(request.at_least)
        index = self._replica.serving()
        _check_dimension(index.dimension(request.collection.space), queries.shape[1])
        watermark = watermark_of(index)
        view = index.view(collection_key(request.collection))
        if view is None:
            return pb.SearchResponse(results=[pb.Neighbors() for _ in request.queries], watermark=watermark)
        limits = [QueryLimits(query.min_similarity, query.max_neighbors) for query in request.queries]
        found = await self._pool.search(view, queries, limits)
        return pb.SearchResponse(results=map(_neighbors, found), watermark=watermark)

    async def GetStatus(self, request: pb.GetStatusRequest, context: _Context) -> pb.GetStatusResponse:
        """Says what is applied, also while the index is catching up."""
        index = self._replica.current
        if index is None:
            return pb.GetStatusResponse(lag=self._replica.lag)
        return pb.GetStatusResponse(watermark=watermark_of(index), lag=self._replica.lag, collections=_statuses(index))

    async def Snapshot(self, request: pb.SnapshotRequest, context: _Context) -> pb.SnapshotResponse:
        """Writes what is served; searches and changes go on meanwhile."""
        async with self._writing:
            image = self._replica.serving().image()
            try:
                await asyncio.to_thread(self._snapshots.write, image)
            except OSError as error:
                raise _not_written(error) from error
        return pb.SnapshotResponse(watermark=_watermark(image))

    async def PurgeSnapshots(self, request: pb.PurgeSnapshotsRequest, context: _Context) -> pb.PurgeSnapshotsResponse:
        """Waits for `at_least`, then replaces the snapshots by what is applied at that moment."""
        await self._replica.reach(request.at_least)
        async with self._writing:
            image = self._replica.serving().image()
            await asyncio.to_thread(self._snapshots.purge, image)
        return pb.PurgeSnapshotsResponse(watermark=_watermark(image))

    async def Rebuild(self, request: pb.RebuildRequest, context: _Context) -> pb.RebuildResponse:
        """Reads the feed from its start; the old index serves until the new one has caught up."""
        return pb.RebuildResponse(watermark=watermark_of(await self._follower.rebuild()))


def _read_queries(queries: Sequence[pb.IndexQuery], space: str) -> NDArray[np.float32]:
    """Returns float32 (queries, dimension)."""
    for number, query in enumerate(queries):
        if query.embedding.space != space:
            raise _mismatch(number, f"is of space {query.embedding.space!r}, the collection of {space!r}")
        if query.embedding.dimension != queries[0].embedding.dimension:
            raise _mismatch(number, "has another dimension than the first one")
    return np.stack([read_vector(query.embedding) for query in queries])


def _check_dimension(known: int | None, dimension: int) -> None:
    if known is not None and dimension != known:
        raise _mismatch(0, f"has {dimension} values, the collection's vectors have {known}")


def _mismatch(number: int, problem: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"The embedding of query {number} does not fit: it {problem}.",
        reason=error_reason_pb2.ERROR_REASON_EMBEDDING_MISMATCH,
        violations=[FieldViolation(f"queries[{number}].embedding", problem)],
    )


def _not_written(error: OSError) -> UnavailableError:
    return UnavailableError(
        f"The snapshot could not be written ({error.strerror}). Searching goes on; free or repair the disk.",
        reason=error_reason_pb2.ERROR_REASON_STORAGE_UNAVAILABLE,
    )


def _watermark(image: IndexImage) -> feed.Watermark:
    return feed.Watermark(epoch=str(image.epoch), sequence=image.sequence)


def _neighbors(found: Neighbors) -> pb.Neighbors:
    packed = found.ids.tobytes()
    starts = range(0, len(packed), ID_BYTES)
    ids = [str(UUID(bytes=packed[start : start + ID_BYTES])) for start in starts]
    return pb.Neighbors(ids=ids, similarities=found.similarities.tolist())


def _statuses(index: VectorIndex) -> list[pb.CollectionStatus]:
    return [
        pb.CollectionStatus(
            collection=feed.Collection(library=str(key.library), kind=key.kind, space=key.space),
            vector_count=view.live_count,
        )
        for key, view in index.image().collections.items()
    ]
