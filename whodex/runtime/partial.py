"""Objects of the store that are still being written: what is appended stays, whatever becomes of the writer."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import BinaryIO, Protocol

import obstore
from obstore.exceptions import BaseError

from whodex.errors import ResourceExhaustedError, UnavailableError
from whodex.v1 import error_reason_pb2

# Keys of partial objects. They show in listings, so that what nobody goes on with is found.
PARTIAL_PREFIX = "partial/"
# The parts of an object on S3: 50 GiB make 6,400 of them, and S3 takes 10,000 in a multipart upload.
PART_BYTES = 8 * 1024 * 1024
# What is handed to a thread at once: a few milliseconds of hashing and writing.
BATCH_BYTES = 4 * 1024 * 1024

_FULL = (errno.ENOSPC, errno.EDQUOT)


class Digest(Protocol):
    """One of hashlib's."""

    def update(self, data: bytes | memoryview, /) -> None:
        """Takes more bytes in."""


class Unhashed:
    """A digest for bytes whose own is not asked for."""

    def update(self, data: bytes | memoryview, /) -> None:
        """Does nothing."""


class PartialObject(Protocol):
    """A partial object that one writer appends to.

    Every method raises `UnavailableError` (STORAGE_UNAVAILABLE) and `ResourceExhaustedError` (STORAGE_FULL), and
    `FileNotFoundError` when the bytes before the writer's offset are gone.
    """

    async def append(self, batch: Sequence[bytes]) -> None:
        """Adds chunks, to the digest as well; the next one comes after the end of this one."""

    async def sync(self) -> None:
        """Returns when everything appended before is durable; appending may go on meanwhile."""

    async def aclose(self) -> None:
        """Lets go of it; what is durable stays."""


class LocalPartial:
    """A file that grows. Hashing and writing share a thread, which holds no lock of Python's meanwhile.

    Args:
        path: of the file; made, with its directories, by the first append.
        offset: where to go on. What another writer left behind it is cut off.
        digest: is fed what is appended.
        keep_name: makes the name of a new file durable; None: nobody will look for it.
    """

    def __init__(
        self, path: Path, offset: int, digest: Digest, keep_name: Callable[[Path], None] | None = None
    ) -> None:
        self._path = path
        self._offset = offset
        self._digest = digest
        self._keep_name = keep_name
        self._file: BinaryIO | None = None

    async def append(self, batch: Sequence[bytes]) -> None:
        """Writes and hashes."""
        await asyncio.to_thread(self.write, batch)

    async def sync(self) -> None:
        """Syncs the file."""
        await asyncio.to_thread(self.make_durable)

    async def aclose(self) -> None:
        """Closes the file."""
        self.close()

    def write(self, batch: Sequence[bytes]) -> None:
        """`append`, in the caller's thread."""
        try:
            if self._file is None:
                self._file = self._open()
            for chunk in batch:
                self._digest.update(chunk)
                self._file.write(chunk)
            self._file.flush()
        except FileNotFoundError:
            raise
        except OSError as error:
            raise storage_error(error) from error

    def make_durable(self) -> None:
        """`sync`, in the caller's thread."""
        if self._file is not None:
            try:
                os.fdatasync(self._file.fileno())
            except OSError as error:
                raise storage_error(error) from error

    def close(self) -> None:
        """Closes the file, which takes no time: there is nothing left to write."""
        if self._file is not None:
            # But for what a failed write has left, which nobody was promised.
            with contextlib.suppress(OSError):
                self._file.close()

    def _open(self) -> BinaryIO:
        if self._offset == 0:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.touch()
            if self._keep_name is not None:
                self._keep_name(self._path)
        file = self._path.open("r+b")
        if file.seek(0, os.SEEK_END) < self._offset:
            file.close()
            raise FileNotFoundError(self._path)
        file.truncate(self._offset)
        file.seek(self._offset)
        return file


