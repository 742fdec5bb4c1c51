"""What the first bytes of a file say that it is. Whether the rest keeps the promise is found out by decoding it."""

from __future__ import annotations

from whodex.errors import InvalidArgumentError
from whodex.runtime.pictures import SUPPORTED_FORMATS, iso_brands, picture_format
from whodex.v1 import error_reason_pb2


def image_media_type(head: bytes) -> str:
    """Recognises the formats of `whodex.runtime.pictures`.

    Args:
        head: at least the first `SIGNATURE_BYTES` bytes, or the whole file.

    Raises:
        InvalidArgumentError: UNSUPPORTED_FORMAT.
    """
    known = picture_format(head)
    if known is None:
        raise _unsupported(f"a {SUPPORTED_FORMATS} picture")
    return known.value


def video_media_type(head: bytes) -> str:
    """Recognises the ISO base media file format, unless it holds a picture: HEIC and AVIF are such files, too.

    Args:
        head: at least the first `SIGNATURE_BYTES` bytes, or the whole file.

    Raises:
        InvalidArgumentError: UNSUPPORTED_FORMAT.
    """
    if iso_brands(head) and picture_format(head) is None:
        return "video/mp4"
    raise _unsupported("an MP4 video")


def _unsupported(wanted: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"The file is not {wanted}: its first bytes are those of something else.",
        reason=error_reason_pb2.ERROR_REASON_UNSUPPORTED_FORMAT,
    )
