from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from api_server.results.people import aggregate

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
