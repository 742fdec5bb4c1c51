"""Parts of a picture around one face, upright."""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from inference.faces.boxes import covered
from inference.faces.detection import map_points
from inference.faces.suppression import MAX_COVERED
from inference.faces.turning import turn_back, turned, upright_turn

ROOM: Final = 4.0
"""Side of a view in sides of the face, so that the face has a quarter of the smallest canvas of 256 pixels: 64."""


@dataclass(frozen=True, slots=True)
class View:
    """A part of a picture.

    Attributes:
        left: in pixels of the picture.
        top: likewise.
        width: in pixels.
        height: likewise.
        quarters: by which it is turned clockwise.
    """

    left: int
    top: int
    width: int
    height: int
    quarters: int

    @classmethod
    def around(cls, detection: NDArray[np.float32], width: int, height: int) -> Self:
        """The view of a face.

        Args:
            detection: float32 (15,) in pixels of the picture.
            width: of the picture, in pixels.
            height: likewise.
        """
        corners = detection[:4].reshape(2, 2)
        half_side = (corners[1] - corners[0]).max() * ROOM / 2
        start = np.floor(corners.mean(axis=0) - half_side).astype(int).clip(0, [width - 1, height - 1])
        end = np.ceil(corners.mean(axis=0) + half_side).astype(int).clip(start + 1, [width, height])
        (left, top), (view_width, view_height) = start.tolist(), (end - start).tolist()
        return cls(left, top, view_width, view_height, upright_turn(detection[5:].reshape(5, 2)))

    def of(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Its pixels, turned."""
        return turned(picture[self.top : self.top + self.height, self.left : self.left + self.width], self.quarters)

    def same_face(self, detection: NDArray[np.float32], found: NDArray[np.float32]) -> NDArray[np.float32]:
        """The face again, as it was found in the view.

        Args:
            detection: float32 (15,) in pixels of the picture.
            found: float32 (M, 15) in pixels of the view, the best score first.

        Returns:
            float32 (15,) in pixels of the picture; the detection itself when the face was not found.
        """
        back = turn_back(found, self.quarters, self.width, self.height)
        back = map_points(back, -np.array([self.left, self.top], np.float32), np.ones(2, np.float32))
        same = back[covered(detection[None, :4], back[:, :4])[0] > MAX_COVERED]
        return same[0] if len(same) else detection
