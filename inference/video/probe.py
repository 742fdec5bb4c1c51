"""What a video is, from its index alone: nothing is decoded here."""

from dataclasses import dataclass
from fractions import Fraction

from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from inference.video.errors import NoVideoStreamError, UnreadableVideoError, UnsupportedVideoCodecError

CODECS = frozenset({"h264"})
MAX_SIDE_PX = 8192
"""The longest side of the pictures that H.264's level 6.2 is for, 8192x4320 (ITU-T H.264, table A-1)."""

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


def pick_stream(container: InputContainer) -> VideoStream:
    """The first video stream that is no cover art.

    Raises:
        NoVideoStreamError: there is none.
        UnsupportedVideoCodecError: it is not H.264.
    """
    streams = [stream for stream in container.streams.video if not stream.disposition & _COVER_ART]
    if not streams:
        raise NoVideoStreamError("The file holds no video stream; upload a file with pictures in it.")
    codec = streams[0].codec_context.name
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


def describe(container: InputContainer, stream: VideoStream, rotation_deg: int) -> VideoInfo:
    """Describe a stream.

    Args:
        container: the file.
        stream: its video stream.
        rotation_deg: as in `VideoInfo`; FFmpeg gives it with the first decoded frame only.

    Raises:
        UnreadableVideoError: the stream has no size, rate or duration, or a size that cannot be.
    """
    width, height = stream.codec_context.width, stream.codec_context.height
    rate = stream.average_rate or stream.guessed_rate
    duration = _duration(container, stream)
    if not (width and height and rate and duration):
        raise UnreadableVideoError("The video stream is empty or damaged; export it again and upload that.")
    if max(width, height) > MAX_SIDE_PX:
        raise UnreadableVideoError(
            f"The picture is {width}x{height} pixels, over the limit of {MAX_SIDE_PX} a side; scale it down."
        )
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


def _duration(container: InputContainer, stream: VideoStream) -> Fraction:
    if stream.duration and stream.time_base:
        return stream.duration * stream.time_base
    # Fragmented files may say it for the whole file only, in microseconds.
    return Fraction(container.duration or 0, 1_000_000)
