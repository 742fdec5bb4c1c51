"""How much detail a face shows."""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from inference.faces.alignment import INNER

_BLUR_SPAN_PX: Final = 9
"""The length of the averaging filter of `measure_blur`; from its paper."""


def measure_sharpness(crop_bgr: NDArray[np.uint8]) -> float:
    """Measure the finest detail of a face, in the direction that has less of it, against its contrast.

    The standard deviation of the second derivative of the grey crop, smoothed with a Gaussian of sigma 1,
    horizontally or vertically, whichever is smaller, as a percentage of the crop's standard deviation.
    Motion blurs in one direction only, so that the usual variance of the Laplacian overlooks it; smoothing
    keeps noise and compression from counting as detail; the ratio keeps dark photos from counting as blurred.
    Separates the recognised faces from the others with an area under the ROC curve of 0.96, the variance of the
    Laplacian (Pech-Pacheco et al., 2000) with 0.81.

    Args:
        crop_bgr: uint8 (112, 112, 3), BGR, aligned.

    Returns:
        At least 0; about 8.5 for a press photograph, below 2 for a face that is too blurred.
    """
    grey = cv2.cvtColor(crop_bgr, cv2.COLOR_BGR2GRAY).astype(np.float32)
    smooth = cv2.GaussianBlur(grey, (0, 0), 1.0)[INNER, INNER]
    finest_detail = min(float(np.diff(smooth, n=2, axis=axis).std()) for axis in (0, 1))
    return 100 * finest_detail / (float(smooth.std()) + 1.0)


def measure_blur(crop_bgr: NDArray[np.uint8]) -> float:
    """Measure how little changes when a face is blurred once more, in the direction where that is less.

    The perceptual blur metric of Crete et al., The blur effect, 2007 (doi:10.1117/12.702790): the share of the
    differences between neighbouring pixels that an average over 9 pixels leaves. Unlike the sharpness it has a
    scale of its own, and grows steadily with any blur that a viewer sees: Gaussians of sigma 0, 1, 2, 3 and 4 in
    250x250 photographs give 0.44, 0.53, 0.68, 0.77 and 0.83. Noise hides blur from it (sigma 3 with noise of sigma 8:
    0.45), which is why the sharpness decides.

    Args:
        crop_bgr: uint8 (112, 112, 3), BGR, aligned.

    Returns:
        0 (all detail would be lost) to 1 (there is none left to lose).
    """
    grey = cv2.cvtColor(crop_bgr, cv2.COLOR_BGR2GRAY).astype(np.float32)
    return max(_left_by_averaging(grey), _left_by_averaging(grey.T))


def _left_by_averaging(grey: NDArray[np.float32]) -> float:
    """Of the differences between rows, the share that an average over rows leaves."""
    averaged = cv2.blur(grey, (1, _BLUR_SPAN_PX))
    before, after = (np.abs(np.diff(image[INNER, INNER], axis=0)) for image in (grey, averaged))
    total = float(before.sum())
    lost = float(np.maximum(0, before - after).sum())
    return 1.0 - lost / total if total > 0 else 1.0
