"""Pictures of the other formats that are bombs or lie, and files that pose as pictures."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator

import numpy as np

from tests.hostile.boxes import box, full_box
from tests.hostile.files import READY, Bait, HostileFile
from tests.hostile.pictures import TOO_LARGE, UNREADABLE, encoded, picture_file, segment, zeros
from tests.pictures.encodings import plain_tiff


def other_pictures() -> list[HostileFile]:
    """All of them."""
    parts = (_gif, _webp, _bmp, _tiff, _heif, _narrow, _posing, _polyglots)
    return [file for part in parts for file in part()]


# GIF, https://www.w3.org/Graphics/GIF/spec-gif89a.txt


def gif(
    width: int, height: int, data: bytes = b"\x02\x02\x44\x01\x00", frame: tuple[int, int, int, int] | None = None
) -> bytes:
    """One frame of a screen with two colours."""
    screen = struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(6)
    image = b"," + struct.pack("<HHHHB", *(frame or (0, 0, width, height)), 0)
    return b"GIF89a" + screen + image + data + b";"


def _gif() -> Iterator[HostileFile]:
    frames = encoded("GIF")
    yield picture_file("gif of 65535x65535", lambda: gif(65_535, 65_535), TOO_LARGE)
    yield picture_file("gif of 10000x10000 without its pixels", lambda: gif(10_000, 10_000), UNREADABLE)
    yield picture_file("gif without a size", lambda: gif(0, 0), UNREADABLE)
    yield picture_file(
        "gif whose frame is beyond its screen",
        lambda: gif(1, 1, frame=(60_000, 60_000, 5_000, 5_000)),
        TOO_LARGE,
        UNREADABLE,
    )
    yield picture_file("gif of an impossible code size", lambda: gif(16, 16, b"\x0d\x02\x44\x01\x00"), UNREADABLE)
    yield picture_file(
        "gif of 100000 frames", lambda: frames[:-1] + frames[frames.find(b",") : -1] * 3_000 + b";", READY
    )
    yield picture_file(
        "gif of 5 MB of comments",
        lambda: frames[:13] + b"!\xfe" + (b"\xff" + bytes(255)) * 20_000 + b"\0;",
        UNREADABLE,
    )


# WebP, RFC 9649


def webp(*chunks: tuple[bytes, bytes], size: int | None = None) -> bytes:
    """A RIFF file; its size may be a lie."""
    body = b"WEBP" + b"".join(
        kind + struct.pack("<I", len(data)) + data + bytes(len(data) % 2) for kind, data in chunks
    )
    return b"RIFF" + struct.pack("<I", len(body) if size is None else size) + body


def _webp() -> Iterator[HostileFile]:
    canvas = (b"VP8X", struct.pack("<I", 2) + b"\xff\xff\xff" * 2)
    lossless = (b"VP8L", b"\x2f" + struct.pack("<I", 16_383 | 16_383 << 14) + bytes(64))
    frame = (
        b"ANMF",
        bytes(6) + b"\x0f\0\0\x0f\0\0" + bytes(4) + b"VP8L" + struct.pack("<I", 8) + b"\x2f\x0f\xc0\x03\0" + bytes(3),
    )
    small = (b"VP8X", struct.pack("<I", 2) + b"\x0f\0\0" * 2)
    yield picture_file("webp with a canvas of 16777216x16777216", lambda: webp(canvas), UNREADABLE, TOO_LARGE)
    yield picture_file("webp of 16384x16384", lambda: webp(lossless), TOO_LARGE, UNREADABLE)
    yield picture_file(
        "webp that claims 4 GiB", lambda: encoded("WEBP")[:4] + b"\xff" * 4 + encoded("WEBP")[8:], UNREADABLE
    )
    yield picture_file(
        "webp of 100000 broken frames", lambda: webp(small, (b"ANIM", bytes(6)), *[frame] * 100_000), UNREADABLE
    )
    yield picture_file("webp without chunks", webp, UNREADABLE)
    yield picture_file(
        "webp with a profile of zeros",
        lambda: webp(
            (b"VP8X", struct.pack("<I", 0x20) + b"\x5f\0\0\x3f\0\0"),
            (b"ICCP", bytes(10_000)),
            (b"VP8 ", encoded("WEBP")[20:]),
        ),
        READY,
        UNREADABLE,
    )


# BMP, [MS-WMF] 2.2.2


def bmp(size: tuple[int, int], bits: int, compression: int = 0, data: bytes = b"", offset: int = 54) -> bytes:
    """Headers and data."""
    info = struct.pack("<IiiHHIIiiII", 40, *size, 1, bits, compression, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54 + len(data), 0, 0, offset) + info + data


def _bmp() -> Iterator[HostileFile]:
    yield picture_file("bmp of 2147483647x2147483647", lambda: bmp((2**31 - 1, 2**31 - 1), 24), TOO_LARGE)
    yield picture_file("bmp of 10000x10000 without its pixels", lambda: bmp((10_000, 10_000), 24), UNREADABLE)
    yield picture_file("bmp of -1 columns", lambda: bmp((-1, 16), 24, data=bytes(1000)), TOO_LARGE)
    yield picture_file("bmp of 0 bits", lambda: bmp((16, 16), 0, data=bytes(1000)), UNREADABLE)
    yield picture_file(
        "bmp whose pixels are 4 GiB away", lambda: bmp((16, 16), 24, data=bytes(1000), offset=2**32 - 1), UNREADABLE
    )
    yield picture_file(
        "bmp of 10000x10000 run-length coded in nothing",
        lambda: bmp((10_000, 10_000), 8, 1, bytes(1024) + b"\0\1", 54 + 1024),
        READY,
        UNREADABLE,
    )
    yield picture_file(
        "bmp that jumps outside",
        lambda: bmp((16, 16), 8, 1, bytes(1024) + b"\0\2\xff\xff" * 1000, 54 + 1024),
        READY,
        UNREADABLE,
    )


# TIFF 6.0


def tiff(*entries: tuple[int, int, int, int], next_at: int = 0, data: bytes = b"") -> bytes:
    """One directory of (tag, type, count, value), and data behind it; it begins at 8, data at 14 + 12 * entries."""
    directory = struct.pack("<H", len(entries))
    directory += b"".join(struct.pack("<HHII", *entry) for entry in sorted(entries))
    return b"II*\0" + struct.pack("<I", 8) + directory + struct.pack("<I", next_at) + data


def grey_tiff(width: int, height: int, data: bytes, *more: tuple[int, int, int, int], **options: int) -> bytes:
    """A picture of one strip; later entries replace those of the same tag."""
    known = {tag: (tag, kind, 1, value) for tag, kind, value in (
        (256, 4, width), (257, 4, height), (258, 3, 8), (259, 3, 1), (262, 3, 1), (273, 4, 0), (277, 3, 1),
        (278, 4, height), (279, 4, len(data)),
    )} | {entry[0]: entry for entry in more}  # fmt: skip
    if known[273][3] == 0:
        known[273] = (273, 4, 1, 14 + 12 * len(known))
    return tiff(*known.values(), data=data, **options)


def chain_of_directories(count: int) -> bytes:
    """Empty directories, each naming the next."""
    directories = b"".join(struct.pack("<HI", 0, 8 + 6 * (number + 1)) for number in range(count))
    return b"II*\0" + struct.pack("<I", 8) + directories


def _tiff() -> Iterator[HostileFile]:
    pixels = bytes(256)
    files = {
        "tiff whose directory follows itself": (lambda: grey_tiff(16, 16, pixels, next_at=8), (READY,)),
        "tiff whose only directory is empty and follows itself": (lambda: tiff(next_at=8), (UNREADABLE,)),
        "tiff of a million directories": (lambda: chain_of_directories(1_000_000), (UNREADABLE,)),
        "tiff whose directory is itself its EXIF": (lambda: grey_tiff(16, 16, pixels, (0x8769, 4, 1, 8)), (READY,)),
        "tiff whose directory is its own part": (lambda: grey_tiff(16, 16, pixels, (330, 4, 1, 8)), (READY,)),
        "tiff of 65535 entries that are not there": (
            lambda: b"II*\0\x08\0\0\0\xff\xff" + bytes(100),
            (UNREADABLE,),
        ),
        "tiff whose directory is 4 GiB away": (lambda: b"II*\0\xff\xff\xff\xff" + bytes(100), (UNREADABLE,)),
        "bigtiff whose directory is far away": (
            lambda: b"II+\0\x08\0\0\0" + struct.pack("<Q", 2**63 - 1) + bytes(100),
            (UNREADABLE,),
        ),
        "tiff of 4294967295x4294967295": (lambda: grey_tiff(2**32 - 1, 2**32 - 1, pixels), (TOO_LARGE, UNREADABLE)),
        "tiff of 10000x10000 without its pixels": (lambda: grey_tiff(10_000, 10_000, pixels), (UNREADABLE,)),
        "tiff of 10000x10000 in 100 KB": (lambda: grey_tiff(10_000, 10_000, zeros(10**8), (259, 3, 1, 8)), (READY,)),
        "tiff with a strip of a GiB": (lambda: grey_tiff(16, 16, zeros(2**30), (259, 3, 1, 8)), (READY, UNREADABLE)),
        "tiff whose strip is 4 GiB away": (lambda: grey_tiff(16, 16, pixels, (273, 4, 1, 2**32 - 1)), (UNREADABLE,)),
        "tiff whose strip is 4 GiB long": (
            lambda: grey_tiff(16, 16, pixels, (279, 4, 1, 2**32 - 1)),
            (READY, UNREADABLE),
        ),
        "tiff with 4 billion strips": (lambda: grey_tiff(16, 16, pixels, (273, 4, 2**32 - 1, 8)), (UNREADABLE,)),
        "tiff of 255 bits": (lambda: grey_tiff(16, 16, pixels, (258, 3, 1, 255)), (UNREADABLE,)),
        "tiff of 65535 samples": (lambda: grey_tiff(16, 16, pixels, (277, 3, 1, 65_535)), (UNREADABLE,)),
        "tiff with strips of no rows": (lambda: grey_tiff(16, 16, pixels, (278, 4, 1, 0)), (READY, UNREADABLE)),
        "tiff with tiles of no size": (
            lambda: grey_tiff(16, 16, pixels, (322, 4, 1, 0), (323, 4, 1, 0), (324, 4, 1, 200), (325, 4, 1, 256)),
            (READY, UNREADABLE),
        ),
        "tiff of an unknown compression": (lambda: grey_tiff(16, 16, pixels, (259, 3, 1, 12_345)), (UNREADABLE,)),
        "tiff with a JPEG that is none": (lambda: grey_tiff(16, 16, pixels, (259, 3, 1, 7)), (UNREADABLE,)),
        "tiff whose title is 4 GiB long": (
            lambda: grey_tiff(16, 16, pixels, (270, 2, 2**32 - 1, 8)),
            (READY, UNREADABLE),
        ),
        "tiff of 16 bits and 60000x60000": (_deep_lie, (TOO_LARGE, UNREADABLE)),
    }
    for name, (make, outcomes) in files.items():
        yield picture_file(name, make, *outcomes)


def _deep_lie() -> bytes:
    honest = plain_tiff(np.zeros((4, 4, 3), np.uint16))
    width = struct.pack("<HHIHH", 256, 3, 1, 4, 0)
    height = struct.pack("<HHIHH", 257, 3, 1, 4, 0)
    huge = {width: struct.pack("<HHII", 256, 4, 1, 60_000), height: struct.pack("<HHII", 257, 4, 1, 60_000)}
    for old, new in huge.items():
        honest = honest.replace(old, new)
    return honest


# HEIC and AVIF, ISO/IEC 23008-12


def _heif() -> Iterator[HostileFile]:
    for name, image_format in (("heic", "HEIF"), ("avif", "AVIF")):
        data = encoded(image_format)
        head = data[: int.from_bytes(data[:4], "big")]
        size = data.find(b"ispe") + 8
        files = {
            f"{name} of 1073741824x1073741824": (
                data[:size] + struct.pack(">II", 2**30, 2**30) + data[size + 8 :],
                (TOO_LARGE, UNREADABLE),
            ),
            f"{name} of 20000x20000": (
                data[:size] + struct.pack(">II", 20_000, 20_000) + data[size + 8 :],
                (TOO_LARGE, UNREADABLE),
            ),
            f"{name} without a size": (data[:size] + bytes(8) + data[size + 8 :], (UNREADABLE,)),
            f"{name} without anything": (head, (UNREADABLE,)),
            f"{name} with a box of 2 GiB": (head + box(b"meta", bytes(20), size=2**31), (UNREADABLE,)),
            f"{name} with a box of 2^63": (
                head + b"\0\0\0\1meta" + struct.pack(">Q", 2**63 - 1) + bytes(20),
                (UNREADABLE,),
            ),
            f"{name} with a box without end": (head + box(b"meta", bytes(2000), size=0), (UNREADABLE,)),
            f"{name} of 20000 nested boxes": (head + full_box(b"meta", nested(b"iprp", 20_000)), (UNREADABLE,)),
            f"{name} with 65535 items that are not there": (
                data.replace(b"iinf\0\0\0\0\0\1", b"iinf\0\0\0\0\xff\xff"),
                (READY, UNREADABLE),
            ),
            f"{name} whose item is elsewhere": (elsewhere(data), (UNREADABLE,)),
        }
        for title, (content, outcomes) in files.items():
            yield picture_file(title, lambda content=content: content, *outcomes)


def nested(kind: bytes, depth: int) -> bytes:
    """Boxes, each in the one before."""
    return b"".join(struct.pack(">I4s", 8 * (depth - level), kind) for level in range(depth))


def elsewhere(data: bytes) -> bytes:
    """The places of the items, all behind the end of the file."""
    start = data.find(b"iloc")
    size = int.from_bytes(data[start - 4 : start], "big")
    return data[: start + 16] + b"\xff" * (size - 20) + data[start - 4 + size :]


# Shapes that are valid and odd.


def _narrow() -> Iterator[HostileFile]:
    for name, image_format, longest in (
        ("png", "PNG", 65_535), ("jpeg", "JPEG", 65_500), ("gif", "GIF", 65_535), ("bmp", "BMP", 65_535),
        ("tiff", "TIFF", 65_535), ("webp", "WEBP", 16_383),
    ):  # fmt: skip
        for size in ((1, longest), (longest, 1)):
            data = encoded(image_format, size)
            yield picture_file(f"{name} of {size[0]}x{size[1]}", lambda data=data: data, READY)


# What is no picture.


def _posing() -> Iterator[HostileFile]:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("bomb", bytes(10**7))
    files = {
        "EPS": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n({path}) run\n(http://{address}/) (r) file\n",
        "SVG": b'<svg xmlns="http://www.w3.org/2000/svg"><image href="http://{address}/"/><image href="file://{path}"/></svg>',
        "XML with entities": b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a SYSTEM "file://{path}">]><svg>&a;</svg>',
        "HTML": b'<html><img src="http://{address}/"></html>',
        "PDF": b"%PDF-1.7\n1 0 obj<</URI(http://{address}/)>>endobj\n",
        "HLS playlist": b"#EXTM3U\n#EXTINF:10,\nhttp://{address}/\n{path}\n",
        "ImageMagick script": b"push graphic-context\nfill 'url(http://{address}/)'\nimage over 0,0 0,0 '{path}'\n",
        "zip archive": archive.getvalue(),
        "PPM of 100000x100000": b"P6 100000 100000 255\n",
        "PSD": b"8BPS\0\1" + bytes(6) + b"\0\3" + struct.pack(">II", 30_000, 30_000) + b"\0\x08\0\3",
        "PCX": b"\x0a\5\1\x08" + b"\xff" * 124,
        "icon": b"\0\0\1\0\1\0" + b"\0" * 16,
        "JPEG 2000": b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(100),
        "FITS": b"SIMPLE  =                    T" + bytes(2850),
        "gzip": zlib.compress(bytes(1000), wbits=31),
        "MP4": box(b"ftyp", b"mp42" + bytes(4) + b"mp42isom") + box(b"moov"),
        "text": b"Dear Sir or Madam,\n",
        "nothing": b"",
        "one byte": b"\xff",
        "zeros": bytes(100_000),
    }
    for name, data in files.items():
        yield HostileFile(f"{name} as a picture", False, lambda bait, data=data: named(data, bait), [UNREADABLE])


def named(data: bytes, bait: Bait) -> bytes:
    """Puts the names of the bait in."""
    return data.replace(b"{path}", bait.path.encode()).replace(b"{address}", bait.address.encode())


def _polyglots() -> Iterator[HostileFile]:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("evil.py", "import os")
    script = b"<?php system($_GET[0]); ?><script>alert(1)</script>"
    jpeg = encoded("JPEG")
    yield picture_file("jpeg that is a zip archive, too", lambda: jpeg + archive.getvalue(), READY)
    yield picture_file("jpeg that is a script, too", lambda: jpeg[:2] + segment(0xFE, script) + jpeg[2:], READY)
    yield picture_file("png that is HTML, too", lambda: encoded("PNG") + script, READY)
    yield picture_file("gif that is JavaScript, too", lambda: b"GIF89a=1;" + script * 20, UNREADABLE, TOO_LARGE, READY)
    yield picture_file(
        "jpeg that is a PDF, too", lambda: jpeg[:2] + segment(0xFE, b"%PDF-1.7 1 0 obj") + jpeg[2:], READY
    )
    yield picture_file("png that ends as a jpeg", lambda: encoded("PNG")[:60] + jpeg, UNREADABLE)
    yield picture_file("jpeg that goes on as a png", lambda: b"\xff\xd8\xff" + encoded("PNG"), UNREADABLE)
    yield picture_file(
        "bmp that is an executable, too", lambda: b"BM" + b"MZ" * 6 + struct.pack("<I", 40) + bytes(500), UNREADABLE
    )
