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
    upper_left = np.maximum(a_xyxy[:, None, :2], b_xyxy[None, :, :2])
    lower_right = np.minimum(a_xyxy[:, None, 2:], b_xyxy[None, :, 2:])
    shared = (lower_right - upper_left).clip(min=0).prod(axis=2)
    area_a = (a_xyxy[:, 2:] - a_xyxy[:, :2]).prod(axis=1)
    area_b = (b_xyxy[:, 2:] - b_xyxy[:, :2]).prod(axis=1)
    union = area_a[:, None] + area_b[None, :] - shared
    return np.asarray(shared / np.maximum(union, np.finfo(np.float32).tiny), np.float32)
