from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from whodex.demo.geometry import Box, Window
from whodex.demo.render import render
from whodex.demo.stages import Stage
from whodex.demo.storyboard import Shot
from whodex.demo.truth import Interval

FACE = Box(1500, 300, 1600, 400)


def stage() -> Stage:
    """A dark picture with a bright face far on the right."""
    pixels = np.full((720, 2000, 3), 40, np.uint8)
    pixels[300:400, 1500:1600] = 230
    return Stage(Image.fromarray(pixels), {"somebody": FACE})


def grey() -> Stage:
    return Stage(Image.new("RGB", (1280, 720), (128, 128, 128)), {})


EMPTY = Shot("nothing", grey, Window(640, 360, 1200), Window(640, 360, 800), 10)
PAN = Shot("a pan to the right", stage, Window(640, 360, 1000), Window(1400, 360, 1000), 50)


def decoded(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]


def test_renders_what_the_storyboard_says(tmp_path: Path) -> None:
    frames = decoded(render(tmp_path / "video.mp4", [EMPTY, PAN]).path)
    assert len(frames) == 60
    assert frames[0].shape == (360, 640)
    assert abs(float(frames[9].mean()) - 128) < 4
    assert float(frames[10].mean()) < 60


def test_the_truth_is_what_the_frames_show(tmp_path: Path) -> None:
    video = render(tmp_path / "video.mp4", [EMPTY, PAN])
    assert [scene.span for scene in video.scenes] == [Interval(0, 0.4), Interval(0.4, 2.4)]
    assert video.scenes[0].presences == ()
    (presence,) = video.scenes[1].presences
    assert video.scenes[1].presence("somebody") is presence
    # The whole face is 50x50 pixels of the frame, a part is at least one column of it.
    bright = [int((frame > 160).sum()) for frame in decoded(video.path)]
    first_whole = next(index for index, count in enumerate(bright) if count >= 0.95 * max(bright))
    first_part = next(index for index, count in enumerate(bright) if count >= 0.05 * max(bright))
    assert presence.whole.start_s == pytest.approx(first_whole / 25, abs=0.05)
    assert presence.part.start_s == pytest.approx(first_part / 25, abs=0.05)
    assert presence.whole.end_s == presence.part.end_s == 2.4


def test_the_seed_decides_the_pictures(tmp_path: Path) -> None:
    first, same, other = (
        decoded(render(tmp_path / f"{number}.mp4", [PAN], seed=seed).path) for number, seed in enumerate((1, 1, 2))
    )
    assert all(np.array_equal(a, b) for a, b in zip(first, same, strict=True))
    assert any(not np.array_equal(a, b) for a, b in zip(first, other, strict=True))


def test_refuses_a_storyboard_whose_truth_would_be_disputable(tmp_path: Path) -> None:
    half = Shot("half a face", stage, Window(1050, 360, 1000), Window(1050, 360, 1000), 10)
    with pytest.raises(ValueError, match="never shown whole"):
        render(tmp_path / "video.mp4", [half])
