"""The frames of a video in which faces are looked for."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from av.video.frame import VideoFrame

from inference.faces.decode import DecodedImage
from inference.video.decode import TimedFrame, Video
from inference.video.errors import UnreadableVideoError
from inference.video.probe import MAX_FRAME_RATE, VideoInfo
from inference.video.shots import mark_shots

SAMPLES_PER_SECOND = 5


@dataclass(frozen=True, slots=True)
class Sample:
    """A frame in which faces are looked for.

    Attributes:
        start_s: when it appears, seconds.
        end_s: when the frame after it appears, seconds.
        starts_scene: whether it is the first frame of a shot.
        image: the frame, upright, of the size that the video has.
    """

    start_s: float
    end_s: float
    starts_scene: bool
    image: DecodedImage


class SampledVideo(Protocol):
    """A video as its analysis sees it.

    Attributes:
        info: what its container says of it.
        duration_s: from the first frame to the end of the last one, seconds.
        frame_rate: average frames per second. This and the duration are as the container says until all samples have
            come, and as the frames are from then on.
    """

    info: VideoInfo
    duration_s: float
    frame_rate: float

    def samples(self) -> Iterator[Sample]:
        """Yields the samples in order of time, once.

        Raises:
            MediaError: the video is damaged further on, or cannot be decoded within the limits.
        """
        ...


class VideoSampler:
    """Samples an open video in this process; implements `SampledVideo`.

    Sampled are the first frame of every shot, and the first one at or after every multiple of the sampling interval.

    Args:
        video: its frames are used up.
    """

    def __init__(self, video: Video) -> None:
        self.info = video.info
        self.duration_s = video.info.duration_s
        self.frame_rate = video.info.frame_rate
        self._frames = video.frames

    def samples(self) -> Iterator[Sample]:
        """See `SampledVideo`."""
        next_tick = 0
        for frame, starts_shot in mark_shots(self._counted()):
            # A hair of tolerance: 0.6 s of a video is 2.9999999999999996 ticks.
            tick = math.floor(frame.start_s * SAMPLES_PER_SECOND + 1e-6)
            if starts_shot or tick >= next_tick:
                next_tick = tick + 1
                yield Sample(frame.start_s, frame.end_s, starts_shot, self._upright(frame.picture))

    def _counted(self) -> Iterator[TimedFrame]:
        count, end_s = 0, 0.0
        for frame in self._frames:
            count, end_s = count + 1, frame.end_s
            if count > MAX_FRAME_RATE * max(1.0, end_s):
                raise UnreadableVideoError(
                    f"The video has {count} frames in its first {end_s:.2f} s, which cannot be; export it again and"
                    " upload that."
                )
            yield frame
        if end_s > 0:
            self.duration_s, self.frame_rate = end_s, min(count / end_s, MAX_FRAME_RATE)

    def _upright(self, picture: VideoFrame) -> DecodedImage:
        width, height = self.info.coded_size
        # Of one size, also where the stream changes its own: boxes are in the pixels of the video.
        pixels = picture.to_ndarray(format="bgr24", width=width, height=height)
        turned = np.rot90(pixels, self.info.rotation_deg // 90)
        return DecodedImage.from_pixels(np.ascontiguousarray(turned, np.uint8))
