from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from inference.faces.decode import DecodedImage
from inference.faces.thumbnail import THUMBNAIL_SIZE_PX, face_thumbnail


def decoded(jpeg: bytes) -> NDArray[np.uint8]:
    assert jpeg.startswith(b"\xff\xd8\xff")
    return np.asarray(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR), np.uint8)


def marked(width: int, height: int, box: tuple[int, int, int, int]) -> DecodedImage:
    """A black picture with a white box."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[box[1] : box[3], box[0] : box[2]] = 255
    return DecodedImage.from_pixels(pixels)


def test_face_is_centred_with_a_margin_and_shrunk():
    box = (400, 300, 800, 800)
    thumbnail = decoded(face_thumbnail(marked(1600, 1200, box), np.array(box, np.float32)))
    assert thumbnail.shape == (THUMBNAIL_SIZE_PX, THUMBNAIL_SIZE_PX, 3)
    rows, columns = np.nonzero(thumbnail[..., 0] > 128)
    assert (rows.min() + rows.max()) / 2 == pytest.approx(127.5, abs=1)
    assert (columns.min() + columns.max()) / 2 == pytest.approx(127.5, abs=1)
    assert np.ptp(rows) + 1 == pytest.approx(THUMBNAIL_SIZE_PX / 1.6, abs=2)


def test_small_face_is_not_enlarged():
    thumbnail = decoded(face_thumbnail(marked(300, 300, (100, 100, 150, 150)), np.array([100, 100, 150, 150])))
    assert thumbnail.shape == (80, 80, 3)


def test_the_picture_ends_where_it_ends():
    thumbnail = decoded(face_thumbnail(marked(200, 200, (0, 0, 50, 100)), np.array([0, 0, 50, 100])))
    assert thumbnail.shape == (130, 105, 3)


def test_box_counts_full_size_pixels():
    small = marked(400, 300, (200, 150, 300, 250))
    image = DecodedImage(small.pixels_bgr, width=1600, height=1200)
    thumbnail = decoded(face_thumbnail(image, np.array([800, 600, 1200, 1000])))
    assert thumbnail.shape == (160, 160, 3)
    assert thumbnail[80, 80].tolist() == [255, 255, 255]
