"""The object store: media bytes under keys that the server derives. The file system locally, S3 in production."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import shutil
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Self
from uuid import uuid4

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, S3Store, from_url

from whodex.errors import WhodexError
from whodex.runtime.partial import (
    BATCH_BYTES,
    PART_BYTES,
    PARTIAL_PREFIX,
    Appender,
    Digest,
    LocalPartial,
    PartialObject,
    RemotePartial,
    Unhashed,
    fsync,
    read_parts,
    storage_error,
)

if TYPE_CHECKING:
    from obstore.store import ClientConfig, S3Config  # they exist for type checkers alone

_DELETES_AT_ONCE = 32
_FEED_BYTES = 1024 * 1024


@dataclass(frozen=True)
class StoredObject:
    """What a listing says of a key."""

    key: str
    size_bytes: int
    modify_time: datetime


class ObjectStore:
    """Bytes under keys. A key shows only with all of its bytes, and a call that stores some ends once they are durable.

    Every method raises `FileNotFoundError` for a key that is not there, as obstore does, `UnavailableError`
    (STORAGE_UNAVAILABLE) when the store does not answer, and `ResourceExhaustedError` (STORAGE_FULL) when it is full.
    """

    def __init__(self, store: obstore.store.ObjectStore) -> None:
        self._store = store
        # Directories whose own name is known to be durable. They are only removed when nobody writes there any more.
        self._durable_directories: set[Path] = set()

    @classmethod
    def from_url(cls, url: str, *, endpoint: str | None = None, keys: tuple[str, str] | None = None) -> Self:
        """Opens `file:///directory` (made when missing) or `s3://bucket/prefix`.

        Args:
            url: which store.
            endpoint: URL of the S3 server.
            keys: of S3: the access key's id and its secret. What is not given is taken from AWS_* variables.
        """
        if url.startswith("file://"):
            return cls(from_url(url, mkdir=True))
        if endpoint is None and keys is None:
            return cls(from_url(url))
        s3: S3Config = {"endpoint": endpoint} if endpoint else {}
        if keys is not None:
            s3["access_key_id"], s3["secret_access_key"] = keys
        options: ClientConfig = {"allow_http": True} if endpoint and endpoint.startswith("http://") else {}
        return cls(S3Store.from_url(url, config=s3, client_options=options))

    async def put(self, key: str, data: bytes) -> None:
        """Stores `data`; returns when it is durable."""
        if self._root is not None:
            await asyncio.to_thread(self._put_locally, key, [data], Unhashed())
            return
        try:
            await obstore.put_async(self._store, key, data, chunk_size=PART_BYTES)
        except BaseError as error:
            raise storage_error(error) from error

    async def put_stream(self, key: str, chunks: AsyncIterable[bytes]) -> bytes:
        """Stores what the iterator yields, in constant memory; an exception of the iterator leaves nothing behind.

        Returns:
            The SHA-256 of it.
        """
        digest = hashlib.sha256()
        if self._root is None:
            await self._put_remotely(key, _hashed(chunks, digest))
            return digest.digest()
        source = aiter(chunks)
        first, is_all = await _first_batch(source)
        if is_all:
            # A photo is: one thread does it all, for enrolling is the hot path.
            await asyncio.to_thread(self._put_locally, key, first, digest)
        else:
            await self._stream_locally(key, first, source, digest)
        return digest.digest()

    async def _put_remotely(self, key: str, chunks: AsyncIterator[bytes]) -> None:
        try:
            await obstore.put_async(self._store, key, chunks, chunk_size=PART_BYTES, max_concurrency=2)
        except BaseError as error:
            raise storage_error(error) from error

    async def _stream_locally(
        self, key: str, first: Sequence[bytes], rest: AsyncIterator[bytes], digest: Digest
    ) -> None:
        temporary = _half_written(key)
        partial = LocalPartial(self._path(temporary), 0, digest)
        appender = Appender(partial)
        try:
            for chunk in first:
                await appender.add(chunk)
            async for chunk in rest:
                await appender.add(chunk)
            await appender.flush()
            await partial.sync()
            await asyncio.to_thread(self._rename, temporary, key)
            await asyncio.to_thread(self._keep_name, self._path(key))
        except BaseException:
            with contextlib.suppress(WhodexError):
                await appender.settle()
            self._path(temporary).unlink(missing_ok=True)
            raise
        finally:
            await partial.aclose()

    def _put_locally(self, key: str, chunks: Sequence[bytes], digest: Digest) -> None:
        temporary = _half_written(key)
        partial = LocalPartial(self._path(temporary), 0, digest)
        try:
            partial.write(chunks)
            # The name before the sync, which then waits for the file system's journal once and not twice. Nobody knows
            # the key before this returns.
            self._rename(temporary, key)
            partial.make_durable()
            self._keep_name(self._path(key))
        except BaseException:
            for path in (temporary, key):
                self._path(path).unlink(missing_ok=True)
            raise
        finally:
            partial.close()

    def _rename(self, source: str, key: str) -> None:
        """Gives written bytes their name."""
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path(source).rename(path)

    def _keep_name(self, path: Path) -> None:
        """Makes the name of a file durable, with each directory that was made for it."""
        fsync(path.parent)
        for directory in path.parents:
            if directory == self._root or directory in self._durable_directories:
                return
            fsync(directory.parent)
            self._durable_directories.add(directory)

    def open_partial(self, key: str, *, offset: int, writer: int, digest: Digest) -> PartialObject:
        """Opens a partial object to append to.

        Args:
            key: below `PARTIAL_PREFIX`.
            offset: where to go on; 0 makes a new one. Bytes of an earlier writer from here on are dropped.
            writer: grows from each writer of the object to the next.
            digest: is fed what is appended.
        """
        if self._root is not None:
            return LocalPartial(self._path(key), offset, digest, self._keep_name)
        return RemotePartial(self._store, key, offset, writer, digest)

    async def publish(self, partial_key: str, key: str, size_bytes: int) -> None:
        """Makes an object of a partial one whose bytes are durable. A second time it changes nothing.

        Locally the file gets another name. On S3 the parts are read and written once more, in constant memory; they
        stay until `delete`.

        Args:
            partial_key: below `PARTIAL_PREFIX`.
            key: of the object.
            size_bytes: how many bytes there are; those of a broken writer behind them are left out.

        Raises:
            FileNotFoundError: the bytes are gone.
        """
        if self._root is not None:
            await asyncio.to_thread(self._publish_locally, partial_key, key, size_bytes)
        elif not await self._is_stored(key, size_bytes):
            await self._put_remotely(key, read_parts(self._store, partial_key, size_bytes))

    def _publish_locally(self, partial_key: str, key: str, size_bytes: int) -> None:
        partial, path = self._path(partial_key), self._path(key)
        if not partial.exists() and path.exists():
            return
        try:
            if partial.stat().st_size > size_bytes:
                os.truncate(partial, size_bytes)
            self._rename(partial_key, key)
            self._keep_name(path)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise storage_error(error) from error

    async def _is_stored(self, key: str, size_bytes: int) -> bool:
        try:
            return await self.size_bytes(key) == size_bytes
        except FileNotFoundError:
            return False

    async def get(self, key: str) -> bytes:
        """Returns all bytes of a key."""
        try:
            result = await obstore.get_async(self._store, key)
            return bytes(await result.bytes_async())
        except BaseError as error:
            raise storage_error(error) from error

    async def get_range(self, key: str, start: int, length: int) -> bytes:
        """Returns `length` bytes from `start` on; fewer at the end of the object."""
        try:
            return bytes(await obstore.get_range_async(self._store, key, start=start, length=length))
        except BaseError as error:
            raise storage_error(error) from error

    async def feed(self, digest: Digest, key: str, start: int, end: int) -> None:
        """Feeds the bytes from `start` to `end` of an object to a digest, in constant memory."""
        if self._root is not None:
            await asyncio.to_thread(_feed_file, digest, self._path(key), start, end)
            return
        for position in range(start, end, PART_BYTES):
            data = await self.get_range(key, position, min(PART_BYTES, end - position))
            await asyncio.to_thread(digest.update, data)

    async def size_bytes(self, key: str) -> int:
        """Returns the size of an object."""
        try:
            return int((await obstore.head_async(self._store, key))["size"])
        except BaseError as error:
            raise storage_error(error) from error

    async def delete(self, keys: Sequence[str]) -> None:
        """Deletes the keys, some at a time, partial objects whole; those that are gone already are no error."""
        for first in range(0, len(keys), _DELETES_AT_ONCE):
            await asyncio.gather(*(self._delete(key) for key in keys[first : first + _DELETES_AT_ONCE]))

    async def _delete(self, key: str) -> None:
        if self._root is None and key.startswith(PARTIAL_PREFIX):
            async for part in self.list(key):
                await self._delete_one(part.key)
        await self._delete_one(key)

    async def _delete_one(self, key: str) -> None:
        try:
            await obstore.delete_async(self._store, key)
        except FileNotFoundError:
            return
        except BaseError as error:
            raise storage_error(error) from error

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
            raise storage_error(error) from error

    async def delete_abandoned(self, before: datetime) -> int:
        """Deletes what writers that were killed have left half written and no listing shows; returns how many.

        Locally only: S3 has lifecycle rules for incomplete multipart uploads.
        """
        return 0 if self._root is None else await asyncio.to_thread(_delete_abandoned, self._root, before.timestamp())

    def local_path(self, key: str) -> Path | None:
        """The file behind a key, for readers that want to seek or map it; None when the store is remote."""
        return None if self._root is None else self._path(key)

    def free_bytes(self) -> int | None:
        """The room that is left; None when the store is remote, which has no end that it tells of."""
        return None if self._root is None else shutil.disk_usage(self._root).free

    async def check(self) -> None:
        """Raises `UnavailableError` unless the store answers and, locally, can be written."""
        if self._root is not None:
            if not os.access(self._root, os.W_OK):
                raise storage_error(f"{self._root} cannot be written")
            return
        try:
            await obstore.head_async(self._store, "whodex-store-check")
        except FileNotFoundError:
            return
        except BaseError as error:
            raise storage_error(error) from error

    def _path(self, key: str) -> Path:
        if self._root is None:
            raise TypeError("a remote store has no paths")
        return self._root / key

    @property
    def _root(self) -> Path | None:
        return Path(str(self._store.prefix)) if isinstance(self._store, LocalStore) else None


async def _hashed(chunks: AsyncIterable[bytes], digest: Digest) -> AsyncIterator[bytes]:
    async for chunk in chunks:
        await asyncio.to_thread(digest.update, chunk)
        yield chunk


def _feed_file(digest: Digest, path: Path, start: int, end: int) -> None:
    # One buffer: to allocate one for each piece left 70 MB of fragments behind after some GB.
    buffer = memoryview(bytearray(_FEED_BYTES))
    with path.open("rb", buffering=0) as file:
        file.seek(start)
        while start < end and (count := file.readinto(buffer[: end - start])):
            digest.update(buffer[:count])
            start += count


async def _first_batch(chunks: AsyncIterator[bytes]) -> tuple[list[bytes], bool]:
    """The first chunks, a batch of them at most, and whether there are no more."""
    first: list[bytes] = []
    async for chunk in chunks:
        first.append(chunk)
        if sum(map(len, first)) >= BATCH_BYTES:
            return first, False
    return first, True


def _half_written(key: str) -> str:
    # In the way of obstore's local store, whose listings leave such names out; a key of ours never has such an end.
    return f"{key}#{uuid4().int}"


def _delete_directory(path: Path) -> None:
    # A late writer can fill a directory between its listing and its removal: then once more.
    while path.exists():
        shutil.rmtree(path, ignore_errors=True)


def _delete_abandoned(root: Path, before: float) -> int:
    found = [path for path in root.rglob("*#*") if path.is_file() and path.stat().st_mtime < before]
    for path in found:
        path.unlink(missing_ok=True)
    return len(found)
