from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from inference.faces.embedding import cosine_similarity, normalise

vectors = arrays(np.float32, (4, 16), elements=st.floats(-100, 100, width=32)).filter(
    lambda rows: (np.linalg.norm(rows, axis=1) > 1e-2).all()
)


@given(vectors)
def test_normalised_rows_have_length_one_and_keep_their_direction(rows: np.ndarray):
    unit = normalise(rows)
    assert unit.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(unit, axis=1), 1, rtol=1e-5)
    assert ((unit * rows).sum(axis=1) > 0).all()


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
def test_what_has_no_direction_is_refused(value: float):
    with pytest.raises(ValueError, match="not finite"):
        normalise(np.full((1, 4), value, np.float32))


@given(vectors)
def test_similarity_is_one_to_itself_and_symmetric(rows: np.ndarray):
    unit = normalise(rows)
    similarity = cosine_similarity(unit, unit)
    assert (np.abs(similarity) <= 1).all()
    np.testing.assert_allclose(np.diag(similarity), 1, atol=1e-5)
    np.testing.assert_allclose(similarity, similarity.T, atol=1e-6)
