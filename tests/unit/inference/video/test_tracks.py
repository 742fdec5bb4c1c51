from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from inference.faces.decode import DecodedImage
from inference.video.tracks import MAX_GAP_S, Track, Tracker

MakeSighting = Callable[..., Any]
FRAME = DecodedImage.from_pixels(np.zeros((180, 320, 3), np.uint8))


def follow(sightings: dict[float, list[Any]], start_s: float = 0.0) -> list[Track]:
    tracker = Tracker(start_s)
    for time_s, seen in sightings.items():
        tracker.add(time_s, seen, FRAME)
    return tracker.tracks


def test_a_moving_face_is_one_track(make_sighting: MakeSighting) -> None:
    (track,) = follow({0.2 * step: [make_sighting(0, 10 * step, 50)] for step in range(10)})
    assert track.times_s == [0.2 * step for step in range(10)]
    assert [box[0] for box in track.boxes_xyxy] == [10 * step for step in range(10)]


def test_people_who_cross_keep_their_tracks(make_sighting: MakeSighting) -> None:
    """At the crossing each face lies on the other's last box: the faces decide."""
    tracks = follow(
        {0.2 * step: [make_sighting(0, 40 * step, 50), make_sighting(1, 160 - 40 * step, 50)] for step in range(5)}
    )
    assert [int(np.argmax(track.embedding)) for track in tracks] == [0, 1]
    assert [len(track.times_s) for track in tracks] == [5, 5]


def test_another_face_in_the_same_place_is_another_track(make_sighting: MakeSighting) -> None:
    tracks = follow({0.0: [make_sighting(0, 50, 50)], 0.2: [make_sighting(1, 50, 50)]})
    assert [int(np.argmax(track.embedding)) for track in tracks] == [0, 1]


def test_two_faces_of_one_frame_are_never_one_track(make_sighting: MakeSighting) -> None:
    """A person beside a portrait of theirs: same face, two places."""
    tracks = follow({0.2 * step: [make_sighting(0, 50, 50), make_sighting(0, 200, 50)] for step in range(5)})
    assert [len(track.times_s) for track in tracks] == [5, 5]
    assert [{float(box[0]) for box in track.boxes_xyxy} for track in tracks] == [{50.0}, {200.0}]


def test_a_missed_detection_does_not_end_a_track(make_sighting: MakeSighting) -> None:
    (track,) = follow({0.0: [make_sighting(0, 50, 50)], 0.2: [], 0.4: [], 0.6: [make_sighting(0, 60, 50)]})
    assert track.times_s == [0.0, 0.6]
    assert track.end_s is None


def test_a_face_that_comes_back_late_begins_a_track(make_sighting: MakeSighting) -> None:
    back_s = MAX_GAP_S + 0.2
    sightings = {0.0: [make_sighting(0, 50, 50)], 0.2: [], back_s: [make_sighting(0, 50, 50)]}
    first, second = follow(sightings)
    assert (first.start_s, first.end_s) == (0.0, pytest.approx(0.1))
    assert (second.start_s, second.end_s) == (pytest.approx((0.2 + back_s) / 2), None)


def test_a_face_is_in_sight_from_halfway_between_two_samples(make_sighting: MakeSighting) -> None:
    (track,) = follow(
        {5.0: [], 5.2: [make_sighting(0, 50, 50)], 5.4: [make_sighting(0, 50, 50)], 5.6: [], 5.8: []}, start_s=5.0
    )
    assert (track.start_s, track.end_s) == (pytest.approx(5.1), pytest.approx(5.5))


def test_the_embedding_is_the_weighted_mean_of_length_one(make_sighting: MakeSighting) -> None:
    good, poor = make_sighting(0, 50, 50, score=0.9), make_sighting(0, 50, 50, score=0.1)
    poor.embedding[:] = 0
    poor.embedding[:2] = 0.6, 0.8
    (track,) = follow({0.0: [good], 0.2: [poor]})
    expected = np.array([0.9 + 0.06, 0.08])
    assert track.embedding.dtype == np.float32
    assert track.embedding[:2] == pytest.approx(expected / np.linalg.norm(expected), abs=1e-6)
    assert np.linalg.norm(track.embedding) == pytest.approx(1, abs=1e-6)
