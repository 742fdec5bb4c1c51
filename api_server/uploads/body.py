"""The bytes of a client-streamed upload, checked while they pass: order, size, signature."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from typing import Any, Protocol

from api_server.limits.usage import Room
from whodex.errors import InvalidArgumentError
from whodex.runtime.pictures import SIGNATURE_BYTES
from whodex.v1 import error_reason_pb2
from whodex.v1.error_reason_pb2 import ErrorReason

# Measured: the cancellation comes within 0.4 ms of the end of the stream, with the next turn of the event loop.
_CANCELLATION_SECONDS = 0.001


class UploadMessage(Protocol):
    """A message of an upload stream: metadata first, then chunks."""

    chunk: bytes

    def HasField(self, field_name: Any, /) -> bool:  # noqa: N802 - protobuf's name
        """Whether a field is set."""
        ...


class UploadBody:
    """Yields the chunks of a stream whose first message has been read; the totals are there once it is exhausted.

    Iterating raises `InvalidArgumentError`: UPLOAD_EMPTY, UPLOAD_TOO_LARGE, UPLOAD_INCOMPLETE (a second metadata
    message, or another size than announced) or UNSUPPORTED_FORMAT; or `ResourceExhaustedError`: STORAGE_LIMIT_REACHED.
    Nothing is yielded before the signature is known to be right, and an error comes before the end, so that a store
    that streams never completes a wrong object.

    Args:
        requests: the rest of the stream.
        announced_bytes: the size that the metadata promised; 0: not known.
        max_bytes: the limit, inclusive.
        room: what the library may hold in addition.
        media_type_of: recognises the first bytes; raises UNSUPPORTED_FORMAT.
    """

    def __init__(
        self,
        requests: AsyncIterator[UploadMessage],
        *,
        announced_bytes: int,
        max_bytes: int,
        room: Room,
        media_type_of: Callable[[bytes], str],
    ) -> None:
        self._requests = requests
        self._announced_bytes = announced_bytes
        self._max_bytes = max_bytes
        self._room = room
        self._media_type_of = media_type_of
        self.size_bytes = 0
        self.media_type = ""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yields the chunks."""
        head = b""
        async for chunk in self._counted_chunks():
            if self.media_type:
                yield chunk
                continue
            head += chunk
            if len(head) >= SIGNATURE_BYTES:
                self.media_type = self._media_type_of(head)
                yield head
        self._check_size()
        if not self.media_type:
            self.media_type = self._media_type_of(head)
            yield head

    async def drain(self) -> bytes:
        """Reads and checks the rest without keeping it; returns its SHA-256."""
        digest = hashlib.sha256()
        async for chunk in self:
            await asyncio.to_thread(digest.update, chunk)
        return digest.digest()

    async def _counted_chunks(self) -> AsyncIterator[bytes]:
        async for request in self._requests:
            if not request.HasField("chunk"):
                raise upload_incomplete("a second metadata message came; send it once, first")
            # Once: each time that protobuf is asked it makes a copy.
            chunk = request.chunk
            self.size_bytes += len(chunk)
            if self.size_bytes > self._max_bytes:
                raise upload_too_large(self._max_bytes)
            self._room.require(self.size_bytes)
            yield chunk
        # A stream that its client cancelled ends like a complete one; the cancellation itself comes just after.
        await asyncio.sleep(_CANCELLATION_SECONDS)

    def _check_size(self) -> None:
        if self._announced_bytes not in (0, self.size_bytes):
            raise upload_incomplete(f"{self.size_bytes} bytes came, but {self._announced_bytes} were announced")
        if self.size_bytes == 0:
            raise upload_empty()


def upload_incomplete(problem: str) -> InvalidArgumentError:
    """The stream is not a whole upload."""
    return _invalid(f"The upload is not complete: {problem}.", error_reason_pb2.ERROR_REASON_UPLOAD_INCOMPLETE)


def upload_empty() -> InvalidArgumentError:
    """There is not one byte."""
    return _invalid("The upload holds no bytes. Is the file empty?", error_reason_pb2.ERROR_REASON_UPLOAD_EMPTY)


def upload_too_large(max_bytes: int) -> InvalidArgumentError:
    """There are more bytes than an upload may have."""
    return _invalid(
        f"The upload is larger than the limit of {max_bytes} bytes ({max_bytes >> 20} MiB).",
        error_reason_pb2.ERROR_REASON_UPLOAD_TOO_LARGE,
    )


def _invalid(message: str, reason: ErrorReason.ValueType) -> InvalidArgumentError:
    return InvalidArgumentError(message, reason=reason)
