"""The embedding spaces that results may be in."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from api_server.database.schema import EmbeddingSpace, Vector
from whodex.errors import InvalidArgumentError
from whodex.runtime.embedding import from_proto
from whodex.v1 import embedding_pb2, error_reason_pb2


async def registered_spaces(session: AsyncSession) -> Mapping[str, EmbeddingSpace]:
    """Returns the spaces that workers have registered, by their ids."""
    return {space.space: space for space in await session.scalars(select(EmbeddingSpace))}


def lowest_threshold(space: EmbeddingSpace) -> float:
    """Returns the similarity of the highest false match rate that the space is calibrated for."""
    return min(float(threshold["similarity"]) for threshold in space.thresholds)


def checked_vector(embedding: embedding_pb2.Embedding, spaces: Mapping[str, EmbeddingSpace]) -> Vector:
    """Returns the float32 (d,) vector of unit length.

    Raises:
        InvalidArgumentError: EMBEDDING_MISMATCH when it is not usable, or not of a registered space.
    """
    space = spaces.get(embedding.space)
    if space is None or space.dimension != embedding.dimension:
        raise InvalidArgumentError(
            f"The embedding is not usable: space {embedding.space!r} with {embedding.dimension} dimensions is not "
            "registered. Restart the worker, so that it registers its model.",
            reason=error_reason_pb2.ERROR_REASON_EMBEDDING_MISMATCH,
        )
    return from_proto(embedding)
