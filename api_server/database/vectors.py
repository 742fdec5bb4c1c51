"""Vectors in statements that take many rows as one JSON parameter, which costs a fraction of a round trip for each."""

from __future__ import annotations

import base64

import numpy as np

from api_server.database.schema import Vector


def vector_base64(vector: Vector) -> str:
    """Returns the bytes of a float32 (d,) vector, as `EmbeddingVector` stores them, for `decode(..., 'base64')`."""
    if vector.dtype != np.float32 or vector.ndim != 1:
        raise TypeError(f"an embedding is a float32 vector, not {vector.dtype} of rank {vector.ndim}")
    return base64.b64encode(vector.astype("<f4", copy=False).tobytes()).decode()
