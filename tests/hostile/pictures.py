"""Pictures that are cut off, damaged by chance, or bombs: of every format, and PNG and JPEG in particular."""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Callable, Iterator
from functools import cache

import numpy as np
import pillow_heif
from PIL import Image

from tests.hostile.files import LIMIT, READY, HostileFile

pillow_heif.register_heif_opener()

UNREADABLE = "UNREADABLE_IMAGE"
TOO_LARGE = "IMAGE_TOO_LARGE"
FORMATS = {
    "jpeg": "JPEG",
    "png": "PNG",
    "webp": "WEBP",
    "heic": "HEIF",
    "avif": "AVIF",
    "tiff": "TIFF",
    "bmp": "BMP",
    "gif": "GIF",
}
"""Pillow's names."""
CUTS = (0.01, 0.1, 0.3, 0.5, 0.7, 0.9)
FLIP_SEEDS = range(6)
GIB = 2**30


def hostile_pictures() -> list[HostileFile]:
    """All of them."""
    return [file for part in (_cut, _flipped, _png, _jpeg) for file in part()]


def picture_file(name: str, data: Callable[[], bytes], *outcomes: str) -> HostileFile:
    return HostileFile(name, is_video=False, make=lambda _: data(), outcomes=outcomes)


@cache
def encoded(image_format: str, size: tuple[int, int] = (96, 64), mode: str = "RGB", **options: object) -> bytes:
    """A valid picture of noise."""
    pixels = np.random.default_rng(0).integers(0, 255, (size[1], size[0], 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(buffer, image_format, **options)
    return buffer.getvalue()


def _cut() -> Iterator[HostileFile]:
    for name, image_format in FORMATS.items():
        for share in CUTS:
            whole = encoded(image_format)
            yield picture_file(
                f"{name} cut after {share:.0%}", lambda w=whole, s=share: w[: int(len(w) * s)], UNREADABLE
            )


def _flipped() -> Iterator[HostileFile]:
    for name, image_format in FORMATS.items():
        for seed in FLIP_SEEDS:
            yield picture_file(
                f"{name} with flipped bits {seed}",
                lambda f=image_format, s=seed: flipped(encoded(f), s),
                READY,
                UNREADABLE,
                TOO_LARGE,
            )


def flipped(data: bytes, seed: int, count: int = 12) -> bytes:
    """Flips bits anywhere but in the signature."""
    rng, changed = random.Random(seed), bytearray(data)  # noqa: S311 - no secrets
    for _ in range(count):
        changed[rng.randrange(16, len(data))] ^= 1 << rng.randrange(8)
    return bytes(changed)


# PNG, https://www.w3.org/TR/png-3/


def chunk(kind: bytes, data: bytes, length: int | None = None) -> bytes:
    """A chunk; its length may be a lie."""
    size = len(data) if length is None else length
    return struct.pack(">I", size) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(*chunks: bytes, size: tuple[int, int] = (16, 16), depth: int = 8, colour: int = 2, interlace: int = 0) -> bytes:
    """A PNG with chunks of one's own between header and end."""
    header = struct.pack(">IIBBBBB", *size, depth, colour, 0, 0, interlace)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(chunks) + chunk(b"IEND", b"")


@cache
def zeros(count: int) -> bytes:
    """Zeros in zlib's format: a thousandth of their size."""
    packer = zlib.compressobj(9)
    block = bytes(2**20)
    parts = [packer.compress(block) for _ in range(count // 2**20)]
    return b"".join([*parts, packer.compress(bytes(count % 2**20)), packer.flush()])


def rows(width: int = 16, height: int = 16) -> bytes:
    """The pixels of an RGB picture that is black."""
    return chunk(b"IDAT", zeros((3 * width + 1) * height))


def _png() -> Iterator[HostileFile]:
    bombs = {
        "png of 50000x50000": (lambda: png(chunk(b"IDAT", zeros(1000)), size=(50_000, 50_000)), TOO_LARGE),
        "png of 2147483647x2147483647": (lambda: png(rows(), size=(2**31 - 1, 2**31 - 1)), TOO_LARGE),
        "png of 4294967295x1": (lambda: png(rows(), size=(2**32 - 1, 1)), TOO_LARGE),
        "png of 10000x10000 without its pixels": (lambda: png(rows(), size=(10_000, 10_000)), UNREADABLE),
        "png of 10000x10000 in 300 KB": (lambda: png(rows(10_000, 10_000), size=(10_000, 10_000)), READY),
        "png of 10000x10000, interlaced, too short": (
            lambda: png(rows(10_000, 5_000), size=(10_000, 10_000), interlace=1),
            UNREADABLE,
        ),
        "png of 16x16 with a GiB of pixels": (lambda: png(chunk(b"IDAT", zeros(GIB))), READY),
        "png with a zTXt of a GiB": (lambda: png(chunk(b"zTXt", b"k\0\0" + zeros(GIB)), rows()), UNREADABLE),
        "png with an iTXt of a GiB": (
            lambda: png(chunk(b"iTXt", b"k\0\1\0\0\0" + zeros(GIB)), rows()),
            UNREADABLE,
        ),
        "png with a profile of a GiB": (lambda: png(chunk(b"iCCP", b"k\0\0" + zeros(GIB)), rows()), UNREADABLE),
        "png with 100 MB of texts": (
            lambda: png(*[chunk(b"tEXt", b"k%d\0" % n + bytes(1_000_000)) for n in range(100)], rows()),
            UNREADABLE,
        ),
        "png with 200000 empty chunks": (lambda: png(chunk(b"IDAT", b"") * 200_000, rows()), READY),
        "png with a chunk of 2 GiB": (lambda: png(chunk(b"tEXt", b"k\0", 2**31 - 1), rows()), UNREADABLE),
        "png with a chunk of -1 bytes": (lambda: png(chunk(b"tEXt", b"k\0", 2**32 - 1), rows()), UNREADABLE),
        "png without a palette": (lambda: png(rows(), colour=3), UNREADABLE),
        "png without a width": (lambda: png(rows(), size=(0, 16)), UNREADABLE),
        "png without a height": (lambda: png(rows(), size=(16, 0)), UNREADABLE),
        "png of 3 bits": (lambda: png(rows(), depth=3), UNREADABLE),
        "png of a colour type that is none": (lambda: png(rows(), colour=5), UNREADABLE),
        "png without pixels": (png, UNREADABLE),
        "png with two headers": (
            lambda: png(chunk(b"IHDR", struct.pack(">IIBBBBB", 2**30, 2**30, 8, 2, 0, 0, 0)), rows()),
            TOO_LARGE,
        ),
        "png of 4 billion frames": (lambda: png(chunk(b"acTL", struct.pack(">II", 2**32 - 1, 0)), rows()), READY),
        "png whose profile is no profile": (
            lambda: png(chunk(b"iCCP", b"k\0\0" + zlib.compress(b"x" * 1000)), rows()),
            READY,
        ),
        "png whose EXIF refers to itself": (lambda: png(chunk(b"eXIf", exif_loop()), rows()), READY),
    }
    for name, (make, outcome) in bombs.items():
        yield picture_file(name, make, outcome)


# JPEG, ITU-T T.81; EXIF is TIFF


def exif_loop() -> bytes:
    """A directory whose EXIF directory is itself, and whose next one is it, too."""
    entries = struct.pack("<HHHII", 2, 0x8769, 4, 1, 8) + struct.pack("<HHII", 0x8825, 4, 1, 8)
    return b"II*\0" + struct.pack("<I", 8) + entries + struct.pack("<I", 8)


def segment(marker: int, data: bytes) -> bytes:
    """A segment with its length."""
    return bytes([0xFF, marker]) + struct.pack(">H", len(data) + 2) + data


def jpeg_with(*segments: bytes) -> bytes:
    """A valid JPEG with segments of one's own in front."""
    return b"\xff\xd8" + b"".join(segments) + encoded("JPEG")[2:]


def jpeg_of(width: int, height: int, data: bytes | None = None) -> bytes:
    """A JPEG that claims a size."""
    data = encoded("JPEG") if data is None else data
    start = min(at for marker in (b"\xff\xc0", b"\xff\xc2") if (at := data.find(marker)) > 0)
    return data[: start + 5] + struct.pack(">HH", height, width) + data[start + 9 :]


def many_scans() -> bytes:
    """A progressive JPEG of 9000x9000 whose last scan comes 20,000 times: each goes over all coefficients again."""
    data = jpeg_of(9_000, 9_000, encoded("JPEG", progressive=True))
    last = data.rfind(b"\xff\xda")
    return data[:-2] + data[last:-2] * 20_000 + b"\xff\xd9"


def _jpeg() -> Iterator[HostileFile]:
    plain = encoded("JPEG")
    bombs = {
        "jpeg of 65535x65535": (lambda: jpeg_of(65_535, 65_535), (TOO_LARGE,)),
        "jpeg of 10000x10000 without its pixels": (lambda: jpeg_of(10_000, 10_000), (READY,)),
        "jpeg without a height": (lambda: jpeg_of(96, 0), (UNREADABLE,)),
        "jpeg of 20000 scans": (many_scans, (LIMIT,)),
        "jpeg that ends after its start": (lambda: b"\xff\xd8\xff", (UNREADABLE,)),
        "jpeg without a scan": (lambda: plain[: plain.find(b"\xff\xda")], (UNREADABLE,)),
        "jpeg without Huffman tables": (lambda: plain.replace(b"\xff\xc4", b"\xff\xef"), (UNREADABLE, READY)),
        "jpeg without quantisation": (lambda: plain.replace(b"\xff\xdb", b"\xff\xef"), (UNREADABLE,)),
        "jpeg that is lossless": (lambda: plain.replace(b"\xff\xc0", b"\xff\xc3"), (UNREADABLE,)),
        "jpeg of 12 bits": (lambda: plain.replace(b"\xff\xc0\x00\x11\x08", b"\xff\xc0\x00\x11\x0c"), (UNREADABLE,)),
        "jpeg with a segment of no length": (lambda: b"\xff\xd8\xff\xe0\x00\x00" + plain[2:], (READY,)),
        "jpeg with 20 MB of segments": (lambda: jpeg_with(segment(0xE5, bytes(65_000)) * 300), (READY,)),
        "jpeg with 300000 markers": (lambda: jpeg_with(segment(0xFE, b"") * 300_000), (READY,)),
        "jpeg whose EXIF refers to itself": (lambda: jpeg_with(segment(0xE1, b"Exif\0\0" + exif_loop())), (READY,)),
        "jpeg whose EXIF has 65535 entries": (
            lambda: jpeg_with(segment(0xE1, b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + bytes(60))),
            (READY,),
        ),
        "jpeg whose orientation is 4 billion long": (
            lambda: jpeg_with(
                segment(0xE1, b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<HHHII", 1, 0x112, 3, 2**32 - 1, 26) + bytes(8))
            ),
            (READY,),
        ),
        "jpeg with a part of a profile": (
            lambda: jpeg_with(segment(0xE2, b"ICC_PROFILE\0\xff\xff" + bytes(5_000))),
            (READY,),
        ),
        "jpeg with a profile that claims 4 GiB": (
            lambda: jpeg_with(segment(0xE2, b"ICC_PROFILE\0\x01\x01" + struct.pack(">I", 2**32 - 1) + bytes(500))),
            (READY,),
        ),
        "jpeg with an index of pictures that are not there": (
            lambda: jpeg_with(
                segment(0xE2, b"MPF\0II*\0\x08\0\0\0" + struct.pack("<HHHII", 1, 0xB001, 4, 1, 2**31) + bytes(8))
            ),
            (READY, UNREADABLE),
        ),
        "jpeg of 255 components": (
            lambda: plain.replace(b"\x08\x00\x40\x00\x60\x03", b"\x08\x00\x40\x00\x60\xff"),
            (UNREADABLE,),
        ),
    }
    for name, (make, outcomes) in bombs.items():
        yield picture_file(name, make, *outcomes)
