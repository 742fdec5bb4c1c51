"""How well a face can be recognised, as named numbers that are measured on it.

The limits and figures were measured on 100 photographs of 10 people (LFW, 250x250), each shrunk, blurred, moved,
darkened, compressed and made noisy in steps, 2,560 faces in all: how similar the worsened face stays to the mean of
the person's other photos, and whether it is still recognised at a false match rate of 1e-3. What is made of the
numbers is in `inference.faces.advice`.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from inference.faces.exposure import Exposure, measure_exposure
from inference.faces.occlusion import measure_occlusion
from inference.faces.pose import Pose, estimate_pose
from inference.faces.sharpness import measure_blur, measure_sharpness

MIN_DETECTION_SCORE: Final = 0.6
"""What the detector scores lower is not taken for a face. With the faces of 113 pictures painted over, nothing
scored above 0.40; the faces themselves scored at least 0.87."""

FULL_SHARPNESS: Final = 6.0
"""Sharper faces keep at least 0.95 of their similarity: more sharpness no longer makes an embedding better."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceQuality:
    """The measured numbers.

    Attributes:
        face_size_px: the shorter side of the face's box, in pixels of the full-size picture.
        eye_distance_px: between the eyes, likewise.
        detection_score: the detector's confidence, 0 to 1.
        sharpness: see ``measure_sharpness``; at least 0.
        blur: see ``measure_blur``; 0 to 1.
        pose: how the head is turned.
        exposure: how the face is lit.
        occlusion: see ``measure_occlusion``; 0 to 1, a hint.
    """

    face_size_px: float
    eye_distance_px: float
    detection_score: float
    sharpness: float
    blur: float
    pose: Pose
    exposure: Exposure
    occlusion: float

    @property
    def weight(self) -> float:
        """What the face counts in a mean of embeddings: above 0, at most 1.

        Size is part of it: a face with few pixels is not sharp once it is enlarged to the crop. Over means of
        three photos, each worsened as above but accepted, weighting raises the similarity to the person's
        other photos from 0.739 to 0.745.
        """
        return max(1e-3, self.detection_score * min(1.0, self.sharpness / FULL_SHARPNESS))


def measure_quality(
    box_xyxy: NDArray[np.float32], landmarks_xy: NDArray[np.float32], score: float, crop_bgr: NDArray[np.uint8]
) -> FaceQuality:
    """Measure a face.

    Args:
        box_xyxy: float32 (4,): left, top, right, bottom in pixels of the full-size picture.
        landmarks_xy: float32 (5, 2), likewise: the eyes, the nose, the corners of the mouth.
        score: of the detection, 0 to 1.
        crop_bgr: uint8 (112, 112, 3), BGR, aligned.
    """
    width, height = box_xyxy[2:] - box_xyxy[:2]
    return FaceQuality(
        face_size_px=float(min(width, height)),
        eye_distance_px=float(np.linalg.norm(landmarks_xy[1] - landmarks_xy[0])),
        detection_score=score,
        sharpness=measure_sharpness(crop_bgr),
        blur=measure_blur(crop_bgr),
        pose=estimate_pose(landmarks_xy),
        exposure=measure_exposure(crop_bgr),
        occlusion=measure_occlusion(crop_bgr),
    )
