"""Bytes that are nowhere else, planted and searched for in every file of a state directory."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import numpy as np

from whodex.stack.state import StateDirectory

# Of the middle of a vector: Postgres cuts longer values into pieces.
_VECTOR_PIECE = slice(400, 464)


@dataclass
class Markers:
    """What is searched for: bytes that are nowhere else, by what they stand for."""

    found: dict[str, bytes] = field(default_factory=dict)

    def text(self, what: str) -> str:
        """A name that nobody else has."""
        text = f"marker-{uuid4().hex}"
        self.found[what] = text.encode()
        # The forms in which programs write text into files without a thought.
        self.found[f"{what} in UTF-16"] = text.encode("utf-16-le")
        self.found[f"{what} in hexadecimal"] = text.encode().hex().encode()
        for shift in range(3):
            # Without the first and the last characters, which depend on what is around.
            self.found[f"{what} in base64, shifted by {shift}"] = base64.b64encode(bytes(shift) + text.encode())[4:-4]
        return text

    def bytes(self, what: str, data: bytes) -> bytes:
        """Bytes of a file."""
        self.found[what] = data
        return data

    def vector(self, what: str, stored: bytes) -> None:
        """An embedding as Postgres holds it, and as the index does, which normalises it anew."""
        self.found[what] = stored[_VECTOR_PIECE]
        vector = np.frombuffer(stored, "<f4")
        normalised = (vector / np.linalg.norm(vector.astype(np.float64))).astype("<f4")
        self.found[f"{what} in the index"] = normalised.tobytes()[_VECTOR_PIECE]

    def left(self, state: StateDirectory) -> dict[str, list[str]]:
        """The files below a directory that hold a marker, by what it stands for."""
        left: dict[str, list[str]] = {}
        for path, content in _files(state.root):
            for what, marker in self.found.items():
                if content.find(marker) >= 0:
                    left.setdefault(what, []).append(path)
        return left


def with_comment(jpeg: bytes, comment: bytes) -> bytes:
    """The same picture with a comment segment right after its start (ITU-T T.81 B.2.4.5)."""
    return jpeg[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + jpeg[2:]


def _files(root: Path) -> Iterator[tuple[str, bytes]]:
    for path in root.rglob("*"):
        # Read, not mapped: Postgres cuts files off meanwhile, and to look behind their end then kills the process.
        try:
            content = path.read_bytes()
        except (FileNotFoundError, IsADirectoryError):
            continue
        yield str(path.relative_to(root)), content
