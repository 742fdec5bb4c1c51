"""The pipeline in one place: pictures in, measured and embedded faces out."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from inference.faces.advice import MIN_FACE_SIZE_PX
from inference.faces.alignment import align_face
from inference.faces.boxes import covered
from inference.faces.canvas_detector import CanvasDetector
from inference.faces.decode import DecodedImage
from inference.faces.detection import EXACT_FACE_PX, MAX_CANVAS_SIDE_PX, PADDING, RELIABLE_FACE_PX, map_points
from inference.faces.embedding import normalise
from inference.faces.quality import FaceQuality, measure_quality
from inference.faces.suppression import MAX_COVERED
from inference.faces.turning import QUARTERS, merge_turns, surely_upright, turned, upright


class FaceModels(Protocol):
    """The two networks, wherever they run."""

    def detect(self, images_bgr: NDArray[np.uint8], /) -> list[NDArray[np.float32]]:
        """Find faces in uint8 (N, H, W, 3), BGR.

        Returns:
            For each image float32 (M, 15): the box as x1, y1, x2, y2, the score in 0..1, then x and y of five
            landmarks, in pixels of the image.
        """

    def embed(self, crops_bgr: NDArray[np.uint8], /) -> NDArray[np.float32]:
        """Embed uint8 (N, 112, 112, 3), BGR: float32 (N, D), of any length."""


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """A face that was found in a picture.

    Attributes:
        box_xyxy: float32 (4,): left, top, right, bottom in pixels of the full-size upright picture, within it.
        landmarks_xy: float32 (5, 2), likewise: the eyes, the nose, the corners of the mouth, left before right as
            whoever looks at the face upright sees them; may lie outside.
        quality: the measured numbers.
        crop_bgr: uint8 (112, 112, 3), BGR, aligned.
    """

    box_xyxy: NDArray[np.float32]
    landmarks_xy: NDArray[np.float32]
    quality: FaceQuality
    crop_bgr: NDArray[np.uint8]

    @property
    def area_px(self) -> float:
        """The area of the box, in pixels."""
        left, top, right, bottom = self.box_xyxy
        return float((right - left) * (bottom - top))

    @property
    def is_large_enough(self) -> bool:
        """Whether it has enough pixels to be recognised."""
        return self.quality.face_size_px >= MIN_FACE_SIZE_PX


class FaceAnalyzer:
    """Finds, measures and embeds the faces in pictures, several pictures to a batch.

    Args:
        models: the networks.
        canvas_sizes: the (width, height) pairs in pixels that the detector serves.
        max_canvas_side_px: canvases with a longer side are not used.
    """

    def __init__(
        self,
        models: FaceModels,
        canvas_sizes: Sequence[tuple[int, int]],
        *,
        max_canvas_side_px: int = MAX_CANVAS_SIDE_PX,
    ) -> None:
        self._models = models
        self._detector = CanvasDetector(models.detect, canvas_sizes, max_canvas_side_px)

    def find_faces(self, images: Sequence[DecodedImage], *, retry: bool = False) -> list[list[Face]]:
        """Find and measure faces.

        Args:
            images: the pictures; those that go on the same canvas share a batch.
            retry: look again: with space around a picture without a face, as the detector misses faces that fill the
                picture; turned, at a face that is not upright; from near, at one that the canvas shows small.

        Returns:
            For each picture its faces, the largest first.
        """
        pictures = [image.pixels_bgr for image in images]
        detections = self._detector.detect(pictures)
        if retry:
            detections = self._look_again(pictures, detections)
        return [_measure(image, found) for image, found in zip(images, detections, strict=True)]

    def overlooks_small_faces(self, image: DecodedImage) -> bool:
        """Whether faces of ``MIN_FACE_SIZE_PX`` may be there that `find_faces` does not find."""
        smallest_on_canvas = self._detector.scale(image.width, image.height) * MIN_FACE_SIZE_PX
        return smallest_on_canvas < RELIABLE_FACE_PX and min(image.width, image.height) >= MIN_FACE_SIZE_PX

    def find_small_faces(self, image: DecodedImage, known: Sequence[Face] = ()) -> list[Face]:
        """Look at a picture in parts, for faces that `find_faces` overlooks.

        Args:
            image: the picture, at full size.
            known: what `find_faces` has found in it. Of a face that it saw smaller than ``EXACT_FACE_PX`` the
                landmarks are not exact: it is replaced.

        Returns:
            The known faces and all others of at least ``MIN_FACE_SIZE_PX``, the largest first.
        """
        scale = self._detector.scale(image.width, image.height)
        rows = self._detector.detect_in_tiles(image.pixels_bgr, MIN_FACE_SIZE_PX, RELIABLE_FACE_PX / scale)
        found = [face for face in _measure(image, rows) if face.is_large_enough]
        exact = [face for face in known if face.quality.face_size_px * scale >= EXACT_FACE_PX]
        new = _others(found, exact)
        return _largest_first([*exact, *new, *_others(known, [*exact, *new])])

    def embed(self, faces: Sequence[Face]) -> NDArray[np.float32]:
        """Embed faces in one batch.

        Returns:
            float32 (N, D), rows of length 1, in the order of the faces.
        """
        if not faces:
            return np.empty((0, 0), np.float32)
        return normalise(self._models.embed(np.stack([face.crop_bgr for face in faces])))

    def _look_again(
        self, pictures: Sequence[NDArray[np.uint8]], detections: Sequence[NDArray[np.float32]]
    ) -> list[NDArray[np.float32]]:
        """The passes from the cheapest on, each only for the pictures that need it."""
        better = list(detections)
        missed = [index for index, found in enumerate(better) if len(found) == 0]
        for index in missed:
            better[index] = self._turn(pictures[index], better[index], (0, *QUARTERS), PADDING)
        for index, found in enumerate(better):
            if not surely_upright(found):
                better[index] = self._turn(pictures[index], found, QUARTERS)
        for index, found in enumerate(better):
            if index not in missed and not upright(found).any():
                better[index] = self._turn(pictures[index], found, (0, *QUARTERS), PADDING)
        return [self._look_nearer(pixels, found) for pixels, found in zip(pictures, better, strict=True)]

    def _look_nearer(self, pixels: NDArray[np.uint8], found: NDArray[np.float32]) -> NDArray[np.float32]:
        height, width = pixels.shape[:2]
        scale = self._detector.scale(width, height)
        small = (found[:, 2:4] - found[:, :2]).min(axis=1) * scale < EXACT_FACE_PX
        if scale == 1 or not small.any():
            return found
        nearer = found.copy()
        nearer[small] = self._detector.detect_near(pixels, found[small])
        return nearer

    def _turn(
        self, pixels: NDArray[np.uint8], found: NDArray[np.float32], turns: Sequence[int], padding: float = 0.0
    ) -> NDArray[np.float32]:
        height, width = pixels.shape[:2]
        copies = self._detector.detect([turned(pixels, quarters) for quarters in turns], padding=padding)
        return merge_turns(found, dict(zip(turns, copies, strict=True)), width, height)


def _measure(image: DecodedImage, detections: NDArray[np.float32]) -> list[Face]:
    origin = np.zeros(2, np.float32)
    full_size = map_points(detections, origin, image.scale_xy)
    full_size[:, [0, 2]] = full_size[:, [0, 2]].clip(0, image.width)
    full_size[:, [1, 3]] = full_size[:, [1, 3]].clip(0, image.height)
    faces = [
        _face(image, decoded, row)
        for decoded, row in zip(detections, full_size, strict=True)
        if row[0] < row[2] and row[1] < row[3]
    ]
    return _largest_first(faces)


def _largest_first(faces: Iterable[Face]) -> list[Face]:
    return sorted(faces, key=lambda face: face.area_px, reverse=True)


def _others(faces: Sequence[Face], known: Sequence[Face]) -> list[Face]:
    """The faces that are none of the known ones."""
    if not faces or not known:
        return list(faces)
    shared = covered(np.stack([face.box_xyxy for face in faces]), np.stack([face.box_xyxy for face in known]))
    return [face for face, most in zip(faces, shared.max(axis=1), strict=True) if most <= MAX_COVERED]


def _face(image: DecodedImage, decoded: NDArray[np.float32], full_size: NDArray[np.float32]) -> Face:
    crop = align_face(image.pixels_bgr, decoded[5:].reshape(5, 2))
    landmarks = full_size[5:].reshape(5, 2)
    quality = measure_quality(full_size[:4], landmarks, float(full_size[4]), crop)
    return Face(full_size[:4], landmarks, quality, crop)
