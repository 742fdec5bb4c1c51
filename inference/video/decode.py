"""Opens a video and decodes it once, from front to back, in constant memory."""

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from inference.video.errors import UnreadableVideoError
from inference.video.probe import CODECS, MAX_DURATION_S, VideoInfo, check_complete, check_size, describe, pick_stream

DECODER_THREADS = 2
"""Two decode 640x360 at about 2,500 frames/s, far ahead of detection; each further one holds more frames."""

_DAMAGED = "export it again and upload that."
_USUAL_RATE = Fraction(25)
"""Frames per second of a stream that does not say its own."""


@dataclass(frozen=True, slots=True)
class TimedFrame:
    """A decoded frame and when a player shows it.

    Attributes:
        start_s: when it appears, seconds since the first frame, inclusive.
        end_s: when the next one replaces it, by the frame's own duration, exclusive.
        picture: the frame in the codec's pixel format, not yet turned upright.
    """

    start_s: float
    end_s: float
    picture: VideoFrame


@dataclass(frozen=True, slots=True)
class Video:
    """An open video.

    Attributes:
        info: what it is.
        frames: its frames in order of presentation, each decoded when it is asked for. Iterates once, and
            raises UnreadableVideoError where the stream is damaged.
    """

    info: VideoInfo
    frames: Iterator[TimedFrame]


@contextmanager
def open_video(source: Path | int) -> Iterator[Video]:
    """Open an MP4 file.

    Only the MP4 demuxer and the H.264 decoder ever see the bytes, and FFmpeg may open nothing but the
    descriptor: neither a playlist named .mp4 nor an MP4 that refers to files or addresses reads anything else.

    Args:
        source: a path, or a descriptor open for reading that stays the caller's.

    Raises:
        UnreadableVideoError: no MP4, truncated, or damaged at its first frame.
        NoVideoStreamError: no video stream.
        UnsupportedVideoCodecError: the codec is not H.264.
        OSError: the file cannot be opened.
    """
    if isinstance(source, Path):
        descriptor = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
        try:
            with open_video(descriptor) as video:
                yield video
        finally:
            os.close(descriptor)
        return
    with _demux(source) as container:
        stream = pick_stream(container)
        check_complete(stream, os.fstat(source).st_size)
        check_size(stream.codec_context.width, stream.codec_context.height)
        stream.codec_context.thread_count = DECODER_THREADS
        stream.codec_context.thread_type = "AUTO"
        frames = _decode(container, stream)
        first = next(frames, None)
        if first is None:
            raise UnreadableVideoError(f"The video stream has no picture; {_DAMAGED}")
        info = describe(container, stream, first.picture)
        yield Video(info=info, frames=itertools.chain([first], frames))


def _demux(descriptor: int) -> InputContainer:
    os.lseek(descriptor, 0, os.SEEK_SET)
    options = {
        "fd": str(descriptor),
        "protocol_whitelist": "fd",
        "codec_whitelist": ",".join(sorted(CODECS)),
        "enable_drefs": "0",
    }
    try:
        # Titles and the like are not read, and need not be text.
        return av.open("fd:", format="mov", options=options, metadata_errors="ignore")
    except MemoryError:
        raise  # which some of FFmpeg's errors are
    except av.FFmpegError as error:
        raise UnreadableVideoError(_why_unreadable(descriptor)) from error


def _why_unreadable(descriptor: int) -> str:
    # ISO/IEC 14496-12, 4.3: a file starts with its type box, "ftyp" after four bytes of size.
    if os.pread(descriptor, 4, 4) == b"ftyp":
        return "The MP4 file is truncated or damaged: its index is missing; upload the whole file again."
    return "The file is no MP4 video; convert it to H.264 in an MP4 file and upload that."


def _decode(container: InputContainer, stream: VideoStream) -> Iterator[TimedFrame]:
    time_base = stream.time_base or Fraction(1, av.time_base)
    usual_ticks = round(1 / ((stream.average_rate or _USUAL_RATE) * time_base))
    first_pts: int | None = stream.start_time
    next_pts = first_pts or 0
    start_s = 0.0
    for picture in _pictures(container, stream, time_base):
        check_size(picture.width, picture.height)
        pts = next_pts if picture.pts is None else picture.pts
        if first_pts is None:
            first_pts = pts
        next_pts = pts + (picture.duration or usual_ticks)
        # Damaged and hostile files let time stand still, run backwards, or leap.
        start_s = max(start_s, float((pts - first_pts) * time_base))
        end_s = max(start_s, float((next_pts - first_pts) * time_base))
        if end_s > MAX_DURATION_S:
            raise UnreadableVideoError(f"The video's clock leaps to {end_s:.0f} s; {_DAMAGED}")
        yield TimedFrame(start_s, end_s, picture)


def _pictures(container: InputContainer, stream: VideoStream, time_base: Fraction) -> Iterator[VideoFrame]:
    reached_s = 0.0
    try:
        for picture in container.decode(stream):
            reached_s = float(((picture.pts or 0) - (stream.start_time or 0)) * time_base)
            yield picture
    except MemoryError:
        raise
    except av.FFmpegError as error:
        raise UnreadableVideoError(f"The video is damaged after {reached_s:.2f} s; {_DAMAGED}") from error
