"""What the analysis of a video gives. Times are seconds since its first frame, boxes pixels of upright frames."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference.faces.quality import FaceQuality


@dataclass(frozen=True, slots=True)
class BestShot:
    """A good picture of a face.

    Attributes:
        time_s: when it was taken.
        box_xyxy: float32 (4,), left, top, right, bottom.
        quality: the face's measured quality.
        thumbnail: the face, cropped; JPEG.
    """

    time_s: float
    box_xyxy: NDArray[np.float32]
    quality: FaceQuality
    thumbnail: bytes


@dataclass(frozen=True, slots=True)
class Appearance:
    """One face, followed through one scene.

    Attributes:
        start_s: when it comes into sight, inclusive.
        end_s: when it goes out of sight, exclusive.
        embedding: float32 (512,), the quality-weighted mean of its faces, of Euclidean length 1.
        best_shots: 1 to 5, the best first.
        times_s: float64 (N,), the sampled times at which it was seen.
        boxes_xyxy: float32 (N, 4), where it was at those times.
    """

    start_s: float
    end_s: float
    embedding: NDArray[np.float32]
    best_shots: tuple[BestShot, ...]
    times_s: NDArray[np.float64]
    boxes_xyxy: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Scene:
    """One shot of a video with the faces in it.

    Attributes:
        start_s: where it starts, inclusive.
        end_s: where it ends, exclusive: the start of the next scene, or the end of the video.
        thumbnail: a frame of its middle; JPEG.
        appearances: in order of their start.
    """

    start_s: float
    end_s: float
    thumbnail: bytes
    appearances: tuple[Appearance, ...]
