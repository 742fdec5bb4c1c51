from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_server.results.people import WeightedEmbedding, aggregate

DIMENSION = 4
vectors = st.lists(st.floats(-1, 1, width=32), min_size=DIMENSION, max_size=DIMENSION).filter(
    lambda values: np.linalg.norm(values) > 0.1
)
photos = st.builds(
    lambda values, space, weight: WeightedEmbedding(unit(values), space, weight),
    vectors,
    st.sampled_from(["old", "new"]),
    st.floats(0.01, 1),
)


def unit(values):
    vector = np.asarray(values, dtype=np.float32)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def photo(*values: float, space="new", weight=1.0):
    return WeightedEmbedding(unit(values), space, weight)


def test_without_photos_there_is_none():
    assert aggregate([]) is None


def test_the_mean_is_weighted_and_of_unit_length():
    vector, space = aggregate([photo(1, 0, weight=1.0), photo(0, 1, weight=0.5)])

    np.testing.assert_allclose(vector, unit([1, 0.5]), atol=1e-6)
    assert (vector.dtype, space) == (np.float32, "new")


def test_photos_of_an_older_space_do_not_count():
    vector, space = aggregate([photo(1, 0, space="old"), photo(0, 1)])

    np.testing.assert_allclose(vector, [0, 1])
    assert space == "new"


def test_photos_that_cancel_each_other_out_leave_the_heaviest():
    vector, _ = aggregate([photo(1, 0, weight=0.5), photo(-1, 0, weight=0.5)])

    np.testing.assert_allclose(vector, [1, 0])


@given(st.lists(photos, min_size=1, max_size=6))
def test_no_photos_make_it_fail(ready):
    vector, space = aggregate(ready)

    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-3)
    assert space == ready[-1].space


@given(st.lists(photos, min_size=1, max_size=6), st.randoms())
def test_the_order_of_photos_of_one_space_does_not_matter(ready, random):
    ready = [WeightedEmbedding(one.vector, "new", one.weight) for one in ready]
    total = sum(one.weight * one.vector for one in ready)
    if np.linalg.norm(total) < 1e-3:
        return
    before, _ = aggregate(ready)
    random.shuffle(ready)

    after, _ = aggregate(ready)

    np.testing.assert_allclose(before, after, atol=1e-4)
