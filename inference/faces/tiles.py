"""Looking at a large picture in parts, for faces that are too small when all of it is on one canvas."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from typing import Final

import numpy as np
from numpy.typing import NDArray

from inference.faces.detection import map_points

LEVEL_RANGE: Final = 5.0
"""Sizes of faces that one scale is for, from the smallest to the largest. More means tiles that overlap more, less
means more scales: 12 megapixels need one scale and 30 tiles; 100 megapixels two and 241, where one would take 625."""

_CONTEXT: Final = 1.25
"""What is around a face helps to find it."""


def levels(smallest_px: float, largest_px: float) -> Iterator[tuple[float, float]]:
    """Split a range of sizes of faces into those that one scale is for.

    Args:
        smallest_px: in pixels of the picture.
        largest_px: likewise.

    Yields:
        Smallest and largest of each.
    """
    while smallest_px < largest_px:
        end_px = min(largest_px, smallest_px * LEVEL_RANGE)
        yield smallest_px, end_px
        smallest_px = end_px


@dataclass(frozen=True, slots=True)
class Tile:
    """A part of a picture that goes on one canvas. Neighbours overlap, and a face is of the tile whose core it is in.

    Attributes:
        left: in pixels of the picture.
        top: likewise.
        core_xyxy: left, top, right, bottom; at a margin of the picture infinite.
    """

    left: int
    top: int
    core_xyxy: tuple[float, float, float, float]

    def of(self, picture: NDArray[np.uint8], canvas: tuple[int, int]) -> NDArray[np.uint8]:
        """The tile's pixels: at most as many as the canvas has."""
        return picture[self.top : self.top + canvas[1], self.left : self.left + canvas[0]]

    def own(self, detections: NDArray[np.float32]) -> NDArray[np.float32]:
        """Of what was found in the tile, the faces whose centre is in its core: they are whole and in no other tile.

        Args:
            detections: float32 (M, 15) in pixels of the tile.

        Returns:
            float32 (N, 15) in pixels of the picture.
        """
        found = map_points(detections, -np.array([self.left, self.top], np.float32), np.ones(2, np.float32))
        centres_xy = found[:, :4].reshape(-1, 2, 2).mean(axis=1)
        core = np.array(self.core_xyxy).reshape(2, 2)
        in_core: NDArray[np.bool_] = ((core[0] <= centres_xy) & (centres_xy < core[1])).all(axis=1)
        return found[in_core]


def cut(width: int, height: int, canvas: tuple[int, int], largest_face_px: float) -> list[Tile]:
    """Cut a picture into tiles.

    Args:
        width: of the picture, in pixels.
        height: likewise.
        canvas: width and height of a tile, in pixels.
        largest_face_px: every face up to this size lies wholly in the tile in whose core its centre is.
    """
    across = _spans(width, canvas[0], largest_face_px * _CONTEXT)
    down = _spans(height, canvas[1], largest_face_px * _CONTEXT)
    return [
        Tile(left, top, (core_left, core_top, core_right, core_bottom))
        for (top, core_top, core_bottom), (left, core_left, core_right) in product(down, across)
    ]


def choose_tile(
    width: int, height: int, canvases: Sequence[tuple[int, int]], largest_face_px: float
) -> tuple[int, int]:
    """The canvas with which the detector has the least to do.

    Args:
        width: of the picture, in pixels.
        height: likewise.
        canvases: (width, height) in pixels.
        largest_face_px: of those that must lie wholly in a tile.
    """

    def cost(canvas: tuple[int, int]) -> int:
        return len(cut(width, height, canvas, largest_face_px)) * canvas[0] * canvas[1]

    return min((canvas for canvas in canvases if min(canvas) > 2 * largest_face_px), key=cost)


def _spans(length: int, tile: int, overlap: float) -> Iterator[tuple[int, float, float]]:
    """Start and core of the tiles along one side."""
    count = 1 if length <= tile else int(np.ceil((length - overlap) / (tile - overlap)))
    starts = np.linspace(0, max(0, length - tile), count).round().astype(int).tolist()
    borders = [-np.inf, *((first + tile + second) / 2 for first, second in pairwise(starts)), np.inf]
    for start, (core_start, core_end) in zip(starts, pairwise(borders), strict=True):
        yield start, core_start, core_end
