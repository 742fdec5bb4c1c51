from __future__ import annotations

import numpy as np
import pytest

from inference.faces.scaling import halve, halve_until


def test_halving_averages_blocks_and_drops_the_odd_edge():
    image = np.arange(5 * 3 * 3, dtype=np.uint8).reshape(3, 5, 3)
    halved = halve(image)
    assert halved.shape == (1, 2, 3)
    np.testing.assert_allclose(halved[0, 0], image[:2, :2].mean(axis=(0, 1)), atol=0.5)


@pytest.mark.parametrize(
    ("scale", "factor"), [(2.0, 1), (1.0, 1), (0.51, 1), (0.5, 2), (0.3, 2), (0.25, 4), (0.1, 8), (1e-6, 64)]
)
def test_what_remains_is_a_factor_above_one_half(scale: float, factor: int):
    image = np.zeros((64, 100, 3), np.uint8)
    halved, divided_by = halve_until(image, scale)
    assert divided_by == factor
    assert halved.shape == (64 // factor, 100 // factor, 3)
