"""Of several detections of one face, keeps the best."""

import numpy as np
from numpy.typing import NDArray

from inference.faces.boxes import iou

MAX_OVERLAP = 0.4
"""Intersection over union above which two boxes are one face; the value that the detector's package uses."""


def suppress_overlapping(detections: NDArray[np.float32]) -> NDArray[np.float32]:
    """Greedy non-maximum suppression.

    Args:
        detections: float32 (M, 15), best score first; a row starts with its box as x1, y1, x2, y2.

    Returns:
        float32 (K, 15): the rows that overlap no better row that was kept, in their order.
    """
    overlaps = iou(detections[:, :4], detections[:, :4]) > MAX_OVERLAP
    kept: list[int] = []
    for row in range(len(detections)):
        if not overlaps[row, kept].any():
            kept.append(row)
    return detections[kept]
