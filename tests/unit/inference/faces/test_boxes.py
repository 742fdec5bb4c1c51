from __future__ import annotations

import numpy as np
import pytest

from inference.faces.boxes import covered, iou


def boxes(*boxes_xyxy: tuple[float, ...]) -> np.ndarray:
    return np.array(boxes_xyxy, np.float32).reshape(-1, 4)


@pytest.mark.parametrize(
    ("first", "second", "overlap"),
    [
        ((0, 0, 10, 10), (0, 0, 10, 10), 1.0),
        ((0, 0, 10, 10), (10, 0, 20, 10), 0.0),
        ((0, 0, 10, 10), (30, 30, 40, 40), 0.0),
        ((0, 0, 10, 10), (5, 0, 15, 10), 1 / 3),
        ((0, 0, 10, 10), (2, 2, 7, 7), 0.25),
    ],
)
def test_overlap_is_intersection_over_union(first: tuple[float, ...], second: tuple[float, ...], overlap: float):
    assert iou(boxes(first), boxes(second)) == pytest.approx(overlap)
    assert iou(boxes(second), boxes(first)) == pytest.approx(overlap)


def test_every_pair_has_its_overlap():
    first = boxes((0, 0, 10, 10), (2, 2, 7, 7))
    second = boxes((0, 0, 10, 10), (5, 0, 15, 10), (20, 20, 30, 30))
    assert iou(first, second) == pytest.approx(np.array([[1, 1 / 3, 0], [0.25, 10 / 115, 0]]), abs=1e-6)
    assert iou(boxes(), second).shape == (0, 3)


def test_a_box_without_area_overlaps_nothing():
    assert iou(boxes((5, 5, 5, 5)), boxes((0, 0, 10, 10), (5, 5, 5, 5))).tolist() == [[0, 0]]


def test_what_lies_in_another_box_is_covered():
    first = boxes((0, 0, 10, 10), (2, 2, 7, 7))
    second = boxes((0, 0, 10, 10), (5, 0, 15, 10), (20, 20, 30, 30))
    assert covered(first, second) == pytest.approx(np.array([[1, 0.5, 0], [1, 0.4, 0]]), abs=1e-6)
    assert covered(boxes((5, 5, 5, 5)), second).tolist() == [[0, 0, 0]]
