"""Chooses the few best pictures of a face, spread over time, while the pictures stream by."""

from dataclasses import dataclass

from inference.faces.analyzer import Face

CROP_SIZE_PX = 112
"""What the embedder sees of a face (the side of the ArcFace template); more pixels than these make no difference."""
MAX_SHOTS = 5
"""As many as the contract takes, see `StagedAppearance` in tasks.proto."""
MIN_APART_S = 1.0
"""Shots closer than this show the same look; only the better one stays. Chosen, not measured: five samples, about
the time in which a head turns or a face changes."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A picture that is among the best so far.

    Attributes:
        time_s: when it was taken, seconds.
        face: the face.
        thumbnail: the face, cropped; JPEG.
    """

    time_s: float
    face: Face
    thumbnail: bytes


def value(face: Face) -> float:
    """How good a picture of a face is, above 0, at most 1: its weight, less where it has fewer pixels than the crop."""
    return face.quality.weight * min(1.0, face.quality.face_size_px / CROP_SIZE_PX)


def wants(best: list[Candidate], time_s: float, face: Face) -> bool:
    """Whether a face would be among the best shots: asked before its picture is cut out.

    Args:
        best: the best so far.
        time_s: when the face was seen, seconds.
        face: the face.
    """
    rivals = [shot for shot in best if abs(shot.time_s - time_s) < MIN_APART_S]
    if rivals or len(best) < MAX_SHOTS:
        return all(value(shot.face) < value(face) for shot in rivals)
    return min(value(shot.face) for shot in best) < value(face)


def add(best: list[Candidate], candidate: Candidate) -> list[Candidate]:
    """The best shots with one more that they want, the best first."""
    apart = [shot for shot in best if abs(shot.time_s - candidate.time_s) >= MIN_APART_S]
    ranked = sorted([*apart, candidate], key=lambda shot: -value(shot.face))
    return ranked[:MAX_SHOTS]
