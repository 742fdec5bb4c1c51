"""Bytes on their way to the server, piece by piece: never a whole file in memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

# The contract's limit of one message's chunk.
CHUNK_BYTES = 1024 * 1024

# What can be uploaded: the path of a file, or the bytes themselves.
Source = str | os.PathLike[str] | bytes
# Called with the bytes sent so far and the bytes in all, from gRPC's sending thread.
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class OpenSource:
    """A source that can be read anywhere, by several threads.

    Attributes:
        read_at: returns bytes from an offset on, at most so many; empty at the end.
        file_name: for people; empty for bytes.
    """

    read_at: Callable[[int, int], bytes]
    file_name: str
    size_bytes: int

    def chunks(self, progress: Progress | None, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The bytes in order, 1 MiB at a time; `progress` hears of each chunk once the next one is wanted.

        Args:
            progress: see `Progress`.
            start: where to begin.
            end: where to stop; None: at the end of the file, wherever it is by then.
        """
        while chunk := self.read_at(start, CHUNK_BYTES if end is None else min(CHUNK_BYTES, end - start)):
            yield chunk
            start += len(chunk)
            if progress:
                progress(start, self.size_bytes)


@contextmanager
def open_source(source: Source, file_name: str | None) -> Iterator[OpenSource]:
    """Opens what is to be uploaded.

    Args:
        source: path or bytes.
        file_name: what the server calls the file; None: its own name.

    Raises:
        OSError: there is no such file, or it cannot be read.
    """
    if isinstance(source, bytes):
        yield OpenSource(lambda start, count: source[start : start + count], file_name or "", len(source))
        return
    path = Path(source)
    with path.open("rb") as stream:
        yield OpenSource(
            lambda start, count: os.pread(stream.fileno(), count, start),
            file_name or path.name,
            os.fstat(stream.fileno()).st_size,
        )
