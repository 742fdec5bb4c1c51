"""The embedding spaces that results may be in."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from api_server.database.schema import EmbeddingSpace, Vector
from whodex.errors import InvalidArgumentError
from whodex.runtime.embedding import from_proto
from whodex.v1 import embedding_pb2, error_reason_pb2

_DIMENSIONS = select(EmbeddingSpace.space, EmbeddingSpace.dimension)


async def registered_dimensions(session: AsyncSession) -> Mapping[str, int]:
    """Returns the dimension of each space that a worker has registered."""
    return {row.space: row.dimension for row in await session.execute(_DIMENSIONS)}


def checked_vector(embedding: embedding_pb2.Embedding, dimensions: Mapping[str, int]) -> Vector:
    """Returns the float32 (d,) vector of unit length.

    Raises:
        InvalidArgumentError: EMBEDDING_MISMATCH when it is not usable, or not of a registered space.
    """
    if dimensions.get(embedding.space) != embedding.dimension:
        raise InvalidArgumentError(
            f"The embedding is not usable: space {embedding.space!r} with {embedding.dimension} dimensions is not "
            "registered. Restart the worker, so that it registers its model.",
            reason=error_reason_pb2.ERROR_REASON_EMBEDDING_MISMATCH,
        )
    return from_proto(embedding)
