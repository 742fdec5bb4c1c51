"""Faces and pictures that are made up, with exact expectations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from inference.faces.alignment import ARCFACE_TEMPLATE_XY
from inference.faces.analyzer import Face
from inference.faces.quality import FaceQuality

MakeFace = Callable[..., Face]


@pytest.fixture
def make_face(make_quality: Callable[..., FaceQuality]) -> MakeFace:
    """Makes a face of 100x120 pixels that can be recognised; a test changes what it is about."""

    def make(box_xyxy: tuple[float, float, float, float] = (50, 50, 150, 170), **quality: Any) -> Face:
        crop = np.zeros((112, 112, 3), np.uint8)
        return Face(np.array(box_xyxy, np.float32), ARCFACE_TEMPLATE_XY, make_quality(**quality), crop)

    return make


@pytest.fixture
def textured_crop_bgr() -> NDArray[np.uint8]:
    """uint8 (112, 112, 3): fine detail in both directions."""
    coarse = np.random.default_rng(1).integers(40, 216, (56, 56), np.uint8)
    return np.repeat(np.kron(coarse, np.ones((2, 2), np.uint8))[..., None], 3, axis=2)
