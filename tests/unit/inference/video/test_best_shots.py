from collections.abc import Callable
from typing import Any

import numpy as np

from inference.video import best_shots
from inference.video.best_shots import Candidate

MakeSighting = Callable[..., Any]


def choose(make_sighting: MakeSighting, sightings: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """The best of (time, weight) that stream by."""
    best: list[Candidate] = []
    for time_s, weight in sightings:
        face = make_sighting(0, 0, 0, side=112, score=weight).face
        if best_shots.wants(best, time_s, face):
            best = best_shots.add(best, Candidate(time_s, face, b"JPEG"))
    return [(shot.time_s, shot.face.quality.weight) for shot in best]


def test_the_first_face_is_a_best_shot(make_sighting: MakeSighting) -> None:
    assert choose(make_sighting, [(3.0, 0.01)]) == [(3.0, 0.01)]


def test_of_faces_close_in_time_only_the_best_stays(make_sighting: MakeSighting) -> None:
    assert choose(make_sighting, [(0.0, 0.2), (0.2, 0.6), (0.4, 0.4), (0.9, 0.5)]) == [(0.2, 0.6)]


def test_the_best_five_stay_the_best_first(make_sighting: MakeSighting) -> None:
    sightings = [(2.0 * index, weight) for index, weight in enumerate([0.3, 0.9, 0.1, 0.5, 0.7, 0.8, 0.2, 0.6])]
    assert [weight for _, weight in choose(make_sighting, sightings)] == [0.9, 0.8, 0.7, 0.6, 0.5]


def test_best_shots_lie_apart_whatever_streams_by(make_sighting: MakeSighting) -> None:
    rng = np.random.default_rng(0)
    chosen = choose(make_sighting, [(index * 0.2, float(rng.random())) for index in range(500)])
    times = sorted(time_s for time_s, _ in chosen)
    assert len(chosen) == best_shots.MAX_SHOTS
    assert np.diff(times).min() >= best_shots.MIN_APART_S


def test_a_small_face_is_worth_less(make_sighting: MakeSighting) -> None:
    values = [best_shots.value(make_sighting(0, 0, 0, side=side, score=0.8).face) for side in (28, 112, 400)]
    assert values == [0.2, 0.8, 0.8]
