from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.faces.detection import Letterbox, choose_canvas, letterbox

SIZES = ((256, 256), (640, 360), (360, 640), (640, 480), (480, 640), (640, 640))
sides = st.integers(1, 3000)


@pytest.mark.parametrize(
    ("picture", "canvas"),
    [
        ((250, 250), (256, 256)),
        ((4000, 3000), (640, 480)),
        ((3000, 4000), (480, 640)),
        ((1920, 1080), (640, 360)),
        ((1080, 1920), (360, 640)),
        ((1000, 1000), (640, 640)),
        ((300, 200), (640, 360)),
    ],
)
def test_canvas_shrinks_least_and_is_the_smallest_of_these(picture: tuple[int, int], canvas: tuple[int, int]):
    assert choose_canvas(*picture, SIZES) == canvas


def test_small_picture_is_centred_and_not_enlarged():
    picture = np.full((100, 200, 3), 7, np.uint8)
    canvas, placement = letterbox(picture, (256, 256))
    assert placement == Letterbox(scale_x=1.0, scale_y=1.0, left=28, top=78)
    assert (canvas[78:178, 28:228] == 7).all()
    assert canvas.sum() == picture.sum()


def test_large_picture_is_shrunk_to_fit():
    canvas, placement = letterbox(np.full((500, 1000, 3), 200, np.uint8), (640, 360))
    assert canvas.shape == (360, 640, 3)
    assert placement == Letterbox(scale_x=0.64, scale_y=0.64, left=0, top=20)
    assert (canvas[20:340] == 200).all()
    assert (canvas[:20] == 0).all()


def test_padding_leaves_its_share_around_the_picture():
    _, placement = letterbox(np.zeros((400, 400, 3), np.uint8), (640, 640), padding=0.5)
    assert placement == Letterbox(scale_x=0.8, scale_y=0.8, left=160, top=160)


@given(width=sides, height=sides, padding=st.sampled_from([0.0, 0.5]), data=st.data())
def test_points_come_back_to_where_they_were(width: int, height: int, padding: float, data: st.DataObject):
    canvas = data.draw(st.sampled_from(SIZES))
    _, placement = letterbox(np.zeros((height, width, 3), np.uint8), canvas, padding=padding)
    corners = np.zeros((1, 15), np.float32)
    corners[0, :4] = 0, 0, width, height
    corners[0, 4] = 0.75
    corners[0, 5:] = np.tile([width / 2, height / 2], 5)
    on_canvas = corners.copy()
    on_canvas[0, 0::2][[0, 1]] = placement.left, placement.left + width * placement.scale_x
    on_canvas[0, [1, 3]] = placement.top, placement.top + height * placement.scale_y
    on_canvas[0, 5:] = np.tile(
        [placement.left + width / 2 * placement.scale_x, placement.top + height / 2 * placement.scale_y], 5
    )
    assert on_canvas[0, 0] >= 0
    assert on_canvas[0, 2] <= canvas[0]
    assert on_canvas[0, 3] <= canvas[1]
    # float32 keeps 7 digits of the canvas' coordinates; shrinking multiplies what is lost.
    tolerance = 1e-4 * max(1 / placement.scale_x, 1 / placement.scale_y)
    np.testing.assert_allclose(placement.to_picture(on_canvas), corners, atol=tolerance, rtol=1e-5)
