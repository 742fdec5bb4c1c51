"""The detector for pictures of any size, although it serves canvases of a few."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from inference.faces.detection import (
    RELIABLE_FACE_PX,
    choose_canvas,
    letterbox,
    map_points,
    resize,
    scale_on_canvas,
)
from inference.faces.quality import MIN_DETECTION_SCORE
from inference.faces.suppression import suppress_seen_twice
from inference.faces.tiles import Tile, choose_tile, cut, levels
from inference.faces.views import View

DETECTION_WIDTH: Final = 15
TILES_AT_ONCE: Final = 16
"""As many as the detector takes in a batch; 20 MB of pixels."""


class CanvasDetector:
    """Places pictures on canvases, and brings what is found back.

    Args:
        detect: finds faces in uint8 (N, H, W, 3), BGR; see ``FaceModels.detect``.
        canvas_sizes: the (width, height) pairs in pixels that it serves.
        max_canvas_side_px: canvases with a longer side are not used.
    """

    def __init__(
        self,
        detect: Callable[[NDArray[np.uint8]], list[NDArray[np.float32]]],
        canvas_sizes: Sequence[tuple[int, int]],
        max_canvas_side_px: int,
    ) -> None:
        self._detect = detect
        self._canvas_sizes = [size for size in canvas_sizes if max(size) <= max_canvas_side_px]

    def detect(self, pictures: Sequence[NDArray[np.uint8]], *, padding: float = 0.0) -> list[NDArray[np.float32]]:
        """Detect in whole pictures; those that go on the same canvas share a batch.

        Args:
            pictures: uint8 (h, w, 3), BGR, of any sizes.
            padding: the space to leave on each side, as a share of the picture's size.

        Returns:
            For each picture float32 (M, 15) in its pixels, with at least ``MIN_DETECTION_SCORE``.
        """
        detections: dict[int, NDArray[np.float32]] = {}
        for canvas, indices in self._by_canvas(pictures).items():
            found = self._detect_on(canvas, [pictures[index] for index in indices], padding)
            detections |= zip(indices, found, strict=True)
        return [detections[index] for index in range(len(pictures))]

    def detect_in_tiles(
        self, picture: NDArray[np.uint8], smallest_face_px: float, largest_face_px: float
    ) -> NDArray[np.float32]:
        """Detect in the parts of one picture.

        Args:
            picture: uint8 (h, w, 3), BGR.
            smallest_face_px: from this size on every face is seen with at least ``RELIABLE_FACE_PX``.
            largest_face_px: larger ones may be missed or cut off, where tiles meet.

        Returns:
            float32 (M, 15) in pixels of the picture.
        """
        found = [self._detect_level(picture, *sizes) for sizes in levels(smallest_face_px, largest_face_px)]
        return suppress_seen_twice(found) if found else np.empty((0, DETECTION_WIDTH), np.float32)

    def _detect_level(
        self, picture: NDArray[np.uint8], smallest_face_px: float, largest_face_px: float
    ) -> NDArray[np.float32]:
        scale = RELIABLE_FACE_PX / smallest_face_px
        height, width = (max(1, round(side * scale)) for side in picture.shape[:2])
        scaled = resize(picture, width, height)
        canvas = choose_tile(width, height, self._canvas_sizes, largest_face_px * scale)
        tiles = cut(width, height, canvas, largest_face_px * scale)
        found = np.vstack([rows for batch in _batches(tiles) for rows in self._detect_tiles(scaled, canvas, batch)])
        to_picture = np.array([picture.shape[1] / width, picture.shape[0] / height], np.float32)
        return map_points(found, np.zeros(2, np.float32), to_picture)

    def detect_near(self, picture: NDArray[np.uint8], detections: NDArray[np.float32]) -> NDArray[np.float32]:
        """Look again at faces that were seen small, each from near and upright: its landmarks become exact.

        Args:
            picture: uint8 (h, w, 3), BGR.
            detections: float32 (M, 15) in pixels of the picture.

        Returns:
            float32 (M, 15) in pixels of the picture; a face that is not found again stays as it was.
        """
        views = [View.around(row, picture.shape[1], picture.shape[0]) for row in detections]
        canvas = min(self._canvas_sizes, key=lambda size: size[0] * size[1])
        found = self._detect_on(canvas, [view.of(picture) for view in views]) if views else []
        nearer = [view.same_face(row, rows) for row, view, rows in zip(detections, views, found, strict=True)]
        return np.array(nearer, np.float32).reshape(-1, detections.shape[1])

    def scale(self, width: int, height: int) -> float:
        """How large a picture is on its canvas, as a share of its size."""
        return scale_on_canvas(width, height, choose_canvas(width, height, self._canvas_sizes))

    def _by_canvas(self, pictures: Iterable[NDArray[np.uint8]]) -> dict[tuple[int, int], list[int]]:
        indices: dict[tuple[int, int], list[int]] = defaultdict(list)
        for index, pixels in enumerate(pictures):
            height, width = pixels.shape[:2]
            indices[choose_canvas(width, height, self._canvas_sizes)].append(index)
        return indices

    def _detect_on(
        self, canvas: tuple[int, int], pictures: Sequence[NDArray[np.uint8]], padding: float = 0.0
    ) -> list[NDArray[np.float32]]:
        placed = [letterbox(pixels, canvas, padding=padding) for pixels in pictures]
        found = self._detect(np.stack([pixels for pixels, _ in placed]))
        return [
            placement.to_picture(rows[rows[:, 4] >= MIN_DETECTION_SCORE])
            for (_, placement), rows in zip(placed, found, strict=True)
        ]

    def _detect_tiles(
        self, scaled: NDArray[np.uint8], canvas: tuple[int, int], tiles: Sequence[Tile]
    ) -> list[NDArray[np.float32]]:
        """Detect in pixels of the scaled picture."""
        found = self._detect_on(canvas, [tile.of(scaled, canvas) for tile in tiles])
        return [tile.own(rows) for tile, rows in zip(tiles, found, strict=True)]


def _batches(tiles: Sequence[Tile]) -> Iterable[Sequence[Tile]]:
    return (tiles[start : start + TILES_AT_ONCE] for start in range(0, len(tiles), TILES_AT_ONCE))
