from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from inference.faces.pose import MEAN_SHAPE, estimate_pose


def projected(yaw: float, pitch: float, roll: float, scale: float = 40) -> NDArray[np.float32]:
    """The mean face, nodded, then turned, then tilted, as the camera sees it."""
    cosines, sines = np.cos(np.radians([yaw, pitch, roll])), np.sin(np.radians([yaw, pitch, roll]))
    turned = np.array([[cosines[0], 0, sines[0]], [0, 1, 0], [-sines[0], 0, cosines[0]]])
    nodded = np.array([[1, 0, 0], [0, cosines[1], -sines[1]], [0, sines[1], cosines[1]]])
    tilted = np.array([[cosines[2], -sines[2], 0], [sines[2], cosines[2], 0], [0, 0, 1]])
    return ((MEAN_SHAPE @ (tilted @ turned @ nodded).T)[:, :2] * scale + [300, 200]).astype(np.float32)


@pytest.mark.parametrize(("yaw", "pitch"), [(0, 0), (30, 0), (-30, 0), (0, 20), (0, -20), (25, -15), (-50, 10)])
def test_turn_and_nod_are_found_at_any_size(yaw: float, pitch: float):
    for scale in (5, 400):
        pose = estimate_pose(projected(yaw, pitch, 0, scale))
        assert (pose.yaw, pose.pitch) == (pytest.approx(yaw, abs=0.1), pytest.approx(pitch, abs=0.1))


@pytest.mark.parametrize("roll", [-170, -90, -20, 0, 20, 90, 170])
def test_tilt_is_found_all_the_way_round_and_changes_neither_turn_nor_nod(roll: float):
    pose = estimate_pose(projected(25, 0, roll))
    np.testing.assert_allclose([pose.yaw, pose.pitch, pose.roll], [25, 0, roll], atol=0.1)


def test_mirrored_landmarks_are_turned_the_other_way():
    landmarks = projected(20, 10, 5)
    mirrored = (landmarks * np.float32([-1, 1]))[[1, 0, 2, 4, 3]]
    pose, other = estimate_pose(mirrored), estimate_pose(landmarks)
    np.testing.assert_allclose([pose.yaw, pose.pitch, pose.roll], [-other.yaw, other.pitch, -other.roll], atol=1e-3)


def test_a_nose_that_moves_to_the_right_is_a_face_that_looks_to_the_right():
    landmarks = projected(0, 0, 0)
    landmarks[2, 0] += 10
    assert estimate_pose(landmarks).yaw > 10


def test_landmarks_that_coincide_are_no_error():
    pose = estimate_pose(np.zeros((5, 2), np.float32))
    assert all(np.isfinite([pose.yaw, pose.pitch, pose.roll]))
