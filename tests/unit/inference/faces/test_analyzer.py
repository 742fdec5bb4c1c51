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
FOREHEAD = (200, 30, 10)


class ColourModels:
    """Finds rectangles of one colour, with landmarks at the template's places in them; embeds mean colours.

    A rectangle may have a forehead of another colour along one side. If that is not the upper one, it finds the face
    all the same, as the real detector does, with landmarks that lie on their side and a lower score.

    Attributes:
        detected: shape of each batch of canvases.
        embedded: how many crops were in each batch.
        margin_px: what touches this margin of the canvas is overlooked, as the real detector overlooks faces
            that fill it.
        least_px: smaller faces are overlooked.
    """

    def __init__(self, *, score: float = 0.999, margin_px: int = 0, least_px: int = 0) -> None:
        self.detected: list[tuple[int, ...]] = []
        self.embedded: list[int] = []
        self.score = score
        self.margin_px = margin_px
        self.least_px = least_px

    def detect(self, images_bgr: NDArray[np.uint8], /) -> list[NDArray[np.float32]]:
        self.detected.append(images_bgr.shape)
        return [self._rectangles(image) for image in images_bgr]

    def embed(self, crops_bgr: NDArray[np.uint8], /) -> NDArray[np.float32]:
        self.embedded.append(len(crops_bgr))
        return crops_bgr.mean(axis=(1, 2), dtype=np.float32) + 1

    def _rectangles(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        rows, columns = np.nonzero(_is(image, COLOUR) | _is(image, FOREHEAD))
        if len(rows) == 0 or min(rows.min(), columns.min()) < self.margin_px:
            return np.empty((0, 15), np.float32)
        # Faces lie side by side: cut where columns are missing.
        cuts = np.flatnonzero(np.diff(np.unique(columns)) > 1)
        edges = [*np.unique(columns)[cuts], columns.max()]
        starts = [columns.min(), *np.unique(columns)[cuts + 1]]
        boxes = [self._box(rows, columns, start, end) for start, end in zip(starts, edges, strict=True)]
        found = [self._row(image, box) for box in boxes if min(box[2:] - box[:2]) >= self.least_px]
        return np.array(found, np.float32).reshape(-1, 15)

    def _box(self, rows: NDArray[np.intp], columns: NDArray[np.intp], start: int, end: int) -> NDArray[np.float32]:
        own = rows[(columns >= start) & (columns <= end)]
        return np.array([start, own.min(), end + 1, own.max() + 1], np.float32)

    def _row(self, image: NDArray[np.uint8], box: NDArray[np.float32]) -> Sequence[float]:
        left, top, right, bottom = box.astype(int)
        forehead = _is(image[top:bottom, left:right], FOREHEAD)
        shape, turns = ARCFACE_TEMPLATE_XY / 112, 0
        while forehead.any() and forehead[0].mean() < 0.9 and turns < 4:
            forehead, turns = np.rot90(forehead), turns + 1
            shape = np.stack([1 - shape[:, 1], shape[:, 0]], axis=1)
        landmarks = box[:2] + shape * (box[2:] - box[:2])
        return [*box, self.score if turns == 0 else 0.9, *landmarks.ravel()]


def _is(image: NDArray[np.uint8], colour: tuple[int, int, int]) -> NDArray[np.bool_]:
    return np.abs(image.astype(int) - colour).max(axis=2) < 40


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
    assert face.quality.detection_score == pytest.approx(0.999)
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
    (filled,), _ = analyzer.find_faces(images, retry=True)
    np.testing.assert_allclose(filled.box_xyxy, [0, 0, 256, 256], atol=4)
    # As it is and turned, each with space around it; the second picture needs nothing.
    assert models.detected[-1] == (4, 256, 256, 3)


def test_nothing_is_looked_at_again_when_every_picture_has_an_upright_face():
    models = ColourModels()
    FaceAnalyzer(models, SIZES).find_faces([picture(250, 250, (60, 60, 160, 160))], retry=True)
    assert len(models.detected) == 1


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_face_on_its_side_is_seen_upright(quarters: int):
    upright = picture(250, 200, (60, 40, 160, 140)).pixels_bgr
    upright[40:65, 60:160] = FOREHEAD
    image = DecodedImage.from_pixels(np.ascontiguousarray(np.rot90(upright, -quarters)))
    analyzer = FaceAnalyzer(ColourModels(), SIZES)
    ((lying,),) = analyzer.find_faces([image])
    ((face,),) = analyzer.find_faces([image], retry=True)
    # Where it is in the picture as it is, but cut out upright.
    np.testing.assert_allclose(face.box_xyxy, lying.box_xyxy, atol=2)
    assert (lying.quality.detection_score, face.quality.detection_score) == pytest.approx((0.9, 0.999))
    assert _is(face.crop_bgr[4:16, 20:90], FOREHEAD).all()
    assert not _is(face.crop_bgr[56:], FOREHEAD).any()


def test_a_face_that_the_canvas_shows_small_is_looked_at_from_near():
    models = ColourModels()
    image = picture(1600, 900, (400, 300, 450, 350), (1000, 300, 1200, 500))
    ((_, small),) = FaceAnalyzer(models, SIZES).find_faces([image], retry=True)
    np.testing.assert_allclose(small.box_xyxy, [400, 300, 450, 350], atol=0.5)
    assert models.detected == [(1, 360, 640, 3), (1, 256, 256, 3)]


def test_small_faces_of_a_large_picture_are_found_in_parts():
    """Each once, wherever the parts meet, and in pixels of the whole picture."""
    models = ColourModels(least_px=20)
    corners = [(x + y // 7, y) for y in (0, 700, 1464) for x in range(0, 1700, 333)]
    boxes = [(left, top, left + 36, top + 36) for left, top in corners]
    image = picture(2000, 1500, *boxes)
    analyzer = FaceAnalyzer(models, SIZES)
    ((known),) = analyzer.find_faces([image])
    assert known == []
    assert analyzer.overlooks_small_faces(image)
    faces = analyzer.find_small_faces(image)
    found = sorted(tuple(face.box_xyxy.round().astype(int).tolist()) for face in faces)
    np.testing.assert_allclose(found, sorted(boxes), atol=1)
    assert max(shape[0] for shape in models.detected) <= 16


def test_faces_that_are_known_stay_and_are_not_found_twice():
    image = picture(2000, 1500, (100, 100, 140, 140), (600, 600, 1500, 1500))
    analyzer = FaceAnalyzer(ColourModels(least_px=16), SIZES)
    ((large,),) = analyzer.find_faces([image])
    faces = analyzer.find_small_faces(image, [large])
    assert faces[0] is large
    np.testing.assert_allclose(faces[1].box_xyxy, [100, 100, 140, 140], atol=1)
    assert len(faces) == 2


@pytest.mark.parametrize("size", [(9_000, 1), (1, 9_000), (9_000, 900), (3, 3)])
def test_pictures_of_any_shape_can_be_looked_at_in_parts(size: tuple[int, int]):
    analyzer = FaceAnalyzer(ColourModels(), SIZES)
    assert analyzer.find_faces([picture(*size)], retry=True) == [[]]
    assert analyzer.find_small_faces(picture(*size)) == []


def test_nothing_is_overlooked_in_a_small_picture():
    analyzer = FaceAnalyzer(ColourModels(), SIZES)
    assert not analyzer.overlooks_small_faces(picture(850, 600))
    assert analyzer.overlooks_small_faces(picture(860, 600))


def test_nothing_is_overlooked_where_no_face_has_room():
    analyzer = FaceAnalyzer(ColourModels(), SIZES)
    assert analyzer.overlooks_small_faces(picture(20_000, 32))
    assert not analyzer.overlooks_small_faces(picture(20_000, 31))


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
