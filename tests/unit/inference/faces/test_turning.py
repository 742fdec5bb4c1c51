from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from inference.faces.alignment import ARCFACE_TEMPLATE_XY
from inference.faces.turning import (
    SURE_SCORE,
    merge_turns,
    roll_deg,
    surely_upright,
    turn_back,
    turned,
    upright,
    upright_turn,
)


def detection(landmarks_xy: NDArray[np.float32] = ARCFACE_TEMPLATE_XY, score: float = 0.999) -> NDArray[np.float32]:
    return np.array([[10, 20, 110, 140, score, *landmarks_xy.ravel()]], np.float32)


def rotated(degrees: float) -> NDArray[np.float32]:
    """The template, clockwise."""
    turn = np.exp(1j * np.radians(degrees)) * ((ARCFACE_TEMPLATE_XY - 56) @ [1, 1j])
    return np.stack([turn.real, turn.imag], axis=1).astype(np.float32) + 56


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_points_in_a_turned_picture_come_back(quarters: int):
    picture = np.zeros((60, 100, 3), np.uint8)
    picture[20:30, 70:90] = 255
    copy = turned(picture, quarters)
    rows, columns = np.nonzero(copy[..., 0])
    corner = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], np.float32)
    found = np.array([[*corner, 0.9, *np.tile(corner[:2], 5)]], np.float32)
    (back,) = turn_back(found, quarters, 100, 60)
    assert back[:5].tolist() == pytest.approx([70, 20, 90, 30, 0.9])
    # A landmark is turned with the picture, the corners of a box change their places.
    assert back[5:7].tolist() == {0: [70, 20], 1: [70, 30], 2: [90, 30], 3: [90, 20]}[quarters]


@pytest.mark.parametrize("degrees", [-170, -90, -30, 0, 20, 90, 140])
def test_roll_is_clockwise(degrees: float):
    assert roll_deg(rotated(degrees)) == pytest.approx(degrees, abs=1e-3)


@pytest.mark.parametrize(
    ("degrees", "quarters"), [(0, 0), (40, 0), (-40, 0), (90, 3), (-90, 1), (180, 2), (-170, 2), (50, 3)]
)
def test_a_face_is_turned_by_what_makes_it_nearly_upright(degrees: float, quarters: int):
    assert upright_turn(rotated(degrees)) == quarters


@pytest.mark.parametrize(("degrees", "expected"), [(0, True), (30, True), (-30, True), (40, False), (180, False)])
def test_a_face_is_upright_or_not(degrees: float, expected: bool):  # noqa: FBT001
    assert upright(detection(rotated(degrees))).tolist() == [expected]
    assert surely_upright(detection(rotated(degrees))) is expected


def test_landmarks_that_are_no_face_are_not_upright():
    """The real detector invents such for faces upside down."""
    mixed_up = ARCFACE_TEMPLATE_XY[[1, 0, 2, 4, 3]] + np.float32([0, 15])
    assert upright(detection(mixed_up)).tolist() == [False]


def test_an_unsure_face_is_no_reason_to_trust_the_picture():
    assert not surely_upright(detection(score=SURE_SCORE - 0.001))
    assert surely_upright(np.vstack([detection(), detection(score=0.7)]))
    assert not surely_upright(np.empty((0, 15), np.float32))


def test_the_best_view_of_a_face_is_kept():
    lying = detection(rotated(90), score=0.97)
    copy = turn_back(detection(score=0.99), 3, 200, 100)  # what a copy turned by 3 quarters shows
    (kept,) = merge_turns(lying, {3: np.vstack([copy])}, 100, 200)
    assert kept[4] == pytest.approx(0.97)  # the copy's landmarks lie on their side: it does not count
    (kept,) = merge_turns(lying, {0: detection(score=0.99)}, 100, 200)
    assert kept[4] == pytest.approx(0.99)


def test_a_worse_view_changes_nothing():
    found = detection(score=0.98)
    np.testing.assert_array_equal(merge_turns(found, {0: detection(score=0.7)}, 100, 200), found)
    np.testing.assert_array_equal(merge_turns(found, {}, 100, 200), found)
