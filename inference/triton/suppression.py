"""Of several detections of one face, keeps the best."""

import numpy as np
from numpy.typing import NDArray

MAX_OVERLAP = 0.4
"""Intersection over union above which two boxes are one face; the value that the detector's package uses."""


def suppress_overlapping(detections: NDArray[np.float32]) -> NDArray[np.float32]:
    """Greedy non-maximum suppression.

    Args:
        detections: float32 (M, 15), best score first; a row starts with its box as x1, y1, x2, y2.

    Returns:
        float32 (K, 15): the rows that overlap no better row that was kept, in their order.
    """
    overlaps = _overlaps(detections[:, :4]) > MAX_OVERLAP
    kept: list[int] = []
    for row in range(len(detections)):
        if not overlaps[row, kept].any():
            kept.append(row)
    return detections[kept]


def _overlaps(boxes_xyxy: NDArray[np.float32]) -> NDArray[np.float32]:
    """Intersection over union of each pair: float32 (M, 4) in, float32 (M, M) out."""
    top_left = np.maximum(boxes_xyxy[:, None, :2], boxes_xyxy[None, :, :2])
    bottom_right = np.minimum(boxes_xyxy[:, None, 2:], boxes_xyxy[None, :, 2:])
    intersections = np.clip(bottom_right - top_left, 0, None).prod(axis=2)
    areas = (boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]).prod(axis=1)
    return np.asarray(intersections / (areas[:, None] + areas[None, :] - intersections), np.float32)
