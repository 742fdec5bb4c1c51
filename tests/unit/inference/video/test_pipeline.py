import threading
import tracemalloc
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from inference.faces.analyzer import FaceAnalyzer
from inference.video.decode import open_video
from inference.video.pipeline import BATCH_FRAMES, analyze_video
from inference.video.results import Scene
from inference.video.sampling import VideoSampler

Picture = NDArray[np.uint8]
Write = Callable[..., Path]
RED, BLUE = (0, 0, 255), (255, 0, 0)


def stage(background: int, *squares: tuple[tuple[int, int, int], int, int]) -> Picture:
    """A grey backdrop with structure of its own, and coloured squares of 32 pixels at (left, top)."""
    ramp = np.random.default_rng(background).integers(60, 180, (6, 10)).astype(np.uint8)
    grey = cv2.resize(ramp, (320, 180), interpolation=cv2.INTER_CUBIC)
    picture = cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR)
    for color, left, top in squares:
        picture[top : top + 32, left : left + 32] = color
    return picture


def analyze(path: Path, analyzer: FaceAnalyzer) -> list[Scene]:
    with open_video(path) as video:
        return list(analyze_video(VideoSampler(video), analyzer, on_progress=lambda _: None))


@pytest.fixture
def play(write_mp4: Write) -> Path:
    """Red alone for 1 s; cut; blue for 2 s, and red from 0.8 s of them on; cut; nobody for 0.4 s."""
    first = [stage(1, (RED, 20 + 2 * step, 40)) for step in range(25)]
    second = [stage(2, (BLUE, 40, 60), *([(RED, 200, 60)] if step >= 20 else [])) for step in range(50)]
    return write_mp4([*first, *second, *[stage(3)] * 10], first_pts=64_000)


def test_scenes_cover_the_video(play: Path, squares: FaceAnalyzer) -> None:
    scenes = analyze(play, squares)
    assert [scene.start_s for scene in scenes] == [0, 1, 3]
    assert [scene.end_s for scene in scenes] == [1, 3, pytest.approx(3.4)]


def test_appearances_say_who_is_seen_when(play: Path, squares: FaceAnalyzer) -> None:
    seen = [
        [(int(np.argmax(one.embedding)), one.start_s, one.end_s) for one in scene.appearances]
        for scene in analyze(play, squares)
    ]
    assert seen[0] == [(0, 0.0, 1.0)]
    assert seen[1] == [(1, 1.0, 3.0), (0, pytest.approx(1.8, abs=0.1), 3.0)]
    assert seen[2] == []


def test_boxes_follow_the_face_at_five_samples_a_second(play: Path, squares: FaceAnalyzer) -> None:
    (red,) = analyze(play, squares)[0].appearances
    assert red.times_s == pytest.approx(np.arange(5) / 5)
    assert red.boxes_xyxy.dtype == np.float32
    assert red.boxes_xyxy[:, 0] == pytest.approx(20 + 2 * 25 * red.times_s, abs=2)


