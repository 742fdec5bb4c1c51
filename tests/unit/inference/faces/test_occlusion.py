from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from inference.faces.occlusion import measure_occlusion

SKIN_BGR = (120, 150, 200)
Crop = NDArray[np.uint8]


@pytest.fixture
def face_bgr() -> Crop:
    """uint8 (112, 112, 3): a drawn face on the ArcFace template, with brows, eyes, nose and mouth."""
    crop = np.full((112, 112, 3), SKIN_BGR, np.uint8)
    for x in (38, 74):
        cv2.ellipse(crop, (x, 44), (10, 2), 0, 0, 360, (40, 50, 70), -1)
        cv2.ellipse(crop, (x, 52), (7, 4), 0, 0, 360, (235, 235, 235), -1)
        cv2.circle(crop, (x, 52), 3, (50, 40, 30), -1)
    cv2.ellipse(crop, (56, 74), (6, 2), 0, 0, 360, (80, 100, 150), -1)
    cv2.ellipse(crop, (56, 92), (15, 4), 0, 0, 360, (70, 70, 150), -1)
    return crop


def with_mask(crop: Crop, bgr: tuple[int, int, int]) -> Crop:
    covered = crop.copy()
    covered[68:] = bgr
    return covered


def with_glasses(crop: Crop) -> Crop:
    covered = crop.copy()
    covered[44:62, 24:88] = (15, 15, 18)
    return covered


def test_a_plain_face_is_not_covered(face_bgr: Crop):
    assert measure_occlusion(face_bgr) < 0.4


@pytest.mark.parametrize("bgr", [(200, 150, 60), (235, 235, 235), (30, 30, 30), SKIN_BGR])
def test_a_mask_or_a_hand_covers_the_mouth(face_bgr: Crop, bgr: tuple[int, int, int]):
    assert measure_occlusion(with_mask(face_bgr, bgr)) >= 0.5


def test_dark_glasses_cover_the_eyes(face_bgr: Crop):
    assert measure_occlusion(with_glasses(face_bgr)) >= 0.5


@pytest.mark.parametrize("gain", [0.3, 1.2])
def test_light_covers_nothing(face_bgr: Crop, gain: float):
    lit = (face_bgr * gain).clip(0, 255).astype(np.uint8)
    assert measure_occlusion(lit) < 0.5


def test_blur_covers_nothing(face_bgr: Crop):
    assert measure_occlusion(cv2.GaussianBlur(face_bgr, (0, 0), 2)) < 0.5


@pytest.mark.parametrize("level", [0, 90, 255])
def test_a_flat_crop_is_rated_too(level: int):
    assert 0 <= measure_occlusion(np.full((112, 112, 3), level, np.uint8)) <= 1
