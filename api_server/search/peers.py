"""The services that a search asks. Whatever goes wrong there is an error here, never a smaller result."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from api_server.database.schema import CollectionKind, Vector
from api_server.feed import FeedPosition
from whodex.errors import DeadlineExceededError, InvalidArgumentError, UnavailableError, from_rpc_error
from whodex.runtime.embedding import to_proto
from whodex.v1 import (
    decoder_pb2,
    embedding_feed_service_pb2,
    error_reason_pb2,
    face_analysis_service_pb2,
    index_service_pb2,
)
from whodex.v1.error_reason_pb2 import ErrorReason

if TYPE_CHECKING:
    # They exist in the stubs' types alone.
    from whodex.v1.face_analysis_service_pb2_grpc import FaceAnalysisServiceAsyncStub
    from whodex.v1.index_service_pb2_grpc import IndexServiceAsyncStub

_CHECK_TIMEOUT_SECONDS = 2.0
_OF_THE_PICTURE = {
    error_reason_pb2.ERROR_REASON_UNREADABLE_IMAGE,
    error_reason_pb2.ERROR_REASON_DECODING_LIMIT_EXCEEDED,
    error_reason_pb2.ERROR_REASON_DECODER_CRASHED,
}
_KINDS = {
    CollectionKind.PEOPLE: embedding_feed_service_pb2.COLLECTION_KIND_PEOPLE,
    CollectionKind.APPEARANCES: embedding_feed_service_pb2.COLLECTION_KIND_APPEARANCES,
}


@dataclass(frozen=True)
class Peer:
    """Another service, as health checks see it."""

    name: str
    channel: grpc.aio.Channel

    async def check(self) -> None:
        """Raises `ConnectionError` unless the service says that it is SERVING."""
        stub: Any = health_pb2_grpc.HealthStub(self.channel)
        try:
            response = await stub.Check(health_pb2.HealthCheckRequest(), timeout=_CHECK_TIMEOUT_SECONDS)
        except grpc.RpcError as error:
            raise ConnectionError(f"{self.name} does not answer") from error
        if response.status != health_pb2.HealthCheckResponse.SERVING:
            raise ConnectionError(f"{self.name} is not ready")


class Index:
    """Nearest neighbours, from the indexer."""

    def __init__(self, stub: IndexServiceAsyncStub) -> None:
        self._stub = stub

    async def search(  # noqa: PLR0913 - a search is these
        self,
        collection: tuple[UUID, CollectionKind, str],
        vectors: Sequence[Vector],
        *,
        min_similarity: float,
        max_neighbors: int,
        at_least: FeedPosition | None,
        timeout_seconds: float,
    ) -> index_service_pb2.SearchResponse:
        """Searches the vectors of one collection.

        Args:
            collection: the library, the kind, the embedding space.
            vectors: float32 (d,) each, of unit length.
            min_similarity: cosine, inclusive.
            max_neighbors: per vector; 0: all.
            at_least: what the index must have applied; it is waited for.
            timeout_seconds: of the caller's deadline.

        Raises:
            UnavailableError: INDEX_UNAVAILABLE.
            DeadlineExceededError: the index has not caught up in time.
        """
        library_id, kind, space = collection
        request = index_service_pb2.SearchRequest(
            collection=embedding_feed_service_pb2.Collection(library=str(library_id), kind=_KINDS[kind], space=space),
            queries=[
                index_service_pb2.IndexQuery(
                    embedding=to_proto(vector, space), min_similarity=min_similarity, max_neighbors=max_neighbors
                )
                for vector in vectors
            ],
        )
        if at_least is not None:
            request.at_least.CopyFrom(_watermark(at_least))
        with _unavailable("The index", error_reason_pb2.ERROR_REASON_INDEX_UNAVAILABLE):
            return await self._stub.Search(request, timeout=timeout_seconds)

    async def purge_snapshots(self, position: FeedPosition, *, timeout_seconds: float) -> None:
        """Returns when the index has applied everything up to a position, and holds nothing older on disk.

        Raises:
            UnavailableError: INDEX_UNAVAILABLE.
            DeadlineExceededError: it was not done in time.
        """
        request = index_service_pb2.PurgeSnapshotsRequest(at_least=_watermark(position))
        with _unavailable("The index", error_reason_pb2.ERROR_REASON_INDEX_UNAVAILABLE):
            await self._stub.PurgeSnapshots(request, timeout=timeout_seconds)


class FaceAnalysis:
    """Faces in query pictures, from the face analysis service."""

    def __init__(self, stub: FaceAnalysisServiceAsyncStub) -> None:
        self._stub = stub

    async def analyze(
        self, image: bytes, timeout_seconds: float, *, every_face: bool
    ) -> list[face_analysis_service_pb2.AnalyzedFace]:
        """Returns the faces in a picture, the largest first.

        Raises:
            InvalidArgumentError: UNREADABLE_IMAGE, DECODING_LIMIT_EXCEEDED or DECODER_CRASHED.
            UnavailableError: INFERENCE_UNAVAILABLE.
            DeadlineExceededError: no answer in time.
        """
        request = face_analysis_service_pb2.AnalyzeImageRequest(image=image, every_face=every_face)
        with _unavailable("Face analysis", error_reason_pb2.ERROR_REASON_INFERENCE_UNAVAILABLE):
            return list((await self._stub.AnalyzeImage(request, timeout=timeout_seconds)).faces)

    async def decoder_host(self) -> decoder_pb2.DecoderHost:
        """Returns where the pictures are decoded.

        Raises:
            UnavailableError: INFERENCE_UNAVAILABLE.
            DeadlineExceededError: no answer in time.
        """
        with _unavailable("Face analysis", error_reason_pb2.ERROR_REASON_INFERENCE_UNAVAILABLE):
            request = face_analysis_service_pb2.GetDecoderRequest()
            return (await self._stub.GetDecoder(request, timeout=_CHECK_TIMEOUT_SECONDS)).host


def _watermark(position: FeedPosition) -> embedding_feed_service_pb2.Watermark:
    return embedding_feed_service_pb2.Watermark(epoch=str(position.epoch), sequence=position.sequence)


@contextmanager
def _unavailable(peer: str, reason: ErrorReason.ValueType) -> Iterator[None]:
    try:
        yield
    except grpc.RpcError as error:
        known = from_rpc_error(error)
        if isinstance(known, DeadlineExceededError):
            raise known from error
        if isinstance(known, InvalidArgumentError) and known.reason in _OF_THE_PICTURE:
            raise known from error
        raise UnavailableError(
            f"{peer} does not answer: {known.message} Try again in a moment.", reason=reason, retry_after_seconds=1
        ) from error
