from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from inference.faces.quality import MIN_FACE_SIZE_PX, MIN_SHARPNESS, FaceQuality, measure_sharpness


def test_blur_lowers_sharpness_step_by_step(textured_crop_bgr: NDArray[np.uint8]):
    measured = [measure_sharpness(textured_crop_bgr)]
    measured += [measure_sharpness(cv2.GaussianBlur(textured_crop_bgr, (0, 0), sigma)) for sigma in (1, 2, 3, 4)]
    assert measured == sorted(measured, reverse=True)
    assert measured[-1] < measured[0] / 5


@pytest.mark.parametrize("kernel", [np.ones((1, 15)) / 15, np.ones((15, 1)) / 15])
def test_motion_in_one_direction_counts_as_blur(textured_crop_bgr: NDArray[np.uint8], kernel: NDArray[np.float64]):
    moved = cv2.filter2D(textured_crop_bgr, -1, kernel)
    assert measure_sharpness(moved) < measure_sharpness(textured_crop_bgr) / 3


def test_exposure_does_not_change_sharpness(textured_crop_bgr: NDArray[np.uint8]):
    dark = (textured_crop_bgr * 0.5).astype(np.uint8)
    assert measure_sharpness(dark) == pytest.approx(measure_sharpness(textured_crop_bgr), rel=0.05)


def test_noise_does_not_count_as_detail(textured_crop_bgr: NDArray[np.uint8]):
    blurred = cv2.GaussianBlur(textured_crop_bgr, (0, 0), 3)
    noise = np.random.default_rng(0).normal(0, 5, blurred.shape)
    noisy = np.clip(blurred + noise, 0, 255).astype(np.uint8)
    assert measure_sharpness(noisy) < measure_sharpness(textured_crop_bgr) / 2


def test_a_flat_crop_has_no_sharpness():
    assert measure_sharpness(np.full((112, 112, 3), 90, np.uint8)) == 0


@pytest.mark.parametrize(
    ("quality", "weight"),
    [
        (FaceQuality(100, 6.0, 1.0), 1.0),
        (FaceQuality(100, 12.0, 1.0), 1.0),
        (FaceQuality(100, 3.0, 0.8), 0.4),
        (FaceQuality(100, 0.0, 0.8), 1e-3),
    ],
)
def test_weight_grows_with_sharpness_and_score_and_is_never_zero(quality: FaceQuality, weight: float):
    assert quality.weight == pytest.approx(weight)


def test_limits_are_inclusive():
    assert FaceQuality(MIN_FACE_SIZE_PX, MIN_SHARPNESS, 0.9).is_large_enough
    assert FaceQuality(MIN_FACE_SIZE_PX, MIN_SHARPNESS, 0.9).is_sharp_enough
    assert not FaceQuality(MIN_FACE_SIZE_PX - 0.1, MIN_SHARPNESS, 0.9).is_large_enough
    assert not FaceQuality(MIN_FACE_SIZE_PX, MIN_SHARPNESS - 0.1, 0.9).is_sharp_enough
