from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from inference.faces.alignment import ARCFACE_TEMPLATE_XY
from inference.faces.analyzer import Face
from inference.faces.decode import DecodedImage
from inference.faces.thumbnail import THUMBNAIL_SIZE_PX, face_thumbnail

MakeFace = Callable[..., Face]
At = Callable[..., Face]


def decoded(jpeg: bytes) -> NDArray[np.uint8]:
    assert jpeg.startswith(b"\xff\xd8\xff")
    return np.asarray(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR), np.uint8)


def marked(width: int, height: int, box: tuple[int, int, int, int]) -> DecodedImage:
    """A black picture with a white box."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[box[1] : box[3], box[0] : box[2]] = 255
    return DecodedImage.from_pixels(pixels)


@pytest.fixture
def at(make_face: MakeFace) -> Callable[..., Face]:
    """A face at a box, turned clockwise."""

    def make(*box: float, quarters: int = 0) -> Face:
        landmarks = ARCFACE_TEMPLATE_XY
        for _ in range(quarters):
            landmarks = np.stack([112 - landmarks[:, 1], landmarks[:, 0]], axis=1)
        return replace(make_face(box), landmarks_xy=landmarks)

    return make


def test_face_is_centred_with_a_margin_and_shrunk(at: At):
    box = (400, 300, 800, 800)
    thumbnail = decoded(face_thumbnail(marked(1600, 1200, box), at(*box)))
    assert thumbnail.shape == (THUMBNAIL_SIZE_PX, THUMBNAIL_SIZE_PX, 3)
    rows, columns = np.nonzero(thumbnail[..., 0] > 128)
    assert (rows.min() + rows.max()) / 2 == pytest.approx(127.5, abs=1)
    assert (columns.min() + columns.max()) / 2 == pytest.approx(127.5, abs=1)
    assert np.ptp(rows) + 1 == pytest.approx(THUMBNAIL_SIZE_PX / 1.6, abs=2)


def test_small_face_is_not_enlarged(at: At):
    thumbnail = decoded(face_thumbnail(marked(300, 300, (100, 100, 150, 150)), at(100, 100, 150, 150)))
    assert thumbnail.shape == (80, 80, 3)


def test_the_picture_ends_where_it_ends(at: At):
    thumbnail = decoded(face_thumbnail(marked(200, 200, (0, 0, 50, 100)), at(0, 0, 50, 100)))
    assert thumbnail.shape == (130, 105, 3)


def test_box_counts_full_size_pixels(at: At):
    small = marked(400, 300, (200, 150, 300, 250))
    image = DecodedImage(small.pixels_bgr, width=1600, height=1200)
    thumbnail = decoded(face_thumbnail(image, at(800, 600, 1200, 1000)))
    assert thumbnail.shape == (160, 160, 3)
    assert thumbnail[80, 80].tolist() == [255, 255, 255]


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_a_face_on_its_side_becomes_upright(at: At, quarters: int):
    upright = np.zeros((200, 300, 3), np.uint8)
    upright[50:70, 100:200] = 255
    turned = np.ascontiguousarray(np.rot90(upright, -quarters))
    box = {0: (100, 50, 200, 150), 1: (50, 100, 150, 200), 2: (100, 50, 200, 150), 3: (50, 100, 150, 200)}[quarters]
    thumbnail = decoded(face_thumbnail(DecodedImage.from_pixels(turned), at(*box, quarters=quarters)))
    assert thumbnail[40, 80].min() > 200
    assert thumbnail[120].max() < 50
