"""Whether new photos of a person show the same face as the others do (docs/decisions, same person)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from api_server.database.schema import Vector
from api_server.results.aggregation import aggregate


@dataclass(frozen=True, eq=False)
class Candidate:
    """A photo that is about to become READY.

    Attributes:
        vector: float32 (d,) of unit length.
        weight: above 0, at most 1.
        confirmed: somebody has said that it shows the person.
    """

    vector: Vector
    weight: float
    confirmed: bool


@dataclass(frozen=True, eq=False)
class Accepted:
    """The READY photos of a person.

    Attributes:
        vectors: float32 (n, d), each of unit length.
        weights: float32 (n,).
    """

    vectors: NDArray[np.float32]
    weights: NDArray[np.float32]

    def plus(self, candidate: Candidate) -> Accepted:
        """These and one more."""
        return Accepted(
            np.concatenate([self.vectors, candidate.vector[None]]),
            np.append(self.weights, np.float32(candidate.weight)),
        )


def disagreements(candidates: Sequence[Candidate], ready: Accepted, *, least: float) -> list[float | None]:
    """Finds the candidates that show somebody else than the other photos of the person.

    One after the other they are compared with the mean of the photos that are READY by then. Those that agree most with
    all the others come first, so that a wrong one among several that arrive together is the one that is left over. The
    first of all has nothing to be compared with.

    Args:
        candidates: photos of one person, in one space, the oldest first.
        ready: the photos of that person and space that are READY.
        least: the similarity to the mean of the others from which on a photo shows the person; a cosine.

    Returns:
        For each candidate None if it is accepted, else its similarity, below `least`.
    """
    similarities: list[float | None] = [None] * len(candidates)
    for index in _by_agreement(candidates, ready):
        candidate = candidates[index]
        similarity = _similarity(candidate, ready)
        if candidate.confirmed or similarity is None or similarity >= least:
            ready = ready.plus(candidate)
        else:
            similarities[index] = similarity
    return similarities


def _by_agreement(candidates: Sequence[Candidate], ready: Accepted) -> list[int]:
    """Their order: what is confirmed first, then what is nearest to the others; of equals the oldest."""
    vectors = np.stack([candidate.vector for candidate in candidates])
    # Rounded, so that two that can only agree with each other are equals.
    agreement = np.round(vectors @ (vectors.sum(axis=0) + ready.vectors.sum(axis=0)), 4)
    return sorted(range(len(candidates)), key=lambda index: (not candidates[index].confirmed, -agreement[index]))


def _similarity(candidate: Candidate, ready: Accepted) -> float | None:
    if not len(ready.vectors):
        return None
    return float(aggregate(ready.vectors, ready.weights) @ candidate.vector)
