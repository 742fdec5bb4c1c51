"""Arithmetic on embeddings."""

import numpy as np
from numpy.typing import NDArray


def normalise(embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale embeddings to Euclidean length 1.

    Args:
        embeddings: float32 (..., D).

    Returns:
        float32 (..., D).

    Raises:
        ValueError: one has no direction: it is zero or not finite.
    """
    lengths = np.linalg.norm(embeddings, axis=-1, keepdims=True)
    if not (np.isfinite(lengths) & (lengths > 0)).all():
        raise ValueError("an embedding of length zero or not finite")
    return np.asarray(embeddings / lengths, np.float32)


def cosine_similarity(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float32]:
    """Compare embeddings of length 1.

    Args:
        first: float32 (N, D).
        second: float32 (M, D).

    Returns:
        float32 (N, M), each in [-1, 1].
    """
    return np.asarray((first @ second.T).clip(-1, 1), np.float32)
