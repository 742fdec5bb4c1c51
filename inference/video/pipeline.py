"""From a video to its scenes and the faces in them, one scene at a time and in constant memory.

frames -> shots -> five samples a second -> faces, batched across frames -> tracks -> scenes
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from inference.faces.analyzer import FaceAnalyzer
from inference.video.results import Appearance, BestShot, Scene
from inference.video.sampling import Sample, SampledVideo
from inference.video.thumbnails import Reel, jpeg
from inference.video.tracks import Sighting, Track, Tracker

BATCH_FRAMES = 8
BATCH_BYTES = 64 * 2**20
"""Bounds the memory of large frames: two of 3840x2160 go into a batch, eight of 1920x1080."""


AnalyzedBatch = list[tuple[Sample, list[Sighting]]]


def analyze_video(
    video: SampledVideo, analyzer: FaceAnalyzer, *, on_progress: Callable[[float], None]
) -> Iterator[Scene]:
    """Find the scenes of a video and the faces in them.

    Args:
        video: its samples are used up.
        analyzer: finds and embeds the faces. It is called from one other thread, a batch of frames at a time.
        on_progress: is told the share that is done, 0 to 1, after every batch. Raise in it to stop the
            analysis: what it raises reaches the caller.

    Yields:
        Each scene as soon as it is complete. Together they cover the video; there is at least one.

    Raises:
        MediaError: the video is damaged further on, or cannot be decoded within the limits.
        Exception: whatever the analyzer or `on_progress` raises.
    """
    scene: _SceneInProgress | None = None
    reached_s = 0.0
    for batch in _analyzed(_batches(video.samples()), analyzer):
        for sample, sightings in batch:
            if scene is None or sample.starts_scene:
                if scene is not None:
                    yield scene.finish(sample.start_s)
                scene = _SceneInProgress(sample.start_s)
            scene.add(sample, sightings)
            reached_s = sample.end_s
        on_progress(min(1.0, reached_s / video.info.duration_s))
    if scene is not None:
        yield scene.finish(video.duration_s)


class _SceneInProgress:
    def __init__(self, start_s: float) -> None:
        self._start_s = start_s
        self._tracker = Tracker(start_s)
        self._reel = Reel()

    def add(self, sample: Sample, sightings: Sequence[Sighting]) -> None:
        self._reel.offer(sample.start_s, sample.image.pixels_bgr)
        self._tracker.add(sample.start_s, sightings, sample.image)

    def finish(self, end_s: float) -> Scene:
        return Scene(
            start_s=self._start_s,
            end_s=end_s,
            thumbnail=jpeg(self._reel.nearest((self._start_s + end_s) / 2)),
            appearances=tuple(_appearance(track, end_s) for track in self._tracker.tracks),
        )


def _appearance(track: Track, scene_end_s: float) -> Appearance:
    return Appearance(
        start_s=track.start_s,
        end_s=scene_end_s if track.end_s is None else track.end_s,
        embedding=track.embedding,
        best_shots=tuple(
            BestShot(shot.time_s, shot.face.box_xyxy, shot.face.quality, shot.thumbnail) for shot in track.best
        ),
        times_s=np.array(track.times_s),
        boxes_xyxy=np.stack(track.boxes_xyxy),
    )


def _batches(samples: Iterable[Sample]) -> Iterator[list[Sample]]:
    batch: list[Sample] = []
    for sample in samples:
        batch.append(sample)
        if len(batch) == BATCH_FRAMES or (len(batch) + 1) * sample.image.pixels_bgr.nbytes > BATCH_BYTES:
            yield batch
            batch = []
    if batch:
        yield batch


def _analyzed(batches: Iterable[list[Sample]], analyzer: FaceAnalyzer) -> Iterator[AnalyzedBatch]:
    """Analyse each batch while the next one is decoded."""
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="faces") as executor:
        running: Future[AnalyzedBatch] | None = None
        for batch in batches:
            submitted = executor.submit(_analyze, batch, analyzer)
            if running is not None:
                yield running.result()
            running = submitted
        if running is not None:
            yield running.result()


def _analyze(batch: list[Sample], analyzer: FaceAnalyzer) -> AnalyzedBatch:
    """Find the faces of all samples at once, then embed all the faces at once."""
    found = analyzer.find_faces([sample.image for sample in batch])
    embeddings = iter(analyzer.embed([face for faces in found for face in faces]))
    return [
        (sample, [Sighting(face, next(embeddings)) for face in faces])
        for sample, faces in zip(batch, found, strict=True)
    ]
