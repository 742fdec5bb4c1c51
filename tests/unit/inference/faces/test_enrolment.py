from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from inference.faces.analyzer import Face, FaceAnalyzer
from inference.faces.decode import DecodedImage
from inference.faces.enrolment import Photo, choose_enrolled_face
from inference.faces.errors import FaceNotAtBoxError, NoFaceError, SeveralFacesError

MakeFace = Callable[..., Face]

LARGE = DecodedImage(np.zeros((750, 1000, 3), np.uint8), width=2000, height=1500)
FULL_SIZE = DecodedImage.from_pixels(np.random.default_rng(0).integers(40, 216, (1500, 2000, 3), np.uint8))
SMALL_FACE_XYXY = (160, 133, 227, 213)
"""What the models find: 120 to 170 pixels in a tile that shows three quarters of the size, 100 to 160 from above."""


class Models:
    """Finds one face of 60 pixels in the first tile of a picture in parts, and nothing in a whole one."""

    def detect(self, images_bgr: np.ndarray, /) -> list[np.ndarray]:
        empty = np.empty((0, 15), np.float32)
        if images_bgr.shape[0] == 1:
            return [empty]
        eyes_nose_mouth = [135, 120, 155, 120, 145, 130, 137, 142, 153, 142]
        return [np.array([[120, 100, 170, 160, 0.99, *eyes_nose_mouth]], np.float32), *[empty] * (len(images_bgr) - 1)]

    def embed(self, crops_bgr: np.ndarray, /) -> np.ndarray:
        return np.ones((len(crops_bgr), 8), np.float32)


@pytest.fixture
def analyzer() -> FaceAnalyzer:
    return FaceAnalyzer(Models(), [(640, 640)])


def photo(box: Sequence[float] | None = None, image: DecodedImage = LARGE) -> Photo:
    return Photo(image, lambda: FULL_SIZE, None if box is None else np.array(box, np.float32))


def refused_to_decode() -> DecodedImage:
    raise AssertionError


def test_a_face_that_was_found_is_chosen_without_a_closer_look(analyzer: FaceAnalyzer, make_face: MakeFace):
    face = make_face()
    chosen = choose_enrolled_face(analyzer, Photo(LARGE, refused_to_decode), [face])
    assert chosen.face is face
    assert chosen.thumbnail.startswith(b"\xff\xd8\xff")


@pytest.mark.parametrize("found", [0, 1])
def test_a_large_photo_without_a_large_enough_face_is_looked_at_closer(
    analyzer: FaceAnalyzer, make_face: MakeFace, found: int
):
    too_small = [make_face((1900, 10, 1920, 35), face_size_px=20)][:found]
    chosen = choose_enrolled_face(analyzer, photo(), too_small)
    np.testing.assert_allclose(chosen.face.box_xyxy, SMALL_FACE_XYXY, atol=1)


def test_a_box_may_name_a_face_that_was_overlooked(analyzer: FaceAnalyzer, make_face: MakeFace):
    large = make_face((1000, 1000, 1200, 1200))
    chosen = choose_enrolled_face(analyzer, photo(SMALL_FACE_XYXY), [large])
    np.testing.assert_allclose(chosen.face.box_xyxy, SMALL_FACE_XYXY, atol=1)
    with pytest.raises(FaceNotAtBoxError, match="None of the 2 faces"):
        choose_enrolled_face(analyzer, photo((1800, 100, 1900, 200)), [large])


def test_a_small_photo_is_not_looked_at_again(analyzer: FaceAnalyzer):
    small = DecodedImage.from_pixels(np.zeros((400, 400, 3), np.uint8))
    with pytest.raises(NoFaceError):
        choose_enrolled_face(analyzer, Photo(small, refused_to_decode), [])


def test_several_faces_are_not_made_more(analyzer: FaceAnalyzer, make_face: MakeFace):
    faces = [make_face((10, 10, 110, 130)), make_face((210, 10, 310, 130))]
    with pytest.raises(SeveralFacesError, match="2 faces"):
        choose_enrolled_face(analyzer, Photo(LARGE, refused_to_decode), faces)
