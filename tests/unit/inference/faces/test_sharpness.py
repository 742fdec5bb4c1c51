from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from inference.faces.sharpness import measure_blur, measure_sharpness


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


def test_blur_raises_the_blur_step_by_step(textured_crop_bgr: NDArray[np.uint8]):
    measured = [measure_blur(textured_crop_bgr)]
    measured += [measure_blur(cv2.GaussianBlur(textured_crop_bgr, (0, 0), sigma)) for sigma in (1, 2, 3, 4)]
    assert measured == sorted(measured)
    assert measured[0] < 0.2
    assert measured[-1] > 0.6


@pytest.mark.parametrize("kernel", [np.ones((1, 9)) / 9, np.ones((9, 1)) / 9])
def test_motion_in_one_direction_raises_the_blur(textured_crop_bgr: NDArray[np.uint8], kernel: NDArray[np.float64]):
    moved = cv2.filter2D(textured_crop_bgr, -1, kernel)
    assert measure_blur(moved) > measure_blur(textured_crop_bgr) + 0.2


def test_exposure_does_not_change_the_blur(textured_crop_bgr: NDArray[np.uint8]):
    dark = (textured_crop_bgr * 0.5).astype(np.uint8)
    assert measure_blur(dark) == pytest.approx(measure_blur(textured_crop_bgr), abs=0.02)


def test_a_flat_crop_has_nothing_left_to_blur():
    assert measure_blur(np.full((112, 112, 3), 90, np.uint8)) == 1
