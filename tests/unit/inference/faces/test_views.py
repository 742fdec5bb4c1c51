from __future__ import annotations

import numpy as np
import pytest

from inference.faces.alignment import ARCFACE_TEMPLATE_XY
from inference.faces.views import View


def detection(left: float, top: float, side: float, *, score: float = 0.9, quarters: int = 0) -> np.ndarray:
    """float32 (15,): a face that is turned clockwise."""
    shape = ARCFACE_TEMPLATE_XY / 112
    for _ in range(quarters):
        shape = np.stack([1 - shape[:, 1], shape[:, 0]], axis=1)
    landmarks = shape * side + (left, top)
    return np.array([left, top, left + side, top + side, score, *landmarks.ravel()], np.float32)


def test_a_view_has_room_around_the_face_and_ends_with_the_picture():
    assert View.around(detection(500, 400, 50), 2000, 1500) == View(425, 325, 200, 200, 0)
    assert View.around(detection(0, 1450, 50), 2000, 1500) == View(0, 1375, 125, 125, 0)


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_a_view_is_upright_and_what_it_shows_comes_back(quarters: int):
    picture = np.zeros((400, 600, 3), np.uint8)
    lying = detection(200, 100, 60, quarters=quarters)
    eye = lying[5:7].astype(int)
    picture[eye[1], eye[0]] = 255
    view = View.around(lying, 600, 400)
    ((y, x),) = np.argwhere(view.of(picture)[..., 0])
    # The eye on the left of an upright face is above its middle, and left of it.
    assert x < 120
    assert y < 120
    seen = detection(0, 0, 60, score=0.99)
    seen[:4] = 90, 90, 150, 150
    seen[5:7] = x, y
    back = view.same_face(lying, np.stack([seen]))
    assert back[4] == pytest.approx(0.99)
    np.testing.assert_allclose(back[5:7], eye, atol=1.01)
    np.testing.assert_allclose(back[:4], lying[:4], atol=1.01)


def test_another_face_in_the_view_is_not_taken_for_it():
    face = detection(200, 100, 60)
    view = View.around(face, 600, 400)
    beside = detection(170, 90, 50, score=0.99)
    np.testing.assert_array_equal(view.same_face(face, np.stack([beside])), face)
    np.testing.assert_array_equal(view.same_face(face, np.empty((0, 15), np.float32)), face)
