from collections.abc import Callable
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from inference.video.decode import TimedFrame, open_video
from inference.video.shots import mark_shots, signature

Picture = NDArray[np.uint8]
Scenery = Callable[[int], Picture]


def cuts(pictures: list[Picture]) -> list[int]:
    frames = [
        TimedFrame(i / 25, (i + 1) / 25, av.VideoFrame.from_ndarray(p, "bgr24").reformat(format="yuv420p"))
        for i, p in enumerate(pictures)
    ]
    marked = list(mark_shots(frames))
    assert [frame for frame, _ in marked] == frames
    return [index for index, (_, starts_shot) in enumerate(marked) if starts_shot]


def part(scene: Picture, x: int = 0, y: int = 0) -> Picture:
    """Half of a scene, 320x180."""
    return scene[y : y + 180, x : x + 320]


@pytest.mark.parametrize("count", [1, 2, 3, 10])
def test_a_video_without_a_cut_is_one_shot(scenery: Scenery, count: int) -> None:
    assert cuts([part(scenery(0))] * count) == [0]


def test_no_frames_make_no_shot() -> None:
    assert cuts([]) == []


@pytest.mark.parametrize("at", [3, 4, 10, 18, 19])
def test_finds_a_cut_to_the_frame(scenery: Scenery, at: int) -> None:
    assert cuts([part(scenery(0))] * at + [part(scenery(1))] * (20 - at)) == [0, at]


def test_finds_a_cut_in_an_encoded_file(scenery: Scenery, write_mp4: Callable[..., Path]) -> None:
    path = write_mp4([part(scenery(0))] * 20 + [part(scenery(1))] * 20, first_pts=64_000)
    with open_video(path) as video:
        starts = [frame.start_s for frame, starts_shot in mark_shots(video.frames) if starts_shot]
    assert starts == [0, 20 / 25]


def test_finds_cuts_to_and_from_a_blur(scenery: Scenery) -> None:
    """A picture with little structure of its own is like some part of many others, which is no camera move."""
    blur = np.repeat(np.linspace(40, 200, 320, dtype=np.uint8)[None, :, None], 180, axis=0).repeat(3, axis=2)
    sharp = part(scenery(3)).copy()
    sharp[:, :185] = blur[:, 40:225] // 2
    assert cuts([sharp] * 10 + [blur] * 10 + [sharp] * 10) == [0, 10, 20]


def test_finds_cuts_to_and_from_black(scenery: Scenery) -> None:
    black = np.zeros_like(part(scenery(0)))
    assert cuts([part(scenery(0))] * 10 + [black] * 10 + [part(scenery(1))] * 10) == [0, 10, 20]


@pytest.mark.parametrize("length", [1, 2])
def test_a_flash_is_no_cut(scenery: Scenery, length: int) -> None:
    flash = np.full_like(part(scenery(0)), 250)
    assert cuts([part(scenery(0))] * 10 + [flash] * length + [part(scenery(0))] * 10) == [0]


def test_a_lamp_that_goes_on_is_no_cut(scenery: Scenery) -> None:
    scene = part(scenery(0))
    lit = cv2.convertScaleAbs(scene, alpha=0.6, beta=90)
    assert cuts([scene] * 10 + [lit] * 10) == [0]


def test_a_fast_pan_is_no_cut(scenery: Scenery) -> None:
    assert cuts([part(scenery(0), x=step * 16, y=step * 8) for step in range(20)]) == [0]


def test_a_shaking_camera_is_no_cut(scenery: Scenery) -> None:
    rng = np.random.default_rng(0)
    assert cuts([part(scenery(0), *rng.integers(80, 130, 2)) for _ in range(20)]) == [0]


def test_a_dissolve_is_no_cut(scenery: Scenery) -> None:
    a, b = part(scenery(0)), part(scenery(1))
    dissolve = [cv2.addWeighted(a, 1 - share, b, share, 0) for share in np.linspace(0, 1, 25)]
    assert cuts([a] * 5 + dissolve + [b] * 5) == [0]


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuvj420p", "yuv422p", "yuv444p", "yuv420p10le", "gray"])
@pytest.mark.parametrize("size", [(320, 180), (322, 182), (40, 20), (1920, 1080)])
def test_the_signature_is_the_same_in_any_format_and_size(
    scenery: Scenery, pixel_format: str, size: tuple[int, int]
) -> None:
    smooth = cv2.GaussianBlur(scenery(0), (0, 0), 20)
    grey = np.repeat(cv2.cvtColor(smooth, cv2.COLOR_BGR2GRAY)[..., None], 3, axis=2)
    frame = av.VideoFrame.from_ndarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), "bgr24")
    full = frame.reformat(format="yuv444p", dst_color_range="JPEG")
    expected = signature(av.VideoFrame.from_ndarray(grey, "bgr24").reformat(format="yuv444p"))
    found = signature(frame.reformat(format=pixel_format))
    assert full is not None
    assert found.shape == (36, 64, 3)
    assert np.abs(found.astype(float) - expected).mean() < 12


def moving_shot(scene: Picture, length: int, rng: np.random.Generator) -> list[Picture]:
    """A pan, slow or fast, with grain, over a scene of 640x360, in frames of 320x180."""
    place = rng.uniform([0, 0], [320, 180])
    step = rng.uniform(-8, 8, 2)
    grain = rng.normal(0, rng.uniform(0, 6), (180, 320, 3))
    pictures = []
    for _ in range(length):
        step *= np.where((place + step < 0) | (place + step > (320, 180)), -1, 1)
        place = place + step
        pictures.append(np.clip(part(scene, *place.astype(int)) + rng.permutation(grain), 0, 255).astype(np.uint8))
    return pictures


@pytest.mark.parametrize("seed", [10, 11, 12])
def test_f1_on_rendered_videos_is_at_least_097(scenery: Scenery, seed: int) -> None:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(5, 30, 16)
    pictures = [
        picture
        for index, length in enumerate(lengths)
        for picture in moving_shot(scenery(100 * seed + index), int(length), rng)
    ]
    truth = {0, *np.cumsum(lengths)[:-1].tolist()}
    found = set(cuts(pictures))
    assert 2 * len(found & truth) / (len(found) + len(truth)) >= 0.97
