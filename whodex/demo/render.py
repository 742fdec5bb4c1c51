"""Renders the sample video, with the truth about it: the same seed gives the same pictures."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from PIL import Image

from whodex.demo.geometry import Box, Window
from whodex.demo.storyboard import FRAME_RATE, STORYBOARD, Shot
from whodex.demo.truth import Interval, Presence, TrueScene

WIDTH, HEIGHT = 640, 360
WHOLE_SHARE = 0.95
"""A face is in the picture as a whole from this share of its box on."""
PART_SHARE = 0.05
"""Below this share nobody can find it."""
SWAY_SHARE = 0.004
"""How far the hand that holds the camera sways, as a share of the window's width."""


@dataclass(frozen=True, slots=True)
class SampleVideo:
    """A rendered video.

    Attributes:
        path: of the MP4 file.
        scenes: what it shows.
    """

    path: Path
    scenes: tuple[TrueScene, ...]


def render(path: Path, storyboard: Sequence[Shot] = STORYBOARD, *, seed: int = 0) -> SampleVideo:
    """Render the sample video: H.264, 640x360, 25 frames/s.

    Args:
        path: of the MP4 file to write.
        storyboard: its shots.
        seed: of the camera's sway.

    Raises:
        SamplesError: the sample pictures are not there.
    """
    sway = _Sway(seed)
    scenes = []
    frame_number = 0
    with av.open(str(path), "w", format="mp4", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=FRAME_RATE, width=WIDTH, height=HEIGHT, pix_fmt="yuv420p")
        stream.options = {"preset": "superfast", "crf": "20"}
        for shot in storyboard:
            stage = shot.stage()
            windows = list(_windows(shot, stage.picture.size, sway))
            for window in windows:
                container.mux(stream.encode(_frame(stage.picture, window.box)))
            scenes.append(_truth(shot.title, windows, stage.faces, frame_number))
            frame_number += len(windows)
        container.mux(stream.encode())
    return SampleVideo(path, tuple(scenes))


class _Sway:
    """The sway of a hand: two slow waves in each direction, of random phase."""

    def __init__(self, seed: int) -> None:
        # Nothing depends on nobody guessing it.
        self._phases = [random.Random(f"{seed}/{wave}").uniform(0, math.tau) for wave in range(4)]  # noqa: S311

    def at(self, time_s: float) -> tuple[float, float]:
        """Horizontal and vertical, -1 to 1."""
        slow_x, fast_x, slow_y, fast_y = self._phases
        return (
            (math.sin(2.1 * time_s + slow_x) + math.sin(4.7 * time_s + fast_x)) / 2,
            (math.sin(1.7 * time_s + slow_y) + math.sin(5.3 * time_s + fast_y)) / 2,
        )


def _windows(shot: Shot, size: tuple[int, int], sway: _Sway) -> Iterator[Window]:
    for index in range(shot.frame_count):
        share = index / (shot.frame_count - 1)
        eased = share * share * (3 - 2 * share)
        window = shot.start.towards(shot.end, eased)
        sway_x, sway_y = sway.at(index / FRAME_RATE)
        reach = SWAY_SHARE * window.width
        yield Window(window.x + sway_x * reach, window.y + sway_y * reach, window.width).kept_within(*size)


def _frame(picture: Image.Image, box: Box) -> av.VideoFrame:
    edges = (box.left, box.top, box.right, box.bottom)
    seen = picture.resize((WIDTH, HEIGHT), Image.Resampling.HAMMING, box=edges)
    return av.VideoFrame.from_ndarray(np.asarray(seen), format="rgb24")


def _truth(title: str, windows: list[Window], faces: Mapping[str, Box], first_frame: int) -> TrueScene:
    presences = []
    for person, face in faces.items():
        shares = [face.share_within(window.box) for window in windows]
        if max(shares) >= PART_SHARE:
            whole, part = _stretch(shares, WHOLE_SHARE), _stretch(shares, PART_SHARE)
            presences.append(Presence(person, _interval(first_frame, whole), _interval(first_frame, part)))
    return TrueScene(title, _interval(first_frame, range(len(windows))), tuple(presences))


def _stretch(shares: list[float], least: float) -> range:
    """The indices of the one stretch of at least this share.

    Raises:
        ValueError: there is none or more than one, which the storyboard avoids: the truth would be disputable.
    """
    indices = [index for index, share in enumerate(shares) if share >= least]
    if not indices or indices[-1] - indices[0] + 1 != len(indices):
        raise ValueError("a face is never shown whole, or comes twice in a shot")
    return range(indices[0], indices[-1] + 1)


def _interval(first_frame: int, frames: range) -> Interval:
    return Interval((first_frame + frames.start) / FRAME_RATE, (first_frame + frames.stop) / FRAME_RATE)
