"""What can be wrong with a video."""

from inference.errors import MediaError
from whodex.v1 import failure_pb2


class VideoError(MediaError):
    """A video cannot be processed."""


class UnreadableVideoError(VideoError):
    """The bytes are damaged, truncated, or no MP4 at all."""

    reason = failure_pb2.FAILURE_REASON_UNREADABLE_VIDEO


class NoVideoStreamError(VideoError):
    """The file holds sound or subtitles only."""

    reason = failure_pb2.FAILURE_REASON_NO_VIDEO_STREAM


class UnsupportedVideoCodecError(VideoError):
    """The video stream is not one that this version decodes."""

    reason = failure_pb2.FAILURE_REASON_UNSUPPORTED_VIDEO_CODEC
