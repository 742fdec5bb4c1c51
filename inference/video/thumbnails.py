"""Small pictures of scenes, for people to look at; those of faces are made in `inference.faces.thumbnail`."""

import cv2
import numpy as np
from numpy.typing import NDArray

SCENE_WIDTH_PX = 320
JPEG_QUALITY = 85
REEL_CAPACITY = 16
"""The picture nearest to the middle of a scene is at most a sixteenth of the scene away from it."""


def jpeg(image_bgr: NDArray[np.uint8]) -> bytes:
    """Encode uint8 (H, W, 3), BGR."""
    _, encoded = cv2.imencode(".jpg", image_bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return encoded.tobytes()


def shrink(image_bgr: NDArray[np.uint8], width_px: int) -> NDArray[np.uint8]:
    """Scale a picture down to a width; a smaller one is copied as it is.

    Args:
        image_bgr: uint8 (H, W, 3).
        width_px: at least 1.
    """
    height, width = image_bgr.shape[:2]
    if width <= width_px:
        return image_bgr.copy()
    size = (width_px, max(1, round(height * width_px / width)))
    return np.asarray(cv2.resize(image_bgr, size, interpolation=cv2.INTER_AREA), np.uint8)


class Reel:
    """Small pictures spread evenly over a scene whose length is not known yet, in constant memory.

    When it is full, every second picture goes and from then on every second one is skipped.
    """

    def __init__(self) -> None:
        self._pictures: list[tuple[float, NDArray[np.uint8]]] = []
        self._offered = 0
        self._stride = 1

    def offer(self, time_s: float, image_bgr: NDArray[np.uint8]) -> None:
        """Take the next picture of the scene, or skip it.

        Args:
            time_s: its time, seconds.
            image_bgr: uint8 (H, W, 3).
        """
        if self._offered % self._stride == 0:
            if len(self._pictures) == REEL_CAPACITY:
                del self._pictures[1::2]
                self._stride *= 2
            self._pictures.append((time_s, shrink(image_bgr, SCENE_WIDTH_PX)))
        self._offered += 1

    def nearest(self, time_s: float) -> NDArray[np.uint8]:
        """The picture nearest to a time; at least one was offered."""
        return min(self._pictures, key=lambda timed: abs(timed[0] - time_s))[1]
