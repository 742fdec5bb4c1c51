"""What a video is: by its index and its first picture. Nothing is decoded here."""

from dataclasses import dataclass
from fractions import Fraction

from av.container import InputContainer
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from inference.video.errors import NoVideoStreamError, UnreadableVideoError, UnsupportedVideoCodecError

CODECS = frozenset({"h264"})
MAX_FRAME_PIXELS = 139_264 * 16 * 16
"""The largest frame of H.264's level 6.2, for example 8192x4320: MaxFS of ITU-T H.264, table A-1, in macroblocks."""
MAX_SIDE_PX = 16_880
"""The longest side of such a frame, as table A-1 has it: the square root of 8 MaxFS, in macroblocks of 16."""
MAX_FRAME_RATE = 1000
"""Frames per second; cameras that take more write them at a rate that can be played."""
MAX_DURATION_S = 31 * 86_400
"""A month. Times beyond it are those of a damaged file."""

_COVER_ART = Disposition.attached_pic | Disposition.timed_thumbnails


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """A video as its container describes it.

    Attributes:
        duration_s: from the first frame to the end of the last one, seconds.
        frame_rate: average frames per second.
        width: of the upright picture, pixels.
        height: of the upright picture, pixels.
        rotation_deg: counterclockwise turn that makes the decoded picture upright: 0, 90, 180 or 270.
        codec: FFmpeg's name of the codec.
    """

    duration_s: float
    frame_rate: float
    width: int
    height: int
    rotation_deg: int
    codec: str

    @property
    def coded_size(self) -> tuple[int, int]:
        """Width and height of the decoded pictures, before they are turned upright."""
        return (self.height, self.width) if self.rotation_deg % 180 else (self.width, self.height)


def pick_stream(container: InputContainer) -> VideoStream:
    """The first video stream that is no cover art.

    Raises:
        NoVideoStreamError: there is none.
        UnsupportedVideoCodecError: it is not H.264.
    """
    streams = [stream for stream in container.streams.video if not stream.disposition & _COVER_ART]
    if not streams:
        raise NoVideoStreamError("The file holds no video stream; upload a file with pictures in it.")
    # FFmpeg has no decoder at all for what is encrypted, for example.
    codec = streams[0].codec_context.name if streams[0].codec_context else "something unknown"
    if codec not in CODECS:
        raise UnsupportedVideoCodecError(
            f"The video is coded as {codec}; convert it to H.264 in an MP4 file and upload that."
        )
    return streams[0]


def check_complete(stream: VideoStream, size_bytes: int) -> None:
    """Refuse a file that ends before the frames that its index promises.

    Raises:
        UnreadableVideoError: it does.
    """
    needed_bytes = max((entry.pos + entry.size for entry in stream.index_entries), default=0)
    if needed_bytes > size_bytes:
        raise UnreadableVideoError(
            f"The file ends after {size_bytes} of at least {needed_bytes} bytes; upload the whole file again."
        )


def describe(container: InputContainer, stream: VideoStream, first: VideoFrame) -> VideoInfo:
    """Describe a stream.

    Args:
        container: the file.
        stream: its video stream.
        first: its first picture: what the container says of its size need not be so.

    Raises:
        UnreadableVideoError: the stream has no rate or duration, or one that cannot be.
    """
    rate = stream.average_rate or stream.guessed_rate
    duration = _duration(container, stream)
    if not (rate and duration > 0):
        raise UnreadableVideoError("The video stream is empty or damaged; export it again and upload that.")
    if rate > MAX_FRAME_RATE or duration > MAX_DURATION_S:
        raise UnreadableVideoError(
            f"The file claims {float(duration):.0f} s of video at {float(rate):.0f} frames per second, which cannot be;"
            " export it again and upload that."
        )
    # FFmpeg turns by any angle; cameras by a right one.
    rotation_deg = round(first.rotation / 90) * 90 % 360
    width, height = first.width, first.height
    if rotation_deg % 180:
        width, height = height, width
    return VideoInfo(
        duration_s=float(duration),
        frame_rate=float(rate),
        width=width,
        height=height,
        rotation_deg=rotation_deg,
        codec=stream.codec_context.name,
    )


def check_size(width: int, height: int) -> None:
    """Refuse pictures that are larger than any that H.264 has a level for.

    Raises:
        UnreadableVideoError: they are, or they have no size.
    """
    if not (width and height):
        raise UnreadableVideoError("The video stream is empty or damaged; export it again and upload that.")
    if max(width, height) > MAX_SIDE_PX or width * height > MAX_FRAME_PIXELS:
        raise UnreadableVideoError(
            f"The picture is {width}x{height} pixels, over the limit of {MAX_FRAME_PIXELS // 10**6} million; scale it"
            " down."
        )


def _duration(container: InputContainer, stream: VideoStream) -> Fraction:
    if stream.duration and stream.time_base:
        return stream.duration * stream.time_base
    # Fragmented files may say it for the whole file only, in microseconds.
    return Fraction(container.duration or 0, 1_000_000)
