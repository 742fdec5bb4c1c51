from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from api_server.results.aggregation import NEAR_DUPLICATE_SIMILARITY, aggregate, near_duplicates

DIMENSION = 4


def unit(*values: float):
    vector = np.asarray(values, dtype=np.float32)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def weights(*values: float):
    return np.asarray(values, dtype=np.float32)


@st.composite
def photos(draw):
    """Vectors of unit length and their weights."""
    count = draw(st.integers(1, 6))
    raw = draw(arrays.arrays(np.float32, (count, DIMENSION), elements=st.floats(-1, 1, width=32)))
    lengths = np.linalg.norm(raw, axis=1, keepdims=True)
    assume(bool((lengths > 0.1).all()))
    shares = draw(arrays.arrays(np.float32, count, elements=st.floats(0.125, 1, width=32)))
    return (raw / lengths).astype(np.float32), shares


def test_the_mean_is_weighted_and_of_unit_length():
    vector = aggregate(np.stack([unit(1, 0), unit(0, 1)]), weights(1.0, 0.5))

    np.testing.assert_allclose(vector, unit(1, 0.5), atol=1e-6)
    assert vector.dtype == np.float32


def test_photos_that_cancel_each_other_out_leave_the_heaviest():
    vectors = np.stack([unit(1, 0), unit(-1, 0), unit(0, 1), unit(0, -1)])

    np.testing.assert_array_equal(aggregate(vectors, weights(0.5, 0.5, 0.75, 0.75)), [0, 1])


@given(photos())
def test_no_photos_make_it_fail(ready):
    assert np.linalg.norm(aggregate(*ready)) == pytest.approx(1, abs=1e-3)


@given(photos(), st.randoms())
def test_the_order_of_photos_does_not_matter(ready, random):
    vectors, shares = ready
    assume(np.linalg.norm(shares @ vectors) > 1e-3)
    order = list(range(len(shares)))
    random.shuffle(order)

    np.testing.assert_allclose(aggregate(vectors, shares), aggregate(vectors[order], shares[order]), atol=1e-4)


def at_angle(cosine: float):
    return unit(cosine, np.sqrt(1 - cosine**2))


def test_a_near_duplicate_names_the_earlier_photo_that_counts():
    near, far = at_angle(NEAR_DUPLICATE_SIMILARITY + 0.001), at_angle(NEAR_DUPLICATE_SIMILARITY - 0.001)
    assert near_duplicates(np.stack([unit(1, 0), unit(1, 0), far, near])) == [None, 0, None, 0]
    assert near_duplicates(np.stack([unit(1, 0), near])) == [None, 0]
    assert near_duplicates(np.stack([unit(1, 0), far])) == [None, None]


def test_of_a_row_of_ever_other_pictures_only_those_like_one_that_counts_are_duplicates():
    step = np.arccos(NEAR_DUPLICATE_SIMILARITY) * 0.9
    row = np.stack([unit(np.cos(step * n), np.sin(step * n)) for n in range(4)])
    assert near_duplicates(row) == [None, 0, None, 2]


@given(photos())
def test_what_is_a_duplicate_is_near_to_one_that_counts_and_what_counts_is_near_to_none(ready):
    vectors, _ = ready
    found = near_duplicates(vectors)
    counted = [index for index, original in enumerate(found) if original is None]
    assert counted[0] == 0
    for index, original in enumerate(found):
        near = [one for one in counted if one < index and vectors[one] @ vectors[index] >= NEAR_DUPLICATE_SIMILARITY]
        assert (original in near) if near else (original is None)