def test_thumbnails_show_the_scene_and_the_face(play: Path, squares: FaceAnalyzer) -> None:
    scene = analyze(play, squares)[1]
    whole = cv2.imdecode(np.frombuffer(scene.thumbnail, np.uint8), cv2.IMREAD_COLOR)
    assert whole.shape == (180, 320, 3)
    assert whole[76, 216, 2] > 200  # the middle frame has red in it, the first one has not
    for appearance, channel in zip(scene.appearances, (0, 2), strict=True):
        assert 1 <= len(appearance.best_shots) <= 5
        face = cv2.imdecode(np.frombuffer(appearance.best_shots[0].thumbnail, np.uint8), cv2.IMREAD_COLOR)
        assert face[face.shape[0] // 2, face.shape[1] // 2, channel] > 200


def test_a_track_ends_at_a_cut(write_mp4: Write, squares: FaceAnalyzer) -> None:
    """The same face in the same place on both sides of a cut."""
    scenes = analyze(write_mp4([stage(1, (RED, 20, 20))] * 25 + [stage(2, (RED, 20, 20))] * 25), squares)
    assert [[(one.start_s, one.end_s) for one in scene.appearances] for scene in scenes] == [[(0, 1)], [(1, 2)]]


def test_a_shot_shorter_than_the_sampling_interval_is_seen(write_mp4: Write, squares: FaceAnalyzer) -> None:
    pictures = [stage(1)] * 26 + [stage(2, (RED, 20, 20))] * 3 + [stage(3)] * 21
    scenes = analyze(write_mp4(pictures), squares)
    assert [len(scene.appearances) for scene in scenes] == [0, 1, 0]


@pytest.mark.parametrize("rotation_deg", [90, 180, -90])
def test_boxes_are_those_of_the_upright_picture(write_mp4: Write, squares: FaceAnalyzer, rotation_deg: int) -> None:
    upright = stage(1, (RED, 20, 40))
    stored = np.ascontiguousarray(np.rot90(upright, -rotation_deg // 90))
    (scene,) = analyze(write_mp4([stored] * 5, rotation_deg=rotation_deg), squares)
    assert scene.appearances[0].boxes_xyxy[0] == pytest.approx([20, 40, 52, 72], abs=2)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_video_of_a_few_frames_is_one_scene(write_mp4: Write, squares: FaceAnalyzer, count: int) -> None:
    (scene,) = analyze(write_mp4([stage(1, (RED, 20, 20))] * count), squares)
    assert (scene.start_s, scene.end_s) == (0, pytest.approx(count / 25))
    assert len(scene.appearances) == 1


def test_frames_are_analysed_in_batches(write_mp4: Write, squares: FaceAnalyzer, square_models: Any) -> None:
    analyze(write_mp4([stage(1)] * 100), squares)
    assert square_models.batch_sizes == [BATCH_FRAMES, BATCH_FRAMES, 4]


def test_progress_grows_to_the_end(play: Path, squares: FaceAnalyzer) -> None:
    shares: list[float] = []
    with open_video(play) as video:
        list(analyze_video(VideoSampler(video), squares, on_progress=shares.append))
    assert all(earlier < later for earlier, later in pairwise(shares))
    assert 0.9 < shares[-1] <= 1


def test_a_scene_is_there_before_the_video_is_decoded(write_mp4: Write, squares: FaceAnalyzer) -> None:
    pictures = [stage(1)] * 50 + [stage(2)] * 450
    shares: list[float] = []
    with open_video(write_mp4(pictures)) as video:
        next(analyze_video(VideoSampler(video), squares, on_progress=shares.append))
    assert max(shares) < 0.5


class LeaseLostError(Exception):
    pass


def test_what_on_progress_raises_stops_the_analysis(play: Path, squares: FaceAnalyzer) -> None:
    def lose_lease(_: float) -> None:
        raise LeaseLostError

    threads = threading.active_count()
    with open_video(play) as video, pytest.raises(LeaseLostError):
        list(analyze_video(VideoSampler(video), squares, on_progress=lose_lease))
    assert threading.active_count() == threads


def test_what_the_models_raise_reaches_the_caller(play: Path, square_models: Any) -> None:
    class EmbedderAway(type(square_models)):  # type: ignore[misc]
        def embed(self, crops_bgr: Picture, /) -> NDArray[np.float32]:
            raise ConnectionError(f"{len(crops_bgr)} crops went nowhere")

    analyzer = FaceAnalyzer(EmbedderAway(), [(320, 320)])
    with open_video(play) as video, pytest.raises(ConnectionError, match="crops"):
        list(analyze_video(VideoSampler(video), analyzer, on_progress=lambda _: None))


def test_memory_does_not_grow_with_length(write_mp4: Write, squares: FaceAnalyzer) -> None:
    peaks = []
    for seconds in (8, 40):
        path = write_mp4([stage(1, (RED, 20, 20))] * (25 * seconds))
        tracemalloc.start()
        analyze(path, squares)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.3 * peaks[0]
