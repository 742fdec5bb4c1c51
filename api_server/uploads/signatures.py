"""What the first bytes of a file say that it is. Whether the rest keeps the promise is found out by decoding it."""

from __future__ import annotations

from whodex.errors import InvalidArgumentError
from whodex.v1 import error_reason_pb2


def image_media_type(head: bytes) -> str:
    """Recognises JPEG (ITU-T T.81 B.1.1.3), PNG (RFC 2083 3.1) and WebP (RFC 9649 2.4).

    Args:
        head: at least the first 12 bytes, or the whole file.

    Raises:
        InvalidArgumentError: UNSUPPORTED_FORMAT.
    """
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "image/webp"
    raise _unsupported("a JPEG, PNG or WebP picture")


def video_media_type(head: bytes) -> str:
    """Recognises the ISO base media file format (ISO/IEC 14496-12 4.3): a `ftyp` box comes first.

    Raises:
        InvalidArgumentError: UNSUPPORTED_FORMAT.
    """
    if head[4:8] == b"ftyp":
        return "video/mp4"
    raise _unsupported("an MP4 video")


def _unsupported(wanted: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"The file is not {wanted}: its first bytes are those of something else.",
        reason=error_reason_pb2.ERROR_REASON_UNSUPPORTED_FORMAT,
    )
