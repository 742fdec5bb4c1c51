"""How a face is lit."""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from inference.faces.alignment import INNER

_BLACK: Final = 8
"""Luminance up to which a pixel counts as black: 3 % of 255, less than what the usual compression adds."""
_WHITE: Final = 255 - _BLACK


@dataclass(frozen=True, slots=True)
class Exposure:
    """The light on a face.

    Attributes:
        luminance: the mean, 0 (black) to 1 (white).
        dark_share: of the pixels that are black, 0 to 1.
        bright_share: of the pixels that are white, 0 to 1.
    """

    luminance: float
    dark_share: float
    bright_share: float


def measure_exposure(crop_bgr: NDArray[np.uint8]) -> Exposure:
    """Measure the light on a face, by the luma of ITU-R BT.601.

    Args:
        crop_bgr: uint8 (112, 112, 3), BGR, aligned.
    """
    luma = cv2.cvtColor(crop_bgr, cv2.COLOR_BGR2GRAY)[INNER, INNER]
    return Exposure(
        luminance=float(luma.mean()) / 255,
        dark_share=float((luma <= _BLACK).mean()),
        bright_share=float((luma >= _WHITE).mean()),
    )
