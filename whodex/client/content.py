from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path

from whodex.client.connection import Connection
from whodex.client.sources import Progress
from whodex.v1.content_service_pb2 import DownloadContentRequest, DownloadContentResponse
from whodex.v1.content_service_pb2_grpc import ContentServiceStub

DOWNLOAD_SECONDS = 3600.0


class Contents:
    """The bytes behind the `Content` references of photos, scenes and best shots.

    Every method raises `whodex.errors.WhodexError`.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._stub = ContentServiceStub(connection.channel)

    def stream(
        self, name: str, *, offset: int = 0, limit: int = 0, timeout_seconds: float = DOWNLOAD_SECONDS
    ) -> Generator[DownloadContentResponse, None, None]:
        """Yields the responses in order: the first carries the content's description, each up to 1 MiB of bytes.

        Args:
            name: `libraries/{library}/contents/{content}`.
            offset: the first byte wanted.
            limit: how many bytes at most; 0: to the end.
            timeout_seconds: for the whole download.
        """
        request = DownloadContentRequest(name=name, offset=offset, limit=limit)
        return self._connection.stream(self._stub.DownloadContent, request, timeout_seconds)

    def download(self, name: str, *, offset: int = 0, limit: int = 0) -> bytes:
        """Returns the bytes; for what surely fits into memory."""
        return b"".join(response.chunk for response in self.stream(name, offset=offset, limit=limit))

    def download_to(self, name: str, path: str | os.PathLike[str], *, progress: Progress | None = None) -> None:
        """Writes the bytes to a file, which appears under its name only when it is complete.

        Args:
            name: `libraries/{library}/contents/{content}`.
            path: where to write; a file that is there is replaced.
            progress: called with the bytes received so far and the bytes in all.

        Raises:
            OSError: the file cannot be written.
        """
        target = Path(path)
        partial = target.with_name(f"{target.name}.part")
        try:
            self._write(name, partial, progress)
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)

    def _write(self, name: str, path: Path, progress: Progress | None) -> None:
        received = total = 0
        with path.open("wb") as file:
            for response in self.stream(name):
                received += file.write(response.chunk)
                total = total or response.content.size_bytes
                if progress:
                    progress(received, total)
