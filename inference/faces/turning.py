"""Pictures that are stored sideways or upside down without saying so, and people who lie in them.

The detector finds most faces whichever way they are turned, but its landmarks are wrong then, and with them the
embedding. With 100 photographs (LFW) turned by a quarter, two and three quarters it found 96, 94 and 96 faces, with
scores like those of upright ones, and every second embedding had a cosine below 0.5 to that of the upright photograph.
The landmarks give it away; see `upright`.
"""

from collections.abc import Mapping
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from inference.faces.alignment import ARCFACE_TEMPLATE_XY, estimate_similarity
from inference.faces.suppression import suppress_seen_twice

MAX_ROLL_DEG: Final = 35.0
"""Between the axis of an upright face and the picture's. 24 at most in the 100 photographs."""

MAX_TEMPLATE_ERROR_PX: Final = 7.5
"""Root mean square distance of aligned landmarks from the ArcFace template of 112 pixels. 6.8 at most in the 100
photographs; upside-down faces, for which the detector invents landmarks, have 14 at the median."""

SURE_SCORE: Final = 0.995
"""Upright faces that are seen large enough score higher: one of the 100 scored less. Faces that fill a picture upside
down have landmarks like upright ones in two of three cases; of those 97 % score less."""

QUARTERS: Final = (2, 1, 3)
"""The turns to try: upside down, and either side."""

_TURNS: Final = {1: cv2.ROTATE_90_CLOCKWISE, 2: cv2.ROTATE_180, 3: cv2.ROTATE_90_COUNTERCLOCKWISE}


def turned(pixels: NDArray[np.uint8], quarters: int) -> NDArray[np.uint8]:
    """Turn a picture clockwise.

    Args:
        pixels: uint8 (h, w, 3).
        quarters: of a whole turn, 0 to 3.

    Returns:
        uint8 (h, w, 3) or (w, h, 3).
    """
    return np.asarray(cv2.rotate(pixels, _TURNS[quarters]), np.uint8) if quarters else pixels


def turn_back(detections: NDArray[np.float32], quarters: int, width: int, height: int) -> NDArray[np.float32]:
    """Bring detections in a turned picture back.

    Args:
        detections: float32 (M, 15) in pixels of the turned picture.
        quarters: what `turned` was told.
        width: of the picture before it was turned, in pixels.
        height: likewise.

    Returns:
        float32 (M, 15) in pixels of the picture before it was turned; the landmarks keep their order.
    """
    back = detections.copy()
    x, y = detections[:, [0, 2, *range(5, 15, 2)]], detections[:, [1, 3, *range(6, 15, 2)]]
    x, y = {0: (x, y), 1: (y, height - x), 2: (width - x, height - y), 3: (width - y, x)}[quarters]
    back[:, [0, 2, *range(5, 15, 2)]], back[:, [1, 3, *range(6, 15, 2)]] = x, y
    back[:, [0, 2]], back[:, [1, 3]] = np.sort(back[:, [0, 2]]), np.sort(back[:, [1, 3]])
    return back


def upright(detections: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Say of each detection whether its landmarks are those of an upright face, and so can be relied on.

    They are in each of the 100 photographs, and in 3 of the 300 turned ones.

    Args:
        detections: float32 (M, 15), in pixels of the picture in which the detector saw the faces.

    Returns:
        bool (M,).
    """
    return np.array([_is_upright(row[5:].reshape(5, 2)) for row in detections], bool)


def surely_upright(detections: NDArray[np.float32]) -> bool:
    """Whether a picture needs no turning: every face that was found is upright, and at least one is so for sure.

    Args:
        detections: float32 (M, 15) in pixels of the picture.
    """
    return bool(upright(detections).all() and (detections[:, 4] >= SURE_SCORE).any())


def roll_deg(landmarks_xy: NDArray[np.float32]) -> float:
    """How far a face is turned clockwise: degrees, -180 to 180.

    Args:
        landmarks_xy: float32 (5, 2).
    """
    matrix = estimate_similarity(ARCFACE_TEMPLATE_XY, landmarks_xy)
    return float(np.degrees(np.arctan2(matrix[1, 0], matrix[0, 0])))


def upright_turn(landmarks_xy: NDArray[np.float32]) -> int:
    """By how many quarters clockwise to turn a face so that it is upright, or nearly: 0 to 3.

    Args:
        landmarks_xy: float32 (5, 2).
    """
    return round(-roll_deg(landmarks_xy) / 90) % 4


def merge_turns(
    found: NDArray[np.float32], found_turned: Mapping[int, NDArray[np.float32]], width: int, height: int
) -> NDArray[np.float32]:
    """Of what was found in a picture and in turned copies of it, keep the best of each face.

    In a turned copy only what is upright counts. The score tells which way up a face is: in the right copy each of
    the 300 turned photographs scored higher (by 0.013 at the median) than as it was.

    Args:
        found: float32 (M, 15) in pixels of the picture.
        found_turned: by the quarters of each copy, float32 (M, 15) in pixels of the copy; one of 0 quarters has
            space around it.
        width: of the picture, in pixels.
        height: likewise.

    Returns:
        float32 (N, 15) in pixels of the picture, the best score first.
    """
    copies = [turn_back(rows[upright(rows)] if one else rows, one, width, height) for one, rows in found_turned.items()]
    return suppress_seen_twice([found, *copies])


def _is_upright(landmarks_xy: NDArray[np.float32]) -> bool:
    matrix = estimate_similarity(landmarks_xy, ARCFACE_TEMPLATE_XY)
    aligned = landmarks_xy @ matrix[:, :2].T + matrix[:, 2]
    error_px = np.sqrt(np.square(aligned - ARCFACE_TEMPLATE_XY).sum(axis=1).mean())
    return bool(abs(roll_deg(landmarks_xy)) <= MAX_ROLL_DEG and error_px <= MAX_TEMPLATE_ERROR_PX)
