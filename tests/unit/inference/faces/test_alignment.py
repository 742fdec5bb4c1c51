from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from inference.faces.alignment import ARCFACE_TEMPLATE_XY, align_face, estimate_similarity


@given(
    scale=st.floats(0.05, 20),
    angle=st.floats(-np.pi, np.pi),
    shift_x=st.floats(-500, 500),
    shift_y=st.floats(-500, 500),
)
def test_a_similarity_is_recovered_exactly(scale: float, angle: float, shift_x: float, shift_y: float):
    cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
    expected = np.array([[cosine, -sine, shift_x], [sine, cosine, shift_y]])
    target = ARCFACE_TEMPLATE_XY @ expected[:, :2].T + expected[:, 2]
    found = estimate_similarity(ARCFACE_TEMPLATE_XY, target.astype(np.float32))
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=2e-3)


def test_mirrored_points_are_not_mirrored_back():
    mirrored = ARCFACE_TEMPLATE_XY * [-1, 1]
    found = estimate_similarity(ARCFACE_TEMPLATE_XY, mirrored.astype(np.float32))
    assert np.linalg.det(found[:, :2]) > 0


def test_noisy_points_are_fitted_by_least_squares():
    noise = np.random.default_rng(0).normal(0, 2, (5, 2))
    target = (ARCFACE_TEMPLATE_XY + noise).astype(np.float32)
    x, y = ARCFACE_TEMPLATE_XY.astype(np.float64).T
    one, zero = np.ones(5), np.zeros(5)
    design = np.concatenate([np.stack([x, -y, one, zero], 1), np.stack([y, x, zero, one], 1)])
    a, b, shift_x, shift_y = np.linalg.lstsq(design, target.T.ravel(), rcond=None)[0]
    expected = [[a, -b, shift_x], [b, a, shift_y]]
    np.testing.assert_allclose(estimate_similarity(ARCFACE_TEMPLATE_XY, target), expected, rtol=1e-6, atol=1e-6)


def test_coinciding_landmarks_are_refused():
    with pytest.raises(ValueError, match="coincide"):
        align_face(np.zeros((8, 8, 3), np.uint8), np.full((5, 2), 3, np.float32))


def test_aligned_face_stays_as_it_is():
    picture = np.random.default_rng(0).integers(0, 256, (112, 112, 3), np.uint8)
    # The template counts from the centre of the first pixel, landmarks from its corner.
    np.testing.assert_array_equal(align_face(picture, ARCFACE_TEMPLATE_XY + np.float32(0.5)), picture)


@pytest.mark.parametrize("scale", [0.5, 1.5, 4.0, 9.0])
@pytest.mark.parametrize("degrees", [0, 30, -75])
def test_landmarks_land_on_the_template(scale: float, degrees: float):
    """Dots at the landmarks of a turned and scaled face are found at the template's places."""
    angle = np.deg2rad(degrees)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    landmarks = ((ARCFACE_TEMPLATE_XY - 56) @ turn.T + 112 * max(scale, 1)).astype(np.float32)
    side = round(224 * max(scale, 1))
    for index, expected in enumerate(ARCFACE_TEMPLATE_XY):
        crop = align_face(_dot(side, landmarks[index], 3 * scale), landmarks)
        np.testing.assert_allclose(_centroid(crop), expected, atol=0.35)


def test_noise_of_a_large_photo_is_averaged_away():
    rng = np.random.default_rng(0)
    picture = np.clip(rng.normal(128, 25, (896, 896, 3)), 0, 255).astype(np.uint8)
    crop = align_face(picture, ARCFACE_TEMPLATE_XY * 8)
    # Away from the edge of the picture.
    assert crop[8:-8, 8:-8].std() < 25 / 5


def _dot(side: int, centre_xy: NDArray[np.float32], radius: float) -> NDArray[np.uint8]:
    """A soft dot; the origin of its centre is the corner of the first pixel."""
    rows, columns = np.mgrid[:side, :side] + 0.5
    squared = (columns - centre_xy[0]) ** 2 + (rows - centre_xy[1]) ** 2
    return cv2.merge([(255 * np.exp(-squared / (2 * radius**2))).astype(np.uint8)] * 3)


def _centroid(crop: NDArray[np.uint8]) -> tuple[float, float]:
    weights = crop[..., 0].astype(np.float64)
    rows, columns = np.indices(weights.shape)
    return float((weights * columns).sum() / weights.sum()), float((weights * rows).sum() / weights.sum())


@pytest.mark.parametrize(("face_px", "degrees"), [(30, 0), (112, 20), (700, -40), (1500, 170)])
def test_a_face_is_cut_out_of_a_large_picture_as_out_of_a_small_one(face_px: int, degrees: float):
    """What is far from the face does not count, nor how far it is from the picture's corner."""
    turn = np.exp(1j * np.radians(degrees)) * face_px / 112
    shape = ((ARCFACE_TEMPLATE_XY - 56) @ [1, 1j]) * turn
    face = np.stack([shape.real, shape.imag], axis=1).astype(np.float32)
    small = cv2.resize(np.random.default_rng(0).integers(0, 256, (80, 80, 3), np.uint8), (2048, 2048))
    large = np.zeros((4096, 40_000, 3), np.uint8)
    large[1024:3072, 30_720:32_768] = small
    centre = np.float32([1000, 1100])
    expected = align_face(small, face + centre)
    found = align_face(large, face + centre + np.float32([30_720, 1024]))
    # float32 keeps two digits behind the point so far to the right.
    np.testing.assert_allclose(found.astype(int), expected, atol=2)


def test_a_face_outside_of_the_picture_is_black():
    picture = np.full((300, 400, 3), 255, np.uint8)
    assert align_face(picture, ARCFACE_TEMPLATE_XY + np.float32([2000, -900])).max() == 0
