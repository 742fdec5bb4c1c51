"""Memory that a worker shares with a decoder; the worker makes it, and a decoder can neither resize nor replace it."""

from __future__ import annotations

import fcntl
import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import numpy as np
from numpy.typing import NDArray

from inference.faces.decode import MAX_PIXELS
from inference.video.probe import MAX_FRAME_PIXELS

CHANNELS: Final = 3
PHOTO_AREA_BYTES: Final = 64 * 2**20
"""Twice the largest picture that comes out of `decode_image`, 3199x3199."""
FULL_SIZE_AREA_BYTES: Final = CHANNELS * MAX_PIXELS
"""The largest picture that is decoded."""
MIN_SLOTS: Final = 2
"""One is filled while the other is copied."""
VIDEO_AREA_BYTES: Final = MIN_SLOTS * CHANNELS * MAX_FRAME_PIXELS
MAX_SLOTS: Final = 16
"""Two batches of the detector; a decoder that is further ahead only waits."""

_SIZE_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW


@contextmanager
def opened_bytes(data: bytes) -> Iterator[int]:
    """Yields a descriptor that holds the bytes and that nobody can change."""
    with _opened("input") as descriptor:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _SIZE_SEALS | fcntl.F_SEAL_WRITE)
        yield descriptor


@contextmanager
def opened_area(size_bytes: int) -> Iterator[int]:
    """Yields a descriptor of zeros to be mapped and written; its pages take memory once they are touched."""
    with _opened("output") as descriptor:
        os.ftruncate(descriptor, size_bytes)
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _SIZE_SEALS)
        yield descriptor


def map_for_reading(descriptor: int, size_bytes: int) -> mmap.mmap:
    """Maps the first bytes of an area; what is made of the map keeps it open."""
    return mmap.mmap(descriptor, size_bytes, prot=mmap.PROT_READ)


def picture_at(pages: mmap.mmap, offset: int, height: int, width: int) -> NDArray[np.uint8]:
    """The picture in a map, uint8 (height, width, 3), without a copy."""
    return np.ndarray((height, width, CHANNELS), np.uint8, pages, offset)


def frame_bytes(width: int, height: int) -> int:
    """The size of one frame of a video, and of one slot."""
    return width * height * CHANNELS


def slot_count(width: int, height: int) -> int:
    """How many frames of a video the area holds; at least `MIN_SLOTS` of those that are accepted."""
    return min(MAX_SLOTS, VIDEO_AREA_BYTES // frame_bytes(width, height))


@contextmanager
def _opened(name: str) -> Iterator[int]:
    descriptor = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
