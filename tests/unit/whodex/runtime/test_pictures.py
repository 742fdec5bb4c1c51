from __future__ import annotations

import pytest

from whodex.runtime.pictures import (
    SIGNATURE_BYTES,
    SUPPORTED_FORMATS,
    PictureFormat,
    iso_brands,
    picture_format,
)


def ftyp(major: bytes, *compatible: bytes) -> bytes:
    brands = b"".join(compatible)
    return (16 + len(brands)).to_bytes(4, "big") + b"ftyp" + major + bytes(4) + brands + bytes(8)


def bmp(dib_header_size: int) -> bytes:
    return b"BM" + bytes(12) + dib_header_size.to_bytes(4, "little") + bytes(40)


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01", PictureFormat.JPEG),
        (b"\xff\xd8\xff\xe1\x00\x10Exif\x00\x00", PictureFormat.JPEG),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\r", PictureFormat.PNG),
        (b"RIFF\x24\x00\x00\x00WEBP", PictureFormat.WEBP),
        (b"GIF87a", PictureFormat.GIF),
        (b"GIF89a", PictureFormat.GIF),
        (b"II*\0\x08\0\0\0", PictureFormat.TIFF),
        (b"MM\0*\0\0\0\x08", PictureFormat.TIFF),
        (b"II+\0\x08\0\0\0", PictureFormat.TIFF),
        (b"MM\0+\0\x08\0\0", PictureFormat.TIFF),
        (bmp(40), PictureFormat.BMP),
        (bmp(124), PictureFormat.BMP),
        (ftyp(b"heic", b"mif1", b"MiHB", b"miaf", b"MiHE", b"MiPr", b"heic"), PictureFormat.HEIC),
        (ftyp(b"heix", b"mif1"), PictureFormat.HEIC),
        (ftyp(b"mif1", b"mif1", b"heic"), PictureFormat.HEIC),
        (ftyp(b"mif1"), PictureFormat.HEIC),
        (ftyp(b"msf1", b"hevc", b"mif1", b"heic", b"iso8"), PictureFormat.HEIC),
        (ftyp(b"avif", b"mif1", b"miaf"), PictureFormat.AVIF),
        (ftyp(b"avis", b"msf1", b"avif"), PictureFormat.AVIF),
        (ftyp(b"mif1", b"miaf", b"avif"), PictureFormat.AVIF),
        # Videos, whatever else they are compatible with.
        (ftyp(b"isom", b"iso2", b"avc1", b"mp41"), None),
        (ftyp(b"mp42", b"isom", b"mif1", b"heic"), None),
        (ftyp(b"qt  "), None),
        (b"", None),
        (b"BMW is no picture", None),
        (bmp(41), None),
        (b"RIFF\x24\x00\x00\x00WAVE", None),
        (b"\xff\xd8", None),
    ],
)
def test_pictures_are_told_by_their_first_bytes(head: bytes, expected: PictureFormat | None) -> None:
    assert picture_format(head) is expected
    assert picture_format(head + bytes(SIGNATURE_BYTES)) is expected


def test_brands_end_with_their_box_and_with_what_is_there() -> None:
    whole = ftyp(b"heic", b"mif1", b"miaf")
    assert iso_brands(whole + b"more") == [b"heic", b"mif1", b"miaf"]
    assert iso_brands(whole[:22]) == [b"heic", b"mif1"]
    assert iso_brands(whole[:12]) == [b"heic"]
    assert iso_brands(whole[:11]) == []


def test_every_format_is_in_the_sentence() -> None:
    named = SUPPORTED_FORMATS.replace(" or", ",").lower().split(", ")
    assert named == [one.name.lower() for one in PictureFormat]
