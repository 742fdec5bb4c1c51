from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.faces.tiles import choose_tile, cut, levels

CANVASES = ((256, 256), (640, 360), (360, 640), (640, 640))


def box(x: float, y: float, size: float) -> np.ndarray:
    row = np.zeros((1, 15), np.float32)
    row[0, :4] = x, y, x + size, y + size
    return row


@given(
    width=st.integers(1, 4000),
    height=st.integers(1, 4000),
    face=st.integers(1, 150),
    at=st.tuples(*[st.floats(0, 1)] * 2),
)
def test_every_face_lies_wholly_in_exactly_one_tile_that_owns_it(
    width: int, height: int, face: int, at: tuple[float, float]
):
    face = min(face, width, height)
    x, y = at[0] * (width - face), at[1] * (height - face)
    owners = []
    for tile in cut(width, height, (640, 360), 150):
        own = tile.own(box(x - tile.left, y - tile.top, face))
        if len(own):
            np.testing.assert_allclose(own[0, :2], [x, y], atol=1e-2)
            owners.append(tile)
    (tile,) = owners
    assert tile.left - 1e-2 <= x
    assert x + face <= tile.left + 640 + 1e-2
    assert tile.top - 1e-2 <= y
    assert y + face <= tile.top + 360 + 1e-2


@pytest.mark.parametrize(("size", "count"), [((3000, 2250), 30), ((960, 540), 3), ((100, 100), 1)])
def test_there_are_no_more_tiles_than_needed(size: tuple[int, int], count: int):
    largest_px = 24 * max(size) / 640
    assert len(cut(*size, choose_tile(*size, CANVASES, largest_px), largest_px)) == count


def test_a_tile_has_the_pixels_of_its_canvas():
    picture = np.arange(1000 * 900, dtype=np.uint32).reshape(900, 1000)
    parts = [tile.of(picture, (640, 360)) for tile in cut(1000, 900, (640, 360), 50)]
    assert {part.shape for part in parts} == {(360, 640)}
    assert {int(part[0, 0]) for part in parts} >= {0}
    assert max(int(part[-1, -1]) for part in parts) == 1000 * 900 - 1


def test_a_scale_is_for_sizes_within_a_range():
    assert list(levels(32, 150)) == [(32, 150)]
    assert list(levels(32, 375)) == [(32, 160), (160, 375)]
    assert list(levels(32, 24)) == []
