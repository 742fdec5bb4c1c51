import numpy as np
from numpy.typing import NDArray

from inference.faces.suppression import suppress_overlapping, suppress_seen_twice


def detections(*boxes: tuple[float, float, float, float]) -> NDArray[np.float32]:
    rows = np.zeros((len(boxes), 15), np.float32)
    rows[:, :4] = np.reshape(boxes, (-1, 4))
    rows[:, 4] = np.linspace(0.9, 0.6, len(boxes))
    return rows


def test_of_overlapping_detections_the_best_stays():
    rows = detections((0, 0, 10, 10), (1, 1, 11, 11), (100, 100, 110, 110))
    np.testing.assert_array_equal(suppress_overlapping(rows), rows[[0, 2]])


def test_what_overlaps_only_a_suppressed_detection_stays():
    rows = detections((0, 0, 10, 10), (3, 0, 13, 10), (6, 0, 16, 10))
    np.testing.assert_array_equal(suppress_overlapping(rows), rows[[0, 2]])


def test_faces_beside_each_other_stay():
    rows = detections((0, 0, 10, 10), (5, 0, 15, 10))
    assert len(suppress_overlapping(rows)) == 2


def test_nothing_gives_nothing():
    assert suppress_overlapping(detections()).shape == (0, 15)


def test_of_two_views_of_a_face_the_better_one_stays():
    cut_off, whole, other = detections((0, 0, 10, 4), (0, 0, 10, 12), (30, 0, 40, 10))
    whole[4] = 0.99
    kept = suppress_seen_twice([np.array([cut_off, other]), np.array([whole])])
    np.testing.assert_array_equal(kept, [whole, other])


def test_faces_beside_each_other_stay_in_several_views():
    left, right = detections((0, 0, 10, 10), (7, 0, 17, 10))
    assert len(suppress_seen_twice([np.array([left]), np.array([right])])) == 2
