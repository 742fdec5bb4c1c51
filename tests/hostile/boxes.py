"""Boxes of the ISO base media file format (ISO/IEC 14496-12 4.2), taken apart and put together again."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

CONTAINERS = frozenset(
    {b"moov", b"trak", b"mdia", b"minf", b"stbl", b"dinf", b"edts", b"moof", b"traf", b"mvex", b"udta"}
)
_HEADER_BYTES = 8


@dataclass
class Box:
    """A box: its payload, or the boxes in it."""

    kind: bytes
    payload: bytes = b""
    children: list[Box] = field(default_factory=list)

    def serialise(self) -> bytes:
        """The box as bytes, with the right size."""
        return box(self.kind, self.payload + b"".join(child.serialise() for child in self.children))


def box(kind: bytes, payload: bytes = b"", size: int | None = None) -> bytes:
    """A box as bytes; its size may be a lie."""
    return struct.pack(">I", _HEADER_BYTES + len(payload) if size is None else size) + kind + payload


def full_box(kind: bytes, payload: bytes = b"", flags: int = 0) -> bytes:
    """A box with version 0 and flags."""
    return box(kind, struct.pack(">I", flags) + payload)


def parse(data: bytes) -> list[Box]:
    """Takes the boxes of a well-formed file apart."""
    boxes = []
    while data:
        size, kind = struct.unpack_from(">I4s", data)
        payload, data = data[_HEADER_BYTES:size], data[size:]
        boxes.append(Box(kind, children=parse(payload)) if kind in CONTAINERS else Box(kind, payload))
    return boxes


def find(boxes: list[Box], kind: bytes) -> Box:
    """The first box of a kind, wherever it is."""
    return next(one for one in _all(boxes) if one.kind == kind)


def _all(boxes: list[Box]) -> Iterator[Box]:
    for one in boxes:
        yield one
        yield from _all(one.children)


def edited(data: bytes, kind: bytes, edit: Callable[[bytes], bytes]) -> bytes:
    """A file with another payload in the first box of a kind.

    The index must lie behind the frames, so that their places stay as they are.
    """
    boxes = parse(data)
    found = find(boxes, kind)
    found.payload = edit(found.payload)
    return b"".join(one.serialise() for one in boxes)


def patched(at: int, values: bytes) -> Callable[[bytes], bytes]:
    """An edit that overwrites some bytes of a payload."""
    return lambda payload: payload[:at] + values + payload[at + len(values) :]