class RemotePartial:
    """Parts below a key, each an object of its own: obstore has no multipart upload that outlives its process.

    Args:
        store: where the parts go.
        key: of the partial object.
        offset: where to go on.
        writer: grows from each writer of the object to the next, so that a part of an earlier one that comes in late
            takes no part's place.
        digest: is fed what is appended.
    """

    def __init__(self, store: obstore.store.ObjectStore, key: str, offset: int, writer: int, digest: Digest) -> None:
        self._store = store
        self._key = key
        self._offset = offset
        self._writer = writer
        self._digest = digest
        self._buffer: list[bytes] = []
        self._buffered_bytes = 0
        # Where a sync was asked for a part has to end, for the next writer may begin there.
        self._order = asyncio.Lock()

    async def append(self, batch: Sequence[bytes]) -> None:
        """Hashes, and stores a part as soon as there is enough for one."""
        await asyncio.to_thread(self._hash, batch)
        async with self._order:
            self._buffer += batch
            self._buffered_bytes += sum(map(len, batch))
            if self._buffered_bytes >= PART_BYTES:
                await self._store_part()

    async def sync(self) -> None:
        """Stores what is buffered, as a smaller part if need be; what is appended after the call is in the next one."""
        async with self._order:
            if self._buffered_bytes:
                await self._store_part()

    async def _store_part(self) -> None:
        try:
            await obstore.put_async(self._store, self._part_key(), b"".join(self._buffer), use_multipart=False)
        except BaseError as error:
            raise storage_error(error) from error
        self._offset += self._buffered_bytes
        self._buffer, self._buffered_bytes = [], 0

    async def aclose(self) -> None:
        """Forgets what is buffered."""
        self._buffer = []

    def _hash(self, batch: Sequence[bytes]) -> None:
        for chunk in batch:
            self._digest.update(chunk)

    def _part_key(self) -> str:
        return f"{self._key}/{self._offset:016x}-{self._writer:016x}"


async def read_parts(store: obstore.store.ObjectStore, key: str, size_bytes: int) -> AsyncIterator[bytes]:
    """Yields the bytes of a remote partial object, a part at a time.

    At each offset the newest writer's part counts: an older writer committed nothing from there on, or the newer one
    would have begun behind it.

    Raises:
        FileNotFoundError: a part is missing.
    """
    newest: dict[int, tuple[str, str, int]] = {}
    async for entries in obstore.list(store, key):
        for entry in entries:
            offset, _, writer = entry["path"].rpartition("/")[2].partition("-")
            part = (writer, entry["path"], entry["size"])
            newest[int(offset, 16)] = max(part, newest.get(int(offset, 16), part))
    position = 0
    while position < size_bytes:
        if position not in newest:
            raise FileNotFoundError(f"{key} from byte {position} on")
        _, path, part_bytes = newest[position]
        yield bytes(await (await obstore.get_async(store, path)).bytes_async())
        position += part_bytes


class Appender:
    """Appends chunk by chunk, one batch behind its source: while a batch is written, the next one comes in.

    Never more than two batches are in memory, and `add` waits when the store is slower than the source.
    """

    def __init__(self, partial: PartialObject) -> None:
        self._partial = partial
        self._batch: list[bytes] = []
        self._batch_bytes = 0
        self._running: asyncio.Task[None] | None = None

    async def add(self, chunk: bytes) -> None:
        """Takes a chunk; raises what went wrong with the chunks before it."""
        self._batch.append(chunk)
        self._batch_bytes += len(chunk)
        if self._batch_bytes >= BATCH_BYTES:
            await self._start()

    async def flush(self) -> None:
        """Returns when every chunk is appended."""
        await self._start()
        await self.settle()

    async def settle(self) -> None:
        """Returns when nothing is being written; what is not begun stays."""
        if self._running is not None:
            # Shielded: a caller that hangs up must not leave a batch half written.
            await asyncio.shield(self._running)

    async def _start(self) -> None:
        await self.settle()
        if self._batch:
            self._running = asyncio.create_task(self._partial.append(self._batch))
            self._batch, self._batch_bytes = [], 0


def fsync(path: Path) -> None:
    """Makes a file's bytes, or the names in a directory, durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def storage_error(problem: BaseException | str) -> UnavailableError | ResourceExhaustedError:
    """What a store that cannot do what it was asked means for the caller."""
    if isinstance(problem, OSError) and problem.errno in _FULL:
        return storage_full("the disk is full")
    first_line = str(problem).splitlines()[0]
    return UnavailableError(
        f"The object store does not answer: {first_line}. Try again; if it stays so, look at WHODEX_STORE_URL.",
        reason=error_reason_pb2.ERROR_REASON_STORAGE_UNAVAILABLE,
    )


def storage_full(problem: str) -> ResourceExhaustedError:
    """There is no room."""
    return ResourceExhaustedError(
        f"The object store has no room for the upload: {problem}. Delete what is not needed, or give it more room.",
        reason=error_reason_pb2.ERROR_REASON_STORAGE_FULL,
    )
