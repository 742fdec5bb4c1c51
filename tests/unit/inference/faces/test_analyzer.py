from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from inference.faces.alignment import ARCFACE_TEMPLATE_XY
from inference.faces.analyzer import FaceAnalyzer
from inference.faces.decode import DecodedImage

SIZES = ((256, 256), (640, 360), (640, 640))
COLOUR = (10, 200, 30)


class ColourModels:
    """Finds rectangles of one colour, with landmarks at the template's places in them; embeds mean colours.

    Attributes:
        detected: shape of each batch of canvases.
        embedded: how many crops were in each batch.
        margin_px: what touches this margin of the canvas is overlooked, as the real detector overlooks faces
            that fill it.
    """

    def __init__(self, *, score: float = 0.9, margin_px: int = 0) -> None:
        self.detected: list[tuple[int, ...]] = []
        self.embedded: list[int] = []
        self.score = score
        self.margin_px = margin_px

    def detect(self, images_bgr: NDArray[np.uint8], /) -> list[NDArray[np.float32]]:
        self.detected.append(images_bgr.shape)
        return [self._rectangles(image) for image in images_bgr]

    def embed(self, crops_bgr: NDArray[np.uint8], /) -> NDArray[np.float32]:
        self.embedded.append(len(crops_bgr))
        return crops_bgr.mean(axis=(1, 2), dtype=np.float32) + 1

    def _rectangles(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        rows, columns = np.nonzero(np.abs(image.astype(int) - COLOUR).max(axis=2) < 40)
        if len(rows) == 0 or min(rows.min(), columns.min()) < self.margin_px:
            return np.empty((0, 15), np.float32)
        # Two faces lie side by side: cut where columns are missing.
        cuts = np.flatnonzero(np.diff(np.unique(columns)) > 1)
        edges = [*np.unique(columns)[cuts], columns.max()]
        starts = [columns.min(), *np.unique(columns)[cuts + 1]]
        found = [self._row(rows, columns, start, end) for start, end in zip(starts, edges, strict=True)]
        return np.array(found, np.float32)

    def _row(self, rows: NDArray[np.intp], columns: NDArray[np.intp], start: int, end: int) -> Sequence[float]:
        own = rows[(columns >= start) & (columns <= end)]
        box = np.array([start, own.min(), end + 1, own.max() + 1], np.float32)
        landmarks = box[:2] + (ARCFACE_TEMPLATE_XY / 112) * (box[2:] - box[:2])
        return [*box, self.score, *landmarks.ravel()]


def picture(width: int, height: int, *boxes: tuple[int, int, int, int]) -> DecodedImage:
    pixels = np.zeros((height, width, 3), np.uint8)
    for left, top, right, bottom in boxes:
        pixels[top:bottom, left:right] = COLOUR
    return DecodedImage.from_pixels(pixels)


def test_boxes_and_landmarks_are_in_pixels_of_the_full_size_picture():
    small = picture(800, 450, (200, 100, 400, 300))
    image = DecodedImage(small.pixels_bgr, width=3200, height=1800)
    ((face,),) = FaceAnalyzer(ColourModels(), SIZES).find_faces([image])
    np.testing.assert_allclose(face.box_xyxy, [800, 400, 1600, 1200], atol=6)
    np.testing.assert_allclose(face.landmarks_xy, [800, 400] + ARCFACE_TEMPLATE_XY / 112 * 800, atol=6)
    assert face.quality.face_size_px == pytest.approx(800, abs=8)
    assert face.quality.detection_score == pytest.approx(0.9)
    assert face.crop_bgr.shape == (112, 112, 3)


def test_largest_face_comes_first():
    image = picture(250, 250, (10, 10, 40, 40), (100, 50, 200, 150))
    ((large, small),) = FaceAnalyzer(ColourModels(), SIZES).find_faces([image])
    assert large.area_px > small.area_px


def test_pictures_of_one_canvas_share_a_batch_and_keep_their_order():
    models = ColourModels()
    images = [
        picture(250, 250, (10, 10, 60, 60)),
        picture(1280, 720, (100, 100, 300, 300), (600, 100, 900, 300)),
        picture(200, 240),
        picture(240, 200, (100, 20, 160, 80)),
    ]
    found = FaceAnalyzer(models, SIZES).find_faces(images)
    assert [len(faces) for faces in found] == [1, 2, 0, 1]
    assert sorted(models.detected) == [(1, 360, 640, 3), (3, 256, 256, 3)]


def test_picture_that_its_face_fills_is_looked_at_again_with_space_around_it():
    models = ColourModels(margin_px=4)
    images = [picture(256, 256, (0, 0, 256, 256)), picture(250, 250, (60, 60, 160, 160))]
    analyzer = FaceAnalyzer(models, SIZES)
    assert [len(faces) for faces in analyzer.find_faces(images)] == [0, 1]
    (filled,), _ = analyzer.find_faces(images, retry_padded=True)
    np.testing.assert_allclose(filled.box_xyxy, [0, 0, 256, 256], atol=4)
    assert models.detected[-1] == (1, 256, 256, 3)


def test_nothing_is_looked_at_again_when_every_picture_has_a_face():
    models = ColourModels()
    FaceAnalyzer(models, SIZES).find_faces([picture(250, 250, (60, 60, 160, 160))], retry_padded=True)
    assert len(models.detected) == 1


def test_what_scores_low_is_no_face():
    image = picture(250, 250, (60, 60, 160, 160))
    assert FaceAnalyzer(ColourModels(score=0.59), SIZES).find_faces([image]) == [[]]


def test_box_ends_where_the_picture_ends():
    class Outside(ColourModels):
        def detect(self, images_bgr: NDArray[np.uint8], /) -> list[NDArray[np.float32]]:
            inside = super().detect(images_bgr)
            return [rows + np.array([-50, 0, 0, 0, *[0] * 11], np.float32) for rows in inside]

    image = picture(256, 256, (20, 20, 120, 120))
    ((face,),) = FaceAnalyzer(Outside(), SIZES).find_faces([image])
    np.testing.assert_allclose(face.box_xyxy, [0, 20, 120, 120], atol=1)


def test_faces_of_all_pictures_are_embedded_in_one_batch():
    models = ColourModels()
    analyzer = FaceAnalyzer(models, SIZES)
    found = analyzer.find_faces([picture(250, 250, (60, 60, 160, 160)) for _ in range(3)])
    embeddings = analyzer.embed([face for faces in found for face in faces])
    assert models.embedded == [3]
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, rtol=1e-5)


def test_no_pictures_and_no_faces_ask_nothing_of_the_models():
    models = ColourModels()
    analyzer = FaceAnalyzer(models, SIZES)
    assert analyzer.find_faces([]) == []
    assert analyzer.embed([]).shape == (0, 0)
    assert models.detected == models.embedded == []
