"""Who the library recognises on the photographs of `make bench-accuracy`, by the same protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.benchmarks.face_recognition import environment
from tests.benchmarks.report import Row

TOLERANCE = 0.6
"""The distance below which the library's own `compare_faces` says that two faces are one person's."""
FALSE_MATCH_RATE = 1e-3

Photos = Mapping[str, Sequence[Path]]


def measure(references: Photos, probes: Photos) -> list[Row]:
    """Takes the mean of a person's encodings for the person, and counts who is nearest.

    A photograph in which the library finds no face is a miss.
    """
    people = np.stack([_mean(encodings) for encodings in _encodings(references)])
    own, others, nearest_is_own = [], [], 0
    for person, encodings in enumerate(_encodings(probes)):
        for encoding in encodings:
            distances = np.full(len(people), np.inf) if encoding is None else np.linalg.norm(people - encoding, axis=1)
            own.append(distances[person])
            others.extend(np.delete(distances, person))
            nearest_is_own += encoding is not None and int(distances.argmin()) == person
    return _rows(np.array(own), np.array(others), nearest_is_own / len(own))


def _encodings(photos: Photos) -> list[list[list[float] | None]]:
    """For each person the encodings of the photographs, in their order."""
    found = iter(environment.encodings([photo for files in photos.values() for photo in files]))
    return [[next(found) for _ in files] for files in photos.values()]


def _mean(encodings: Sequence[list[float] | None]) -> NDArray[np.float64]:
    return np.mean([encoding for encoding in encodings if encoding is not None], axis=0)


def _rows(own: NDArray[np.float64], others: NDArray[np.float64], rank1: float) -> list[Row]:
    # As many comparisons with others as the rate allows may be nearer than this.
    threshold = np.sort(others)[int(FALSE_MATCH_RATE * len(others))]
    false_matches, true_matches = int((others <= TOLERANCE).sum()), int((own <= TOLERANCE).sum())
    return [
        Row("face_recognition_rank1", rank1, "share", note=f"of {len(own)} photographs, the same as rank1"),
        Row(
            "face_recognition_true_matches",
            float((own < threshold).mean()),
            "share",
            note=f"at FMR 1e-3, distance {threshold:.3f}, chosen on these very {len(others)} comparisons with others",
        ),
        Row(
            "face_recognition_false_matches",
            false_matches,
            "comparisons",
            note=f"at the library's own tolerance of {TOLERANCE}; true ones {true_matches} of {len(own)}",
        ),
    ]
