import pytest

from inference.triton.backend.runtime import chunks


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (1, [(0, 1)]),
        (4, [(0, 4)]),
        (7, [(0, 4), (4, 2), (6, 1)]),
        (9, [(0, 4), (4, 4), (8, 1)]),
        (0, []),
    ],
)
def test_a_batch_is_cut_into_the_sizes_that_are_compiled(count: int, expected: list[tuple[int, int]]):
    assert list(chunks(count, [4, 2, 1])) == expected
