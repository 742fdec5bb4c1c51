"""EmbeddingFeedService: converts, follows, converts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any
from uuid import UUID

from grpc.aio import ServicerContext
from sqlalchemy import Row

from api_server.database.engine import Database
from api_server.database.notifications import NotificationHub
from api_server.database.schema import CollectionKind
from api_server.feed.position import FeedPosition
from api_server.feed.stream import Batch, follow
from whodex.v1 import embedding_feed_service_pb2 as pb
from whodex.v1 import embedding_pb2
from whodex.v1.embedding_feed_service_pb2_grpc import EmbeddingFeedServiceServicer

Context = ServicerContext[Any, Any]

_KINDS = {
    CollectionKind.PEOPLE: pb.COLLECTION_KIND_PEOPLE,
    CollectionKind.APPEARANCES: pb.COLLECTION_KIND_APPEARANCES,
}
_FLOAT32_BYTES = 4


class EmbeddingFeedServicer(EmbeddingFeedServiceServicer):
    """Serves those who keep an index."""

    def __init__(self, database: Database, hub: NotificationHub) -> None:
        self._database = database
        self._hub = hub

    async def StreamChanges(
        self, request: pb.StreamChangesRequest, context: Context
    ) -> AsyncIterator[pb.StreamChangesResponse]:
        """Streams until the follower hangs up."""
        async with aclosing(follow(self._database, self._hub, _position(request))) as batches:
            async for batch, restart in batches:
                yield _response(batch, restart=restart)


def _position(request: pb.StreamChangesRequest) -> FeedPosition | None:
    if not request.HasField("after"):
        return None
    return FeedPosition(UUID(request.after.epoch), request.after.sequence)


def _response(batch: Batch, *, restart: bool) -> pb.StreamChangesResponse:
    return pb.StreamChangesResponse(
        watermark=pb.Watermark(epoch=str(batch.position.epoch), sequence=batch.position.sequence),
        changes=[_change(row) for row in batch.changes],
        restart=restart,
        newest_sequence=batch.newest_sequence,
    )


def _change(row: Row[Any]) -> pb.EmbeddingChange:
    collection = pb.Collection(library=str(row.library_id), kind=_KINDS[row.kind], space=row.space)
    change = pb.EmbeddingChange(sequence=row.sequence, collection=collection, id=str(row.id))
    if row.vector is not None:
        dimension = len(row.vector) // _FLOAT32_BYTES
        change.embedding.CopyFrom(embedding_pb2.Embedding(space=row.space, vector=row.vector, dimension=dimension))
    return change
