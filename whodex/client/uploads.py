"""Bytes on their way to the server, piece by piece: never a whole file in memory."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

# The contract's limit of one message's chunk.
CHUNK_BYTES = 1024 * 1024

# What can be uploaded: the path of a file, or the bytes themselves.
Source = str | os.PathLike[str] | bytes
# Called with the bytes sent so far and the bytes in all, from gRPC's sending thread.
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Upload:
    """An open source.

    Attributes:
        stream: stands at the first byte.
        file_name: for people; empty for bytes.
    """

    stream: BinaryIO
    file_name: str
    size_bytes: int

    def chunks(self, progress: Progress | None) -> Iterator[bytes]:
        """The bytes in order, 1 MiB at a time; `progress` hears of each chunk once the next one is wanted."""
        sent = 0
        while chunk := self.stream.read(CHUNK_BYTES):
            yield chunk
            sent += len(chunk)
            if progress:
                progress(sent, self.size_bytes)


@contextmanager
def open_source(source: Source, file_name: str | None) -> Iterator[Upload]:
    """Opens what is to be uploaded.

    Args:
        source: path or bytes.
        file_name: what the server calls the file; None: its own name.

    Raises:
        OSError: there is no such file, or it cannot be read.
    """
    if isinstance(source, bytes):
        yield Upload(io.BytesIO(source), file_name or "", len(source))
        return
    path = Path(source)
    with path.open("rb") as stream:
        yield Upload(stream, file_name or path.name, os.fstat(stream.fileno()).st_size)
