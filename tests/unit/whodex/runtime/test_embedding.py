from __future__ import annotations

import numpy as np
import pytest

from whodex.errors import InvalidArgumentError
from whodex.runtime.embedding import from_proto, to_proto
from whodex.v1 import embedding_pb2

UNIT = np.array([0.6, 0.8], np.float32)


def test_an_embedding_comes_back_bit_for_bit():
    vector = from_proto(to_proto(UNIT, "space"))
    assert vector.dtype == np.float32
    assert np.array_equal(vector, UNIT)


@pytest.mark.parametrize(
    ("vector", "problem"),
    [
        (np.array([3.0, 4.0], "<f4"), "length is 5"),
        (np.array([np.nan, 1.0], "<f4"), "length is nan"),
        (np.array([np.inf, 1.0], "<f4"), "length is inf"),
        (np.zeros(2, "<f4"), "length is 0"),
        (np.array([1.0], "<f4"), "4 bytes are not 2"),
    ],
)
def test_what_is_no_unit_vector_is_refused(vector, problem):
    embedding = embedding_pb2.Embedding(space="space", vector=vector.tobytes(), dimension=2)
    with pytest.raises(InvalidArgumentError, match=problem) as caught:
        from_proto(embedding)
    assert caught.value.reason_name == "EMBEDDING_MISMATCH"


def test_other_dtypes_are_a_defect_of_the_caller():
    with pytest.raises(TypeError, match="float64"):
        to_proto(np.array([1.0]), "space")
