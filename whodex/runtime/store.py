"""The object store: media bytes under keys that the server derives. The file system locally, S3 in production."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Self

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, S3Store, from_url

from whodex.errors import UnavailableError
from whodex.v1 import error_reason_pb2

if TYPE_CHECKING:
    from obstore.store import S3Config  # it exists for type checkers alone

# The smallest part that S3 takes in a multipart upload.
_PART_BYTES = 5 * 1024 * 1024
_DELETES_AT_ONCE = 32


@dataclass(frozen=True)
class StoredObject:
    """What a listing says of a key."""

    key: str
    size_bytes: int
    modify_time: datetime


class ObjectStore:
    """Bytes under keys. A key is visible only once all of its bytes are durable.

    Every method raises `FileNotFoundError` for a key that is not there, as obstore does, and `UnavailableError`
    (STORAGE_UNAVAILABLE) when the store does not answer.
    """

    def __init__(self, store: obstore.store.ObjectStore) -> None:
        self._store = store
        # Directories whose own name is known to be durable. They are only removed when nobody writes there any more.
        self._durable_directories: set[Path] = set()

    @classmethod
    def from_url(cls, url: str, s3: S3Config | None = None) -> Self:
        """Opens `file:///directory` (made when missing) or `s3://bucket/prefix`.

        Args:
            url: which store.
            s3: its address and keys; what it does not say is taken from AWS_* variables.
        """
        if url.startswith("file://"):
            return cls(from_url(url, mkdir=True))
        if s3 is not None and s3.get("endpoint", "").startswith("http://"):
            return cls(S3Store.from_url(url, config=s3, client_options={"allow_http": True}))
        return cls(S3Store.from_url(url, config=s3))

    async def put(self, key: str, data: bytes) -> None:
        """Stores `data`; returns when it is durable."""
        await self._put(key, data)

    async def put_stream(self, key: str, chunks: AsyncIterable[bytes]) -> None:
        """Stores what the iterator yields, in constant memory. An exception of the iterator leaves nothing behind."""
        await self._put(key, aiter(chunks))

    async def _put(self, key: str, source: bytes | AsyncIterator[bytes]) -> None:
        try:
            await obstore.put_async(self._store, key, source, chunk_size=_PART_BYTES, max_concurrency=2)
        except BaseError as error:
            raise _unavailable(error) from error
        path = self.local_path(key)
        if path is not None:
            await asyncio.to_thread(self._make_durable, path)

    def _make_durable(self, path: Path) -> None:
        # The bytes first, then the name, then the name of each directory that may have been made for it.
        _fsync(path)
        _fsync(path.parent)
        for directory in path.parents:
            if directory == self._root or directory in self._durable_directories:
                return
            _fsync(directory.parent)
            self._durable_directories.add(directory)

    async def get(self, key: str) -> bytes:
        """Returns all bytes of a key."""
        try:
            result = await obstore.get_async(self._store, key)
            return bytes(await result.bytes_async())
        except BaseError as error:
            raise _unavailable(error) from error

    async def get_range(self, key: str, start: int, length: int) -> bytes:
        """Returns `length` bytes from `start` on; fewer at the end of the object."""
        try:
            return bytes(await obstore.get_range_async(self._store, key, start=start, length=length))
        except BaseError as error:
            raise _unavailable(error) from error

    async def size_bytes(self, key: str) -> int:
        """Returns the size of an object."""
        try:
            return int((await obstore.head_async(self._store, key))["size"])
        except BaseError as error:
            raise _unavailable(error) from error

    async def delete(self, keys: Sequence[str]) -> None:
        """Deletes the keys, some at a time; those that are gone already are no error."""
        for first in range(0, len(keys), _DELETES_AT_ONCE):
            await asyncio.gather(*(self._delete(key) for key in keys[first : first + _DELETES_AT_ONCE]))

    async def _delete(self, key: str) -> None:
        try:
            await obstore.delete_async(self._store, key)
        except FileNotFoundError:
            return
        except BaseError as error:
            raise _unavailable(error) from error

    async def delete_below(self, prefix: str) -> None:
        """Deletes every object below a prefix of whole path segments; locally, what is half written there as well.

        Who writes there meanwhile may fail, or leave an object behind: call it when nobody has a reason to.
        """
        if self._root is not None:
            await asyncio.to_thread(_delete_directory, self._root / prefix)
            return
        await self.delete([stored.key async for stored in self.list(prefix)])

    async def list(self, prefix: str = "") -> AsyncIterator[StoredObject]:
        """Yields every object below a prefix, which is a whole path segment or empty."""
        try:
            async for batch in obstore.list(self._store, prefix or None):
                for entry in batch:
                    yield StoredObject(entry["path"], entry["size"], entry["last_modified"])
        except BaseError as error:
            raise _unavailable(error) from error

    async def delete_abandoned(self, before: datetime) -> int:
        """Deletes what writers that were killed have left half written and no listing shows; returns how many.

        Locally only: S3 has lifecycle rules for incomplete multipart uploads.
        """
        return 0 if self._root is None else await asyncio.to_thread(_delete_abandoned, self._root, before.timestamp())

    def local_path(self, key: str) -> Path | None:
        """The file behind a key, for readers that want to seek or map it; None when the store is remote."""
        return None if self._root is None else self._root / key

    async def check(self) -> None:
        """Raises `UnavailableError` unless the store answers and, locally, can be written."""
        if self._root is not None:
            if not os.access(self._root, os.W_OK):
                raise _unavailable(f"{self._root} cannot be written")
            return
        try:
            await obstore.head_async(self._store, "whodex-store-check")
        except FileNotFoundError:
            return
        except BaseError as error:
            raise _unavailable(error) from error

    @property
    def _root(self) -> Path | None:
        return Path(str(self._store.prefix)) if isinstance(self._store, LocalStore) else None


def _delete_directory(path: Path) -> None:
    # A late writer can fill a directory between its listing and its removal: then once more.
    while path.exists():
        shutil.rmtree(path, ignore_errors=True)


def _delete_abandoned(root: Path, before: float) -> int:
    # obstore writes to KEY#1 and renames; a key of ours never has such an end.
    found = [path for path in root.rglob("*#*") if path.is_file() and path.stat().st_mtime < before]
    for path in found:
        path.unlink(missing_ok=True)
    return len(found)


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unavailable(problem: object) -> UnavailableError:
    first_line = str(problem).splitlines()[0]
    return UnavailableError(
        f"The object store does not answer: {first_line}. Try again; if it stays so, look at WHODEX_STORE_URL.",
        reason=error_reason_pb2.ERROR_REASON_STORAGE_UNAVAILABLE,
    )
