"""Embeddings between numpy and the contracts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from whodex.errors import FieldViolation, InvalidArgumentError
from whodex.v1 import embedding_pb2, error_reason_pb2

# A float32 sum of 512 squares is exact to about 1e-6; what is further off was never normalised.
UNIT_LENGTH_TOLERANCE = 1e-3


def to_proto(vector: NDArray[np.float32], space: str) -> embedding_pb2.Embedding:
    """Packs a float32 (d,) vector of unit length."""
    if vector.dtype != np.float32 or vector.ndim != 1:
        raise TypeError(f"an embedding is a float32 vector, not {vector.dtype} of rank {vector.ndim}")
    return embedding_pb2.Embedding(
        space=space, vector=vector.astype("<f4", copy=False).tobytes(), dimension=len(vector)
    )


def from_proto(embedding: embedding_pb2.Embedding) -> NDArray[np.float32]:
    """Unpacks into a float32 (d,) vector.

    Raises:
        InvalidArgumentError: EMBEDDING_MISMATCH when the bytes do not fit the dimension, a value is not finite, or the
            length is not 1.
    """
    if len(embedding.vector) != 4 * embedding.dimension:
        raise _invalid(f"{len(embedding.vector)} bytes are not {embedding.dimension} float32 values")
    vector = np.frombuffer(embedding.vector, dtype="<f4").astype(np.float32, copy=False)
    length = float(np.linalg.norm(vector))
    if not abs(length - 1.0) <= UNIT_LENGTH_TOLERANCE:
        raise _invalid(f"its length is {length:.4g}, not 1: normalise it first")
    return vector


def _invalid(problem: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"The embedding is not usable: {problem}.",
        reason=error_reason_pb2.ERROR_REASON_EMBEDDING_MISMATCH,
        violations=[FieldViolation("embedding.vector", problem)],
    )
