from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from inference.faces.alignment import ARCFACE_TEMPLATE_XY
from inference.faces.quality import FaceQuality, measure_quality


def test_size_and_resolution_are_in_pixels_of_the_full_size_picture(textured_crop_bgr: NDArray[np.uint8]):
    quality = measure_quality(
        np.array([10, 20, 110, 150], np.float32), ARCFACE_TEMPLATE_XY * 2, 0.875, textured_crop_bgr
    )
    assert quality.face_size_px == 100
    assert quality.eye_distance_px == pytest.approx(2 * 35.24, abs=0.01)
    assert quality.detection_score == 0.875


@pytest.mark.parametrize(
    ("sharpness", "score", "weight"), [(6.0, 1.0, 1.0), (12.0, 1.0, 1.0), (3.0, 0.8, 0.4), (0.0, 0.8, 1e-3)]
)
def test_weight_grows_with_sharpness_and_score_and_is_never_zero(
    make_quality: Callable[..., FaceQuality], sharpness: float, score: float, weight: float
):
    assert make_quality(sharpness=sharpness, detection_score=score).weight == pytest.approx(weight)
