"""How much boxes have in common."""

import numpy as np
from numpy.typing import NDArray


def iou(a_xyxy: NDArray[np.float32], b_xyxy: NDArray[np.float32]) -> NDArray[np.float32]:
    """Intersection over union of every pair of boxes.

    Args:
        a_xyxy: float32 (A, 4): left, top, right, bottom.
        b_xyxy: float32 (B, 4), likewise.

    Returns:
        float32 (A, B), 0 to 1.
    """
    shared = _intersections(a_xyxy, b_xyxy)
    return _ratio(shared, _areas(a_xyxy)[:, None] + _areas(b_xyxy)[None, :] - shared)


def covered(a_xyxy: NDArray[np.float32], b_xyxy: NDArray[np.float32]) -> NDArray[np.float32]:
    """Intersection over the smaller one of every pair of boxes: 1 where one lies in the other.

    Args:
        a_xyxy: float32 (A, 4): left, top, right, bottom.
        b_xyxy: float32 (B, 4), likewise.

    Returns:
        float32 (A, B), 0 to 1.
    """
    return _ratio(_intersections(a_xyxy, b_xyxy), np.minimum(_areas(a_xyxy)[:, None], _areas(b_xyxy)[None, :]))


def _intersections(a_xyxy: NDArray[np.float32], b_xyxy: NDArray[np.float32]) -> NDArray[np.float32]:
    upper_left = np.maximum(a_xyxy[:, None, :2], b_xyxy[None, :, :2])
    lower_right = np.minimum(a_xyxy[:, None, 2:], b_xyxy[None, :, 2:])
    return np.asarray((lower_right - upper_left).clip(min=0).prod(axis=2), np.float32)


def _areas(boxes_xyxy: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray((boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]).prod(axis=1), np.float32)


def _ratio(shared: NDArray[np.float32], of: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(shared / np.maximum(of, np.finfo(np.float32).tiny), np.float32)
