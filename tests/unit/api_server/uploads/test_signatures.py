from __future__ import annotations

import pytest

from api_server.uploads.signatures import image_media_type, video_media_type
from whodex.errors import InvalidArgumentError


@pytest.mark.parametrize(
    ("head", "media_type"),
    [
        (b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01", "image/jpeg"),
        (b"\xff\xd8\xff\xe1\x00\x10Exif\x00\x00", "image/jpeg"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\r", "image/png"),
        (b"RIFF\x24\x00\x00\x00WEBP", "image/webp"),
    ],
)
def test_pictures_are_recognised(head: bytes, media_type: str) -> None:
    assert image_media_type(head) == media_type


@pytest.mark.parametrize("brand", [b"isom", b"mp42", b"avc1", b"M4V "])
def test_iso_base_media_files_are_recognised(brand: bytes) -> None:
    assert video_media_type(b"\x00\x00\x00\x20ftyp" + brand) == "video/mp4"


@pytest.mark.parametrize(
    "head", [b"", b"GIF89a", b"%PDF-1.7", b"\xff\xd8", b"RIFF\x24\x00\x00\x00WAVE", b"\x00\x00\x00\x20ftyp"]
)
def test_what_is_no_picture_is_refused(head: bytes) -> None:
    with pytest.raises(InvalidArgumentError):
        image_media_type(head)


@pytest.mark.parametrize("head", [b"", b"#EXTM3U\n", b"\x1a\x45\xdf\xa3", b"RIFF\x00\x00\x00\x00AVI ", b"ftypmp42"])
def test_what_is_no_mp4_is_refused(head: bytes) -> None:
    with pytest.raises(InvalidArgumentError):
        video_media_type(head)
