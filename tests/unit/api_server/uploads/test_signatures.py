from __future__ import annotations

import pytest

from api_server.uploads.signatures import image_media_type, video_media_type
from whodex.errors import InvalidArgumentError


def ftyp(major: bytes, *compatible: bytes) -> bytes:
    brands = b"".join(compatible)
    return (16 + len(brands)).to_bytes(4, "big") + b"ftyp" + major + bytes(4) + brands + bytes(8)


@pytest.mark.parametrize(
    ("head", "media_type"),
    [
        (b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01", "image/jpeg"),
        (b"RIFF\x24\x00\x00\x00WEBP", "image/webp"),
        (ftyp(b"heic", b"mif1", b"heic"), "image/heic"),
        (ftyp(b"avif", b"avif", b"mif1", b"miaf"), "image/avif"),
        (b"MM\0*\0\0\0\x08", "image/tiff"),
    ],
)
def test_pictures_are_recognised(head: bytes, media_type: str) -> None:
    assert image_media_type(head) == media_type


@pytest.mark.parametrize("brand", [b"isom", b"mp42", b"avc1", b"M4V ", b"qt  "])
def test_iso_base_media_files_are_recognised(brand: bytes) -> None:
    assert video_media_type(ftyp(brand, b"isom", b"mp41")) == "video/mp4"


@pytest.mark.parametrize(
    "head",
    [b"", b"%PDF-1.7", b"\xff\xd8", b"RIFF\x24\x00\x00\x00WAVE", b"\x00\x00\x00\x20ftyp", ftyp(b"mp42", b"isom")],
)
def test_what_is_no_picture_is_refused(head: bytes) -> None:
    with pytest.raises(InvalidArgumentError, match="not a JPEG, PNG, WebP, HEIC, AVIF, TIFF, BMP or GIF picture"):
        image_media_type(head)


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"#EXTM3U\n",
        b"\x1a\x45\xdf\xa3",
        b"RIFF\x00\x00\x00\x00AVI ",
        b"ftypmp42",
        ftyp(b"heic", b"mif1", b"heic"),
        ftyp(b"avis", b"avif", b"msf1", b"iso8"),
    ],
)
def test_what_is_no_mp4_is_refused(head: bytes) -> None:
    with pytest.raises(InvalidArgumentError):
        video_media_type(head)
