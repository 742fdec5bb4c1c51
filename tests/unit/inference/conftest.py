"""Faces of a quality that a test chooses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from inference.faces.exposure import Exposure
from inference.faces.pose import Pose
from inference.faces.quality import FaceQuality

MakeQuality = Callable[..., FaceQuality]

_GOOD = FaceQuality(
    face_size_px=100,
    eye_distance_px=45,
    detection_score=0.99,
    sharpness=8.0,
    blur=0.375,
    pose=Pose(yaw=2, pitch=-4, roll=8),
    exposure=Exposure(luminance=0.5, dark_share=0.0625, bright_share=0.03125),
    occlusion=0.125,
)


@pytest.fixture
def make_quality() -> MakeQuality:
    """Makes the quality of a face about which nothing is to be said; a test changes what it is about."""

    def make(**changed: Any) -> FaceQuality:
        return replace(_GOOD, **changed)

    return make
