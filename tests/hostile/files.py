"""A hostile file: how it is made, and what may become of it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

READY = "READY"
"""It is decoded; what comes out is right, or as right as its damage allows."""
LIMIT = "DECODING_LIMIT_EXCEEDED"
CRASHED = "DECODER_CRASHED"


@dataclass(frozen=True)
class Bait:
    """What a hostile file names, so that it is seen when somebody follows.

    Attributes:
        path: of a file that is a good video.
        address: host:port that somebody listens at.
    """

    path: str
    address: str


@dataclass(frozen=True)
class HostileFile:
    """One file.

    Attributes:
        name: says what is wrong with it.
        is_video: whether it is given to the decoder of videos, else of pictures.
        make: gives its bytes.
        outcomes: READY or failure reasons, of which it must have one. There are several only where a damaged byte may
            or may not matter to the version of a decoder.
        duration_s: of a video that is READY, in truth.
    """

    name: str
    is_video: bool
    make: Callable[[Bait], bytes]
    outcomes: Collection[str]
    duration_s: float | None = None


def constant(data: bytes) -> Callable[[Bait], bytes]:
    """Makes a file that names nothing."""
    return lambda _: data
