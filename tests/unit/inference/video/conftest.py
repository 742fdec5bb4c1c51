"""Videos rendered for the tests, and models that find what they show."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from inference.faces.analyzer import Face, FaceAnalyzer
from inference.faces.quality import FULL_SHARPNESS, FaceQuality
from inference.video.tracks import Sighting

Picture = NDArray[np.uint8]
TIME_BASE = Fraction(1, 12_800)
TICKS_PER_FRAME = 512  # 25 frames a second


@dataclass(frozen=True)
class Writer:
    """Writes pictures as an MP4 file; every argument but the pictures has the usual value."""

    directory: Path

    def __call__(  # noqa: PLR0913 - each argument is one property of the file
        self,
        pictures: Sequence[Picture],
        *,
        codec: str = "libx264",
        first_pts: int = 0,
        pts: Sequence[int] | None = None,
        rotation_deg: int = 0,
        flags: str = "",
        name: str = "video.mp4",
    ) -> Path:
        path = self.directory / name
        with av.open(str(path), "w", format="mp4", options={"movflags": flags} if flags else {}) as container:
            height, width = pictures[0].shape[:2]
            stream = container.add_stream(codec, rate=25, width=width, height=height, pix_fmt="yuv420p")
            stream.codec_context.time_base = TIME_BASE
            if codec == "libx264":
                stream.options = {"preset": "ultrafast", "crf": "18"}
            if rotation_deg:
                stream.set_display_rotation(rotation_deg)
            for index, picture in enumerate(pictures):
                frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
                frame.pts = first_pts + (pts[index] if pts else index * TICKS_PER_FRAME)
                frame.time_base = TIME_BASE
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        return path


@pytest.fixture
def write_mp4(tmp_path: Path) -> Writer:
    return Writer(tmp_path)


@pytest.fixture(scope="session")
def scenery() -> Callable[[int], Picture]:
    """Draws a picture from a seed: uint8 (360, 640, 3), twice the size of the frames that show parts of it."""

    def draw(seed: int) -> Picture:
        rng = np.random.default_rng(seed)
        canvas = np.zeros((360, 640, 3), np.float32) + rng.integers(20, 235, 3)
        for columns, contrast in ((4, 50), (16, 40), (64, 25)):
            noise = rng.normal(0, contrast, (columns * 9 // 16 + 1, columns, 3))
            canvas += cv2.resize(noise, (640, 360), interpolation=cv2.INTER_CUBIC)
        for _ in range(rng.integers(2, 8)):
            color = [float(level) for level in rng.integers(0, 255, 3)]
            center = int(rng.integers(0, 640)), int(rng.integers(0, 360))
            cv2.circle(canvas, center, int(rng.integers(10, 120)), color, -1)
        return np.clip(canvas, 0, 255).astype(np.uint8)

    return draw


@pytest.fixture
def make_sighting(make_quality: Callable[..., FaceQuality]) -> Callable[..., Sighting]:
    """Makes a face at a place; those of one identity have the same embedding."""

    def make(identity: int, left: float, top: float, *, side: float = 40, score: float = 0.9) -> Sighting:
        embedding = np.zeros(512, np.float32)
        embedding[identity] = 1
        face = Face(
            box_xyxy=np.array([left, top, left + side, top + side], np.float32),
            landmarks_xy=np.zeros((5, 2), np.float32),
            quality=make_quality(face_size_px=side, sharpness=FULL_SHARPNESS, detection_score=score),
            crop_bgr=np.zeros((112, 112, 3), np.uint8),
        )
        return Sighting(face, embedding)

    return make


class SquareModels:
    """Stands for the two networks: a red square is the face of one person, a blue one that of another."""

    def __init__(self) -> None:
        self.batch_sizes: list[int] = []

    def detect(self, images_bgr: Picture, /) -> list[NDArray[np.float32]]:
        self.batch_sizes.append(len(images_bgr))
        return [
            np.array([row for channel in (2, 0) for row in self._square(image, channel)], np.float32).reshape(-1, 15)
            for image in images_bgr
        ]

    def embed(self, crops_bgr: Picture, /) -> NDArray[np.float32]:
        means = crops_bgr.mean(axis=(1, 2))
        return np.eye(512, dtype=np.float32)[(means[:, 0] > means[:, 2]).astype(int)]

    @staticmethod
    def _square(image_bgr: Picture, channel: int) -> list[list[float]]:
        mask = image_bgr[..., channel].astype(np.int16) - image_bgr[..., 1] > 100
        if mask.sum() < 25:
            return []
        left, top, width, height = cv2.boundingRect(mask.astype(np.uint8))
        landmarks = [(0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.35, 0.8), (0.65, 0.8)]
        points = [edge for x, y in landmarks for edge in (left + x * width, top + y * height)]
        return [[left, top, left + width, top + height, 0.9, *points]]


@pytest.fixture
def square_models() -> SquareModels:
    return SquareModels()


@pytest.fixture
def squares(square_models: SquareModels) -> FaceAnalyzer:
    return FaceAnalyzer(square_models, [(320, 320)])
