"""The bound: the same work in one process, with the fastest runtime and no services."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from inference.faces.analyzer import FaceAnalyzer
from inference.faces.decode import decode_image
from inference.faces.quality import MIN_DETECTION_SCORE
from inference.faces.selection import choose_face
from inference.faces.suppression import suppress_overlapping
from inference.faces.thumbnail import face_thumbnail
from inference.models.cache import verified_path
from inference.models.manifest import Manifest
from inference.triton.backend import runtime
from inference.triton.client import DETECTOR, EMBEDDER
from inference.video.decode import open_video
from inference.video.pipeline import analyze_video
from inference.video.sampling import VideoSampler

PHOTOS_PER_CLAIM = 8


@dataclass(frozen=True)
class Measured:
    """What a run of the bound took.

    Attributes:
        per_second: photos, or seconds of video, per second.
        cpu_ms: CPU time per photo, or per second of video, in milliseconds.
    """

    per_second: float
    cpu_ms: float


class InProcessModels:
    """Implements `inference.faces.analyzer.FaceModels` with OpenVINO in this process.

    One batch runs at a time, on all cores, as it is within Triton.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._detector = _load(DETECTOR)
        self._embedder = _load(EMBEDDER)

    def detect(self, images_bgr: NDArray[np.uint8], /) -> list[NDArray[np.float32]]:
        """See `TritonClient.detect`."""
        with self._lock:
            detections = self._detector.run(images_bgr)
        return [suppress_overlapping(rows[rows[:, 4] >= MIN_DETECTION_SCORE]) for rows in detections]

    def embed(self, crops_bgr: NDArray[np.uint8], /) -> NDArray[np.float32]:
        """See `TritonClient.embed`."""
        with self._lock:
            return np.asarray(self._embedder.run(crops_bgr), np.float32)


def _load(manifest: Manifest) -> runtime.Network:
    path = verified_path(manifest)
    return runtime.load("openvino", path, manifest.input.sizes, manifest.serving.chunk_sizes)


def in_process_analyzer() -> FaceAnalyzer:
    """The face pipeline with the models in this process."""
    return FaceAnalyzer(InProcessModels(), DETECTOR.input.sizes)


def measure_photos(photos: Sequence[bytes], seconds: float) -> Measured:
    """Runs the photo path for a while: claims of 8, as many side by side as there are cores."""
    analyzer = in_process_analyzer()

    def claim(photos_of_claim: Sequence[bytes]) -> None:
        images = [decode_image(photo) for photo in photos_of_claim]
        chosen = [choose_face(faces) for faces in analyzer.find_faces(images, retry=True)]
        analyzer.embed(chosen)
        for image, face in zip(images, chosen, strict=True):
            face_thumbnail(image, face)

    endless = cycle(photos)
    return _steady(lambda: claim(list(islice(endless, PHOTOS_PER_CLAIM))), PHOTOS_PER_CLAIM, seconds)


def measure_video(path: Path) -> Measured:
    """Runs the video path over one file."""
    analyzer = in_process_analyzer()
    cpu_before, started = time.process_time(), time.monotonic()
    with open_video(path) as video:
        for _ in analyze_video(VideoSampler(video), analyzer, on_progress=lambda _: None):
            pass
        duration_s = video.info.duration_s
    elapsed, cpu = time.monotonic() - started, time.process_time() - cpu_before
    return Measured(duration_s / elapsed, 1000 * cpu / duration_s)


def _steady(work: Callable[[], None], size: int, seconds: float) -> Measured:
    work()
    cpu_before, started = time.process_time(), time.monotonic()

    def loop() -> int:
        done = 0
        while time.monotonic() - started < seconds:
            work()
            done += size
        return done

    cores = len(os.sched_getaffinity(0))
    with ThreadPoolExecutor(max_workers=cores) as executor:
        count = sum(executor.map(lambda _: loop(), range(cores)))
    elapsed, cpu = time.monotonic() - started, time.process_time() - cpu_before
    return Measured(count / elapsed, 1000 * cpu / count)
