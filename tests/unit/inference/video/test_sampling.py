from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from inference.video.decode import open_video
from inference.video.errors import UnreadableVideoError
from inference.video.sampling import VideoSampler
from tests.hostile.videos import joined, repeated, shifted

Write = Callable[..., Path]


def sampled(path: Path) -> tuple[VideoSampler, list[tuple[float, float]]]:
    with open_video(path) as video:
        sampler = VideoSampler(video)
        return sampler, [(sample.start_s, sample.end_s) for sample in sampler.samples()]


@pytest.fixture
def write(tmp_path: Path) -> Callable[[bytes], Path]:
    def write(data: bytes) -> Path:
        path = tmp_path / "video.mp4"
        path.write_bytes(data)
        return path

    return write


def test_five_samples_a_second(write_mp4: Write) -> None:
    _, times = sampled(write_mp4([np.full((48, 64, 3), 90, np.uint8)] * 50))
    assert [start_s for start_s, _ in times] == pytest.approx(np.arange(10) / 5)


def test_duration_and_rate_are_counted_and_not_believed(write: Callable[[bytes], Path]) -> None:
    with open_video(write(repeated(50, 512))) as video:
        sampler = VideoSampler(replace(video, info=replace(video.info, duration_s=7_200, frame_rate=1)))
        assert (sampler.duration_s, sampler.frame_rate) == (7_200, 1)
        list(sampler.samples())
    assert (sampler.duration_s, sampler.frame_rate) == (2, 25)


def test_frames_of_another_size_come_in_the_size_of_the_video(write: Callable[[bytes], Path]) -> None:
    with open_video(write(joined((64, 48), (320, 240)))) as video:
        shapes = {sample.image.pixels_bgr.shape for sample in VideoSampler(video).samples()}
    assert shapes == {(48, 64, 3)}


def test_time_never_runs_backwards(write: Callable[[bytes], Path]) -> None:
    _, times = sampled(write(shifted(None)))
    starts = [start_s for start_s, _ in times]
    assert starts == sorted(starts)
    assert all(0 <= start_s <= end_s for start_s, end_s in times)


def test_more_frames_than_any_camera_takes_are_refused(write: Callable[[bytes], Path]) -> None:
    with pytest.raises(UnreadableVideoError, match="frames"):
        sampled(write(repeated(5_000, 1)))
