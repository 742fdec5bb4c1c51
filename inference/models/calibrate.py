"""Measures an embedder's thresholds: ``python -m inference.models.calibrate DIRECTORY TRITON_ADDRESS``.

The directory holds one folder of photos for each person. Every pair of photos is compared; the table that is
printed goes into the model's manifest.
"""

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inference.faces.analyzer import Face, FaceAnalyzer
from inference.faces.decode import DecodedImage, decode_image
from inference.models.calibration import Threshold
from inference.triton.client import DETECTOR, TritonClient
from whodex.cli.output import print_line

RATES = (1e-2, 1e-3, 1e-4, 1e-5)
TAIL = 0.02
"""The share of the comparisons of different people that the extrapolation is fitted to."""
MIN_FALSE_MATCHES = 4
"""A rate at which fewer false matches are expected counts as too rare to be measured on the set."""


def thresholds(same: NDArray[np.float32], other: NDArray[np.float32]) -> list[Threshold]:
    """Find the similarity that gives each rate.

    A measured threshold lies just above the similarity of the first pair of different people that must not
    match. Past what the set can measure, the tail of their similarities is taken as exponential: the
    peaks-over-threshold method (Coles, An Introduction to Statistical Modeling of Extreme Values, 2001,
    chapter 4) with shape 0, which overstates tails that are bounded, as cosines are.

    Args:
        same: float32 (S,), cosine similarities of pairs of photos of one person.
        other: float32 (D,), those of pairs of different people.
    """
    return [_threshold(rate, same, np.sort(other)[::-1]) for rate in RATES]


def _threshold(rate: float, same: NDArray[np.float32], other: NDArray[np.float32]) -> Threshold:
    allowed = rate * len(other)
    extrapolated = allowed < MIN_FALSE_MATCHES
    similarity = _extrapolated(rate, other) if extrapolated else float(other[int(allowed)])
    # Rounded up, to the precision at which the same photos give the same figure on any runtime.
    similarity = float(np.ceil(similarity * 1000) / 1000)
    return Threshold(
        fmr=rate,
        similarity=similarity,
        true_match_rate=float((same >= similarity).mean()),
        extrapolated=extrapolated,
    )


def _extrapolated(rate: float, other: NDArray[np.float32]) -> float:
    exceeding = int(TAIL * len(other))
    start = float(other[exceeding])
    mean_excess = float((other[:exceeding] - start).mean())
    return start + mean_excess * float(np.log(TAIL / rate))


def similarities(embeddings: NDArray[np.float32], people: list[str]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Compare all pairs.

    Args:
        embeddings: float32 (N, D), rows of length 1.
        people: whose each one is.

    Returns:
        float32 (S,) of pairs of one person, and float32 (D,) of pairs of different people.
    """
    first, second = np.triu_indices(len(people), k=1)
    cosines = (embeddings @ embeddings.T)[first, second]
    is_same = np.asarray(people)[first] == np.asarray(people)[second]
    return cosines[is_same], cosines[~is_same]


def main() -> None:
    """Measure and print."""
    directory, address = sys.argv[1:]
    photos = sorted(Path(directory).glob("*/*"))
    images = [decode_image(photo.read_bytes()) for photo in photos]
    analyzer = FaceAnalyzer(TritonClient(address), DETECTOR.input.sizes)
    found = analyzer.find_faces(images, retry=True)
    people = [photo.parent.name for photo, faces in zip(photos, found, strict=True) if faces]
    subjects = [_most_central(image, faces) for image, faces in zip(images, found, strict=True) if faces]
    same, other = similarities(analyzer.embed(subjects), people)
    print_line(f"{len(photos)} photos, {len(photos) - len(subjects)} without a face")
    print_line(f"same person: {len(same)} pairs, mean {same.mean():.3f}, lowest {same.min():.3f}")
    print_line(f"other person: {len(other)} pairs, mean {other.mean():.3f}, highest {other.max():.3f}")
    for threshold in thresholds(same, other):
        print_line(str(threshold))


def _most_central(image: DecodedImage, faces: list[Face]) -> Face:
    centre = np.array([image.width, image.height]) / 2

    def distance(face: Face) -> float:
        return float(np.linalg.norm(face.box_xyxy.reshape(2, 2).mean(axis=0) - centre))

    return min(faces, key=distance)


if __name__ == "__main__":
    main()
