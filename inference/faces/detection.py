"""Placing pictures on the detector's canvases, and bringing what it found back."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from inference.faces.scaling import halve_until

MAX_CANVAS_SIDE_PX: Final = 640
"""Larger canvases find smaller faces at a higher price; video may ask for one."""

PADDING: Final = 0.5
"""What a padded retry puts around the picture on each side, as a share of the picture's own size.

Measured on crops of 100 faces that the box alone fills: every one is found, and the embedding is nearer to
the uncropped one's than without padding (cosine 0.94 against 0.92; 0.84 against 0.68 for crops that cut the
face at 0.8 of its box). More padding gains nothing and loses faces on a 256x256 canvas.
"""


RELIABLE_FACE_PX: Final = 24
"""The detector finds every face of this size on its canvas, 80 % of those of 20 pixels and 41 % of those of 16: 100
photographs (LFW), shrunk."""

EXACT_FACE_PX: Final = 32
"""From this size on the canvas the landmarks are as exact as they get. Embeddings of faces of 48 to 100 pixels have a
cosine of at least 0.90 (the fifth percentile) to those of the photographs when the faces are seen with 32 pixels, 0.78
when with 24 and 0.70 when with 20."""


@dataclass(frozen=True, slots=True)
class Letterbox:
    """Where on a canvas a picture lies.

    Attributes:
        scale_x: canvas pixels per picture pixel.
        scale_y: likewise; differs from ``scale_x`` by rounding.
        left: of the picture on the canvas, in pixels.
        top: likewise.
    """

    scale_x: float
    scale_y: float
    left: int
    top: int

    def to_picture(self, detections: NDArray[np.float32]) -> NDArray[np.float32]:
        """Bring detections back.

        Args:
            detections: float32 (M, 15) in pixels of the canvas.

        Returns:
            float32 (M, 15) in pixels of the picture.
        """
        offset = np.array([self.left, self.top], np.float32)
        return map_points(detections, offset, np.array([1 / self.scale_x, 1 / self.scale_y], np.float32))


def map_points(
    detections: NDArray[np.float32], offset_xy: NDArray[np.float32], scale_xy: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Apply ``(point - offset) * scale`` to every point of detections.

    Args:
        detections: float32 (M, 15).
        offset_xy: float32 (2,).
        scale_xy: float32 (2,).

    Returns:
        float32 (M, 15), the scores unchanged.
    """
    mapped = detections.copy()
    mapped[:, :4] = (detections[:, :4] - np.tile(offset_xy, 2)) * np.tile(scale_xy, 2)
    mapped[:, 5:] = (detections[:, 5:] - np.tile(offset_xy, 5)) * np.tile(scale_xy, 5)
    return mapped


def choose_canvas(
    width: int,
    height: int,
    sizes: Sequence[tuple[int, int]],
) -> tuple[int, int]:
    """Choose the canvas that shrinks a picture least; of equal ones the smallest.

    Args:
        width: of the picture, in pixels.
        height: likewise.
        sizes: the (width, height) pairs that the detector serves.

    Returns:
        (width, height) in pixels.
    """

    def shrinking_then_area(size: tuple[int, int]) -> tuple[float, int]:
        return -scale_on_canvas(width, height, size), size[0] * size[1]

    return min(sizes, key=shrinking_then_area)


def scale_on_canvas(width: int, height: int, canvas: tuple[int, int], padding: float = 0.0) -> float:
    """How large a picture is on a canvas, as a share of its size: at most 1, as it is never enlarged.

    Args:
        width: of the picture, in pixels.
        height: likewise.
        canvas: (width, height) in pixels.
        padding: the space to leave on each side, as a share of the picture's size.
    """
    room = 1 + 2 * padding
    return min(1.0, canvas[0] / (width * room), canvas[1] / (height * room))


def letterbox(
    pixels_bgr: NDArray[np.uint8], canvas: tuple[int, int], *, padding: float = 0.0
) -> tuple[NDArray[np.uint8], Letterbox]:
    """Centre a picture on a black canvas, shrunk to fit if need be, never enlarged.

    Args:
        pixels_bgr: uint8 (h, w, 3), BGR.
        canvas: (width, height) in pixels.
        padding: the space to leave on each side, as a share of the picture's size.

    Returns:
        The canvas, uint8 (canvas height, canvas width, 3), BGR, and where the picture lies on it.
    """
    height, width = pixels_bgr.shape[:2]
    shrinking = scale_on_canvas(width, height, canvas, padding)
    fitted_width, fitted_height = max(1, round(width * shrinking)), max(1, round(height * shrinking))
    fitted = resize(pixels_bgr, fitted_width, fitted_height)
    left, top = (canvas[0] - fitted_width) // 2, (canvas[1] - fitted_height) // 2
    placed = np.zeros((canvas[1], canvas[0], 3), np.uint8)
    placed[top : top + fitted_height, left : left + fitted_width] = fitted
    return placed, Letterbox(fitted_width / width, fitted_height / height, left, top)


def resize(pixels: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """Make a picture smaller, without aliasing.

    Args:
        pixels: uint8 (h, w, 3).
        width: wanted, in pixels; at most the picture's.
        height: likewise.

    Returns:
        uint8 (height, width, 3).
    """
    if pixels.shape[:2] == (height, width):
        return pixels
    halved, _ = halve_until(pixels, max(width / pixels.shape[1], height / pixels.shape[0]))
    return np.asarray(cv2.resize(halved, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)
