from __future__ import annotations

import numpy as np
import pytest

from api_server.database.schema import Vector
from api_server.results.agreement import Accepted, Candidate, disagreements

LEAST = 0.25


def unit(*values: float):
    vector = np.asarray(values, dtype=np.float32)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def candidate(*values: float, confirmed: bool = False):
    return Candidate(unit(*values), 1.0, confirmed)


def ready(*vectors: Vector):
    matrix = np.stack(vectors) if vectors else np.empty((0, 3), np.float32)
    return Accepted(matrix, np.ones(len(vectors), np.float32))


def test_the_first_photo_has_nothing_to_disagree_with():
    assert disagreements([candidate(1, 0, 0)], ready(), least=LEAST) == [None]


def test_the_threshold_is_inclusive():
    at_it, below = candidate(0.25, np.sqrt(1 - 0.25**2), 0), candidate(0.24, np.sqrt(1 - 0.24**2), 0)
    assert disagreements([at_it], ready(unit(1, 0, 0)), least=float(at_it.vector[0])) == [None]
    assert disagreements([below], ready(unit(1, 0, 0)), least=LEAST) == [pytest.approx(0.24)]


def test_a_photo_that_is_like_one_of_two_unlike_ones_shows_the_person():
    assert disagreements([candidate(0, 1, 0)], ready(unit(1, 0, 0), unit(0, 1, 0)), least=LEAST) == [None]


@pytest.mark.parametrize("place", range(4))
def test_wherever_the_wrong_one_of_a_batch_stands_it_is_the_one_that_is_found(place: int):
    batch = [candidate(1, 0, 0), candidate(0.8, 0.6, 0), candidate(0.8, -0.6, 0)]
    batch.insert(place, candidate(0, 0, 1))
    found = disagreements(batch, ready(), least=LEAST)
    assert [index for index, similarity in enumerate(found) if similarity is not None] == [place]


def test_of_two_that_disagree_the_older_one_stays():
    found = disagreements([candidate(1, 0, 0), candidate(0, 1, 0)], ready(), least=LEAST)
    assert found == [None, pytest.approx(0)]


def test_what_is_confirmed_is_accepted_and_counts_first():
    batch = [candidate(0, 1, 0), candidate(1, 0, 0, confirmed=True)]
    assert disagreements(batch, ready(), least=LEAST) == [pytest.approx(0), None]
    assert disagreements(batch[1:], ready(unit(0, 0, 1)), least=LEAST) == [None]
