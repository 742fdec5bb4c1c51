"""The formats of pictures that are read, told by the first bytes: the name of a file does not count."""

from __future__ import annotations

from enum import Enum
from typing import Final

SIGNATURE_BYTES: Final = 128
"""As many first bytes as any signature needs: a `ftyp` box names its compatible brands behind the major one, and those
of cameras name 3 to 9, of 4 bytes each."""

SUPPORTED_FORMATS: Final = "JPEG, PNG, WebP, HEIC, AVIF, TIFF, BMP or GIF"
"""For sentences."""


class PictureFormat(Enum):
    """A format; its value is the media type."""

    JPEG = "image/jpeg"
    PNG = "image/png"
    WEBP = "image/webp"
    HEIC = "image/heic"
    AVIF = "image/avif"
    TIFF = "image/tiff"
    BMP = "image/bmp"
    GIF = "image/gif"


_PREFIXES: Final = (
    (b"\xff\xd8\xff", PictureFormat.JPEG),
    (b"\x89PNG\r\n\x1a\n", PictureFormat.PNG),
    (b"GIF87a", PictureFormat.GIF),
    (b"GIF89a", PictureFormat.GIF),
    (b"II*\0", PictureFormat.TIFF),
    (b"MM\0*", PictureFormat.TIFF),
    # BigTIFF.
    (b"II+\0", PictureFormat.TIFF),
    (b"MM\0+", PictureFormat.TIFF),
)
"""JPEG: ITU-T T.81 B.1.1.3. PNG: RFC 2083 3.1. GIF: GIF89a specification 17. TIFF: TIFF 6.0, section 2."""

_BRAND_BYTES: Final = 4
_HEIC_BRANDS: Final = frozenset({b"heic", b"heix", b"heim", b"heis"})
_AVIF_BRANDS: Final = frozenset({b"avif", b"avis"})
_PICTURE_BRANDS: Final = _HEIC_BRANDS | _AVIF_BRANDS | {b"mif1", b"msf1", b"hevc", b"hevx"}
"""Major brands of picture files and of sequences that hold a picture, too (ISO/IEC 23008-12 10 and AV1 Image File
Format 1.1, section 6). Any other major brand makes a file of the same container a video."""

_DIB_HEADER_SIZES: Final = frozenset({12, 40, 52, 56, 64, 108, 124})


def picture_format(head: bytes) -> PictureFormat | None:
    """Recognise a picture.

    Args:
        head: the first `SIGNATURE_BYTES` bytes or more, or the whole file.

    Returns:
        Its format; None when it is something else.
    """
    for prefix, known in _PREFIXES:
        if head.startswith(prefix):
            return known
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":  # RFC 9649 2.4
        return PictureFormat.WEBP
    if _is_bmp(head):
        return PictureFormat.BMP
    return _format_of_brands(iso_brands(head))


def iso_brands(head: bytes) -> list[bytes]:
    """The brands of a file in the ISO base media file format (ISO/IEC 14496-12 4.3), the major one first.

    Args:
        head: the first `SIGNATURE_BYTES` bytes or more, or the whole file.

    Returns:
        Empty when it does not begin with a `ftyp` box.
    """
    major = head[8:12]
    if head[4:8] != b"ftyp" or len(major) < _BRAND_BYTES:
        return []
    end = min(int.from_bytes(head[:4], "big"), len(head))
    compatible = range(16, end - _BRAND_BYTES + 1, _BRAND_BYTES)
    return [major, *(head[start : start + _BRAND_BYTES] for start in compatible)]


def _is_bmp(head: bytes) -> bool:
    """Two letters are too few for a signature: the size of the second header makes it sure."""
    return head.startswith(b"BM") and int.from_bytes(head[14:18], "little") in _DIB_HEADER_SIZES


def _format_of_brands(brands: list[bytes]) -> PictureFormat | None:
    if not brands or brands[0] not in _PICTURE_BRANDS:
        return None
    # mif1 and msf1 say only that it is a picture, the compatible brands how it is coded.
    named = [brand for brand in brands if brand in _HEIC_BRANDS | _AVIF_BRANDS]
    return PictureFormat.AVIF if named and named[0] in _AVIF_BRANDS else PictureFormat.HEIC
