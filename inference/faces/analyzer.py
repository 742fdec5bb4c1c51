"""The pipeline in one place: pictures in, measured and embedded faces out."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from inference.faces.alignment import align_face
from inference.faces.decode import DecodedImage
from inference.faces.detection import (
    MAX_CANVAS_SIDE_PX,
    PADDING,
    choose_canvas,
    letterbox,
    map_points,
)
from inference.faces.embedding import normalise
from inference.faces.quality import MIN_DETECTION_SCORE, FaceQuality, measure_quality


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
        landmarks_xy: float32 (5, 2), likewise: the eyes, the nose, the corners of the mouth, the image's left
            before its right; may lie outside.
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
        self._canvas_sizes = tuple(canvas_sizes)
        self._max_canvas_side_px = max_canvas_side_px

    def find_faces(self, images: Sequence[DecodedImage], *, retry_padded: bool = False) -> list[list[Face]]:
        """Find and measure faces.

        Args:
            images: the pictures; those that go on the same canvas share a batch.
            retry_padded: look again at a picture without a face with space around it: the detector misses
                faces that fill the picture.

        Returns:
            For each picture its faces, the largest first.
        """
        detections = self._detect(images)
        if retry_padded:
            missed = [index for index, found in enumerate(detections) if len(found) == 0]
            retried = self._detect([images[index] for index in missed], padding=PADDING)
            for index, found in zip(missed, retried, strict=True):
                detections[index] = found
        return [_measure(image, found) for image, found in zip(images, detections, strict=True)]

    def embed(self, faces: Sequence[Face]) -> NDArray[np.float32]:
        """Embed faces in one batch.

        Returns:
            float32 (N, D), rows of length 1, in the order of the faces.
        """
        if not faces:
            return np.empty((0, 0), np.float32)
        return normalise(self._models.embed(np.stack([face.crop_bgr for face in faces])))

    def _detect(self, images: Sequence[DecodedImage], *, padding: float = 0.0) -> list[NDArray[np.float32]]:
        """Detect in pixels of the decoded pictures, one call for each canvas size."""
        detections: dict[int, NDArray[np.float32]] = {}
        for canvas, indices in self._by_canvas(images).items():
            placed = [letterbox(images[index].pixels_bgr, canvas, padding=padding) for index in indices]
            found = self._models.detect(np.stack([pixels for pixels, _ in placed]))
            for index, (_, placement), rows in zip(indices, placed, found, strict=True):
                detections[index] = placement.to_picture(rows[rows[:, 4] >= MIN_DETECTION_SCORE])
        return [detections[index] for index in range(len(images))]

    def _by_canvas(self, images: Iterable[DecodedImage]) -> dict[tuple[int, int], list[int]]:
        indices: dict[tuple[int, int], list[int]] = defaultdict(list)
        for index, image in enumerate(images):
            height, width = image.pixels_bgr.shape[:2]
            canvas = choose_canvas(width, height, self._canvas_sizes, max_side_px=self._max_canvas_side_px)
            indices[canvas].append(index)
        return indices


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
    return sorted(faces, key=lambda face: face.area_px, reverse=True)


def _face(image: DecodedImage, decoded: NDArray[np.float32], full_size: NDArray[np.float32]) -> Face:
    crop = align_face(image.pixels_bgr, decoded[5:].reshape(5, 2))
    landmarks = full_size[5:].reshape(5, 2)
    quality = measure_quality(full_size[:4], landmarks, float(full_size[4]), crop)
    return Face(full_size[:4], landmarks, quality, crop)
