"""ICC profiles for the tests, written by hand: no file on a machine can be relied on, and Little CMS makes only sRGB.

The layout is that of ICC.1:2001-04, version 2 of the format.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

D50_XYZ = (0.9642, 1.0, 0.8249)
DISPLAY_P3_XYZ = ((0.5151, 0.2412, -0.0011), (0.2920, 0.6922, 0.0419), (0.1571, 0.0666, 0.7841))
"""The colours of red, green and blue, adapted to D50."""
INK_GAMMA = 0.7
CMYK_GRID = 9


def rgb_profile(gamma: float = 2.2) -> bytes:
    """Display P3's colours; its curve is near the gamma of 2.2."""
    curves = dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), _curve(gamma))
    colours = dict(zip((b"rXYZ", b"gXYZ", b"bXYZ"), map(_xyz, DISPLAY_P3_XYZ), strict=True))
    return _profile(b"mntr", b"RGB ", b"XYZ ", curves | colours)


def grey_profile(gamma: float) -> bytes:
    """Grey with a gamma."""
    return _profile(b"mntr", b"GRAY", b"XYZ ", {b"kTRC": _curve(gamma)})


def cmyk_profile() -> bytes:
    """Inks of which the complement is too dark: raised to `INK_GAMMA` it is sRGB."""
    steps = np.linspace(0, 1, CMYK_GRID)
    inks = np.stack(np.meshgrid(steps, steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 4)
    rgb = ((1 - inks[:, :3]) * (1 - inks[:, 3:])) ** INK_GAMMA
    return _profile(b"prtr", b"CMYK", b"Lab ", {b"A2B0": _lut8(_to_lab(rgb))})


def _to_lab(rgb: NDArray[np.float64]) -> bytes:
    pixels = Image.fromarray((rgb[None] * 255).round().astype(np.uint8))
    lab = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
    # Pillow holds a and b as signed bytes, the profile with 128 for zero.
    signed = np.frombuffer(lab.apply(pixels).tobytes(), np.uint8).reshape(-1, 3)
    return (signed ^ np.array([0, 128, 128], np.uint8)).tobytes()


def _lut8(nodes: bytes) -> bytes:
    """4 inputs, 3 outputs, curves that change nothing."""
    identity = struct.pack(">9i", *(65536 if at in (0, 4, 8) else 0 for at in range(9)))
    curves = bytes(range(256))
    return b"mft1" + bytes(4) + bytes([4, 3, CMYK_GRID, 0]) + identity + 4 * curves + nodes + 3 * curves


def _curve(gamma: float) -> bytes:
    return b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256))


def _xyz(values: tuple[float, float, float]) -> bytes:
    return b"XYZ " + bytes(4) + _fixed(values)


def _fixed(values: tuple[float, float, float]) -> bytes:
    return struct.pack(">3i", *(round(value * 65536) for value in values))


def _profile(device: bytes, space: bytes, connection: bytes, tags: Mapping[bytes, bytes]) -> bytes:
    tags = {b"wtpt": _xyz(D50_XYZ), **tags}
    offset = 128 + 4 + 12 * len(tags)
    table, body = struct.pack(">I", len(tags)), b""
    for name, value in tags.items():
        table += name + struct.pack(">II", offset + len(body), len(value))
        body += value + bytes(-len(value) % 4)
    size, version = offset + len(body), 0x02400000
    kind = struct.pack(">I4xI4s4s4s12x4s28x", size, version, device, space, connection, b"acsp")
    return (kind + _fixed(D50_XYZ)).ljust(128, b"\0") + table + body
