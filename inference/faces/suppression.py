"""Of several detections of one face, keeps the best."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from inference.faces.boxes import covered, iou

MAX_OVERLAP = 0.4
"""Intersection over union above which two boxes are one face; the value that the detector's package uses."""

MAX_COVERED = 0.4
"""Intersection over the smaller box above which two boxes from different views of a picture are one face. A view that
shows a face turned or cut off gives it a box of another shape: by intersection over union 5 of the 345 faces in 300
turned photographs counted twice."""


def suppress_overlapping(detections: NDArray[np.float32]) -> NDArray[np.float32]:
    """Greedy non-maximum suppression among the detections of one view.

    Args:
        detections: float32 (M, 15), best score first; a row starts with its box as x1, y1, x2, y2.

    Returns:
        float32 (K, 15): the rows that overlap no better row that was kept, in their order.
    """
    return detections[_kept(iou(detections[:, :4], detections[:, :4]) > MAX_OVERLAP)]


def suppress_seen_twice(views: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Of detections of the same faces in several views of a picture, keep those with the best score.

    Args:
        views: each float32 (M, 15), in pixels of the picture.

    Returns:
        float32 (K, 15), the best score first.
    """
    detections = np.vstack(views)
    detections = detections[np.argsort(-detections[:, 4], kind="stable")]
    return detections[_kept(covered(detections[:, :4], detections[:, :4]) > MAX_COVERED)]


def _kept(overlaps: NDArray[np.bool_]) -> list[int]:
    """Rows, from the best on, that overlap no better one that is kept."""
    kept: list[int] = []
    for row in range(len(overlaps)):
        if not overlaps[row, kept].any():
            kept.append(row)
    return kept
