from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from inference.faces.exposure import measure_exposure


def test_light_raises_the_luminance_and_clips_what_was_bright(textured_crop_bgr: NDArray[np.uint8]):
    gains = (0.25, 0.5, 1.0, 2.0, 4.0)
    measured = [measure_exposure((textured_crop_bgr * gain).clip(0, 255).astype(np.uint8)) for gain in gains]
    luminances = [exposure.luminance for exposure in measured]
    bright = [exposure.bright_share for exposure in measured]
    assert luminances == sorted(luminances)
    assert luminances[2] == pytest.approx(0.5, abs=0.05)
    assert bright[:3] == [0, 0, 0]
    assert 0.4 < bright[3] < bright[4]


def test_what_is_black_is_counted(textured_crop_bgr: NDArray[np.uint8]):
    half = textured_crop_bgr.copy()
    half[:, :56] = 5
    assert measure_exposure(half).dark_share == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize(("level", "expected"), [(0, (0, 1, 0)), (255, (1, 0, 1)), (127, (127 / 255, 0, 0))])
def test_a_flat_crop(level: int, expected: tuple[float, float, float]):
    exposure = measure_exposure(np.full((112, 112, 3), level, np.uint8))
    assert (exposure.luminance, exposure.dark_share, exposure.bright_share) == pytest.approx(expected)


def test_the_background_in_the_corners_does_not_count():
    crop = np.full((112, 112, 3), 255, np.uint8)
    crop[14:98, 14:98] = 100
    assert measure_exposure(crop).bright_share == 0
