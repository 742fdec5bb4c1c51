"""A hint of what covers a face."""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

# Parts of the aligned crop, as rows and columns: where the ArcFace template puts the eyes (row 52, columns 38 and 74),
# the nose (72, 56) and the corners of the mouth (92, 42 and 71).
_EYES: Final = (np.s_[46:58, 30:46], np.s_[46:58, 66:82])
_CHEEKS: Final = (np.s_[66:80, 26:42], np.s_[66:80, 70:86])
_BRIDGE: Final = np.s_[54:62, 48:64]
_FOREHEAD: Final = np.s_[20:38, 36:76]
_MOUTH: Final = np.s_[84:102, 42:70]
_BELOW_NOSE: Final = np.s_[76:108, 34:78]

# Each measure is 0.5 at its first number and 1 at its second; chosen so that at 0.5 two in 100 plain photographs are
# taken for covered.
_DARK_EYES: Final = (0.65, 0.85)
_PLAIN_MOUTH: Final = (0.65, 1.0)
_OTHER_COLOUR: Final = (10.0, 15.0)


def measure_occlusion(crop_bgr: NDArray[np.uint8]) -> float:
    """Look for signs that something covers the eyes or the mouth.

    No network was trained for it; these are three plain measures, each against another part of the same face: how
    dark the eyes are, how little structure the mouth has, how different the colour below the nose is. The largest
    counts. Hand-made, and chosen by the figures below; the crop alone is looked at.

    At 0.5, of 100 photographs 2 are taken for covered, of the same photographs blurred 2, turned by 30 degrees 3,
    overexposed 8. Of the photographs with a surgical mask painted over, from pictures of real ones, 81 (black), 100
    (blue, green) and 99 (white) are seen; of dark sunglasses 100, of brown ones 32, of a skin-coloured patch over the
    mouth 87, of a black half of the face 67. What has the colour and the structure of skin cannot be seen so.

    Args:
        crop_bgr: uint8 (112, 112, 3), BGR, aligned.

    Returns:
        0 to 1; from 0.5 on it is worth a look. Not a probability.
    """
    luma = cv2.cvtColor(crop_bgr, cv2.COLOR_BGR2GRAY).astype(np.float32)
    measures = (
        _rated(_eyes_darker(luma), _DARK_EYES),
        _rated(_mouth_plainer(luma), _PLAIN_MOUTH),
        _rated(_colour_distance(crop_bgr), _OTHER_COLOUR),
    )
    return max(measures)


def _rated(measure: float, half_and_full: tuple[float, float]) -> float:
    half, full = half_and_full
    return float(np.clip(0.5 + 0.5 * (measure - half) / (full - half), 0, 1))


def _eyes_darker(luma: NDArray[np.float32]) -> float:
    """How much darker the eyes are than the cheeks and the bridge of the nose: 0 (not) to 1 (black)."""
    eyes = np.median(np.concatenate([luma[part].ravel() for part in _EYES]))
    skin = np.median(np.concatenate([luma[part].ravel() for part in (*_CHEEKS, _BRIDGE)]))
    return float(1 - (eyes + 4) / (skin + 4))


def _mouth_plainer(luma: NDArray[np.float32]) -> float:
    """How much less vertical structure the mouth has than the eyes: 0 (as much) to 1 (none).

    Against the eyes, so that a blurred face is not taken for a covered one.
    """
    slopes = np.abs(np.diff(cv2.GaussianBlur(luma, (0, 0), 1.5), axis=0))
    eyes = np.percentile(np.concatenate([slopes[part].ravel() for part in _EYES]), 90) / (luma.mean() + 10)
    mouth = np.percentile(slopes[_MOUTH], 90) / (luma[_MOUTH].mean() + 10)
    return float(1 - mouth / max(float(eyes), 1e-6))


def _colour_distance(crop_bgr: NDArray[np.uint8]) -> float:
    """The distance of the mean colours below the nose and above it, in percent of red and green, brightness aside."""
    above = np.concatenate([crop_bgr[part].reshape(-1, 3) for part in (_FOREHEAD, _BRIDGE)]).mean(axis=0)
    below = crop_bgr[_BELOW_NOSE].reshape(-1, 3).mean(axis=0)
    return float(100 * np.linalg.norm(_colour(above) - _colour(below)))


def _colour(bgr: NDArray[np.float64]) -> NDArray[np.float64]:
    """The shares of green and red; of what is nearly black they say little, and are drawn to a third."""
    return np.asarray((bgr[1:] + 10) / (bgr.sum() + 30))
