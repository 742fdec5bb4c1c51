"""Boxes, and the window through which the camera looks at a still picture."""

from __future__ import annotations

from dataclasses import dataclass

ASPECT = 16 / 9


@dataclass(frozen=True, slots=True)
class Box:
    """An axis-aligned box in pixels; left and top inclusive, right and bottom exclusive."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def area(self) -> float:
        """In square pixels; 0 where the edges are the wrong way round."""
        return max(0.0, self.right - self.left) * max(0.0, self.bottom - self.top)

    def scaled(self, scale: float, left: float = 0.0, top: float = 0.0) -> Box:
        """The same box in a picture that was scaled and then put somewhere."""
        return Box(
            self.left * scale + left, self.top * scale + top, self.right * scale + left, self.bottom * scale + top
        )

    def share_within(self, other: Box) -> float:
        """How much of it lies within another box, 0 to 1."""
        shared = Box(
            max(self.left, other.left),
            max(self.top, other.top),
            min(self.right, other.right),
            min(self.bottom, other.bottom),
        )
        return shared.area / self.area


@dataclass(frozen=True, slots=True)
class Window:
    """What the camera sees of a picture: 16:9, in pixels of the picture.

    Attributes:
        x: of its middle.
        y: of its middle.
        width: its width.
    """

    x: float
    y: float
    width: float

    @property
    def box(self) -> Box:
        """Its edges."""
        half_width, half_height = self.width / 2, self.width / ASPECT / 2
        return Box(self.x - half_width, self.y - half_height, self.x + half_width, self.y + half_height)

    def towards(self, other: Window, share: float) -> Window:
        """Part of the way to another window, 0 to 1; a zoom is even to the eye when the width changes by factors."""
        return Window(
            self.x + (other.x - self.x) * share,
            self.y + (other.y - self.y) * share,
            self.width * (other.width / self.width) ** share,
        )

    def kept_within(self, width: float, height: float) -> Window:
        """The nearest window of the same size that shows nothing beyond the picture."""
        half_width, half_height = self.width / 2, self.width / ASPECT / 2
        x = min(max(self.x, half_width), width - half_width)
        y = min(max(self.y, half_height), height - half_height)
        return Window(x, y, self.width)
