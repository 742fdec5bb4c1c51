"""The store over the file system and over S3: the same calls, the same answers; then what only one of them has."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from whodex.errors import ResourceExhaustedError, UnavailableError
from whodex.runtime.partial import BATCH_BYTES, PART_BYTES, PARTIAL_PREFIX, Appender
from whodex.runtime.store import ObjectStore

PARTIAL = f"{PARTIAL_PREFIX}film"
MIB = 1024 * 1024


async def _chunks(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def _keys(store: ObjectStore, prefix: str = "") -> list[str]:
    return [one.key async for one in store.list(prefix)]


async def _append(store: ObjectStore, offset: int, *chunks: bytes, writer: int = 1, sync: bool = True) -> bytes:
    """Appends as a writer of its own does; returns the digest of what it appended."""
    digest = hashlib.sha256()
    partial = store.open_partial(PARTIAL, offset=offset, writer=writer, digest=digest)
    try:
        await partial.append(chunks)
        if sync:
            await partial.sync()
    finally:
        await partial.aclose()
    return digest.digest()


async def test_what_is_put_comes_back(store):
    await store.put("library/photo", b"bytes")
    assert await store.get("library/photo") == b"bytes"
    assert await store.get_range("library/photo", 1, 2) == b"yt"
    assert await store.get_range("library/photo", 3, 99) == b"es"
    assert await store.size_bytes("library/photo") == 5


@pytest.mark.parametrize(("start", "end"), [(0, 0), (0, 3), (1, 2 * MIB + 7), (0, 9 * MIB), (9 * MIB, 9 * MIB)])
async def test_a_digest_is_fed_a_range(store, start, end):
    data = bytes(range(256)) * (9 * MIB // 256)
    await store.put("film", data)
    digest = hashlib.sha256()
    await store.feed(digest, "film", start, end)
    assert digest.digest() == hashlib.sha256(data[start:end]).digest()


async def test_what_is_put_again_replaces_what_was_there(store):
    await store.put("photo", b"first")
    await store.put("photo", b"second")
    assert await store.get("photo") == b"second"


async def test_an_empty_object_is_an_object(store):
    await store.put("empty", b"")
    assert await store.size_bytes("empty") == 0
    assert await _keys(store) == ["empty"]


async def test_a_missing_key_is_an_error_to_read_but_not_to_delete(store):
    for read in (store.get("nothing"), store.get_range("nothing", 0, 1), store.size_bytes("nothing")):
        with pytest.raises(FileNotFoundError):
            await read
    await store.delete(["nothing", f"{PARTIAL_PREFIX}nothing"])


async def test_a_stream_is_stored_whole_and_its_digest_returned(store):
    chunks = [bytes([number]) * MIB for number in range(20)]
    digest = await store.put_stream("video", _chunks(*chunks))
    assert digest == hashlib.sha256(b"".join(chunks)).digest()
    assert await _keys(store) == ["video"]
    assert await store.get("video") == b"".join(chunks)


async def test_a_stream_that_breaks_off_leaves_nothing(store):
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield bytes(MIB)
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await store.put_stream("video", chunks())
    assert await _keys(store) == []


async def test_a_stream_that_is_cancelled_leaves_nothing(store):
    waiting = asyncio.Event()

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield bytes(MIB)
        waiting.set()
        await asyncio.Event().wait()

    storing = asyncio.create_task(store.put_stream("video", chunks()))
    await waiting.wait()
    storing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await storing
    assert await _keys(store) == []


async def test_a_listing_is_limited_to_its_prefix_and_says_what_there_is(store):
    before = datetime.now(UTC) - timedelta(seconds=5)
    await store.put("a/1", b"1")
    await store.put("ab/1", b"1")
    (found,) = [one async for one in store.list("a")]
    assert (found.key, found.size_bytes) == ("a/1", 1)
    assert before < found.modify_time < datetime.now(UTC) + timedelta(seconds=5)


async def test_deleted_bytes_are_gone(store):
    await store.put("a/1", b"1")
    await store.put("a/2", b"2")
    await store.delete(["a/1"])
    assert await _keys(store) == ["a/2"]


async def test_what_is_below_a_prefix_goes(store):
    for key in ("work/a/1/scene", "work/a/2/scene", "work/ab/1/scene"):
        await store.put(key, b"1")
    await store.delete_below("work/a")
    await store.delete_below("work/nothing")
    assert await _keys(store) == ["work/ab/1/scene"]


async def test_a_store_that_is_there_passes_its_check(store):
    await store.check()


async def test_a_partial_object_grows_from_writer_to_writer(store):
    first, second, third = bytes(3 * MIB), b"2" * (PART_BYTES + MIB), b"3"
    await _append(store, 0, first, writer=1)
    digest = await _append(store, len(first), second, writer=2)
    await _append(store, len(first + second), third, writer=3)
    assert digest == hashlib.sha256(second).digest()
    await store.publish(PARTIAL, "film", len(first + second + third))
    await store.delete([PARTIAL])
    assert await _keys(store) == ["film"]
    assert await store.get("film") == first + second + third


async def test_what_a_writer_left_behind_the_next_ones_offset_does_not_count(store):
    await _append(store, 0, b"keep" + bytes(PART_BYTES), writer=1)
    await _append(store, 4 + PART_BYTES, b"lost" * 100, writer=2)
    await _append(store, 4 + PART_BYTES, b"kept", writer=3)
    await store.publish(PARTIAL, "film", 8 + PART_BYTES)
    assert await store.get("film") == b"keep" + bytes(PART_BYTES) + b"kept"


async def test_what_was_never_synced_may_be_lost_but_does_no_harm(store):
    await _append(store, 0, b"first", writer=1)
    await _append(store, 5, b"unknown", writer=2, sync=False)
    await store.publish(PARTIAL, "film", 5)
    assert await store.get("film") == b"first"


async def test_appending_goes_on_while_a_sync_runs_and_the_next_writer_begins_at_the_sync(store):
    partial = store.open_partial(PARTIAL, offset=0, writer=1, digest=hashlib.sha256())
    await partial.append([b"first"])
    syncing = asyncio.create_task(partial.sync())
    await asyncio.sleep(0)
    await partial.append([b"more"])
    await syncing
    await partial.sync()
    await partial.aclose()
    await _append(store, 5, b"other", writer=2)
    await store.publish(PARTIAL, "film", 10)
    assert await store.get("film") == b"firstother"


async def test_publishing_again_changes_nothing(store):
    await _append(store, 0, b"bytes")
    await store.publish(PARTIAL, "film", 5)
    await store.publish(PARTIAL, "film", 5)
    await store.delete([PARTIAL])
    await store.publish(PARTIAL, "film", 5)
    assert await store.get("film") == b"bytes"


async def test_a_partial_object_whose_bytes_are_gone_cannot_be_published(store):
    with pytest.raises(FileNotFoundError):
        await store.publish(PARTIAL, "film", 5)


async def test_a_partial_object_shows_in_listings_until_it_is_deleted(store):
    await _append(store, 0, b"bytes", writer=1)
    await _append(store, 5, b"bytes", writer=2)
    keys = await _keys(store)
    assert keys
    assert all(key == PARTIAL or key.startswith(f"{PARTIAL}/") for key in keys)
    await store.delete([PARTIAL])
    assert await _keys(store) == []


async def test_an_appender_writes_while_it_takes_and_never_holds_more_than_two_batches():
    class Slow:
        def __init__(self) -> None:
            self.gate = asyncio.Event()
            self.appended = 0

        async def append(self, batch) -> None:
            await self.gate.wait()
            self.appended += sum(map(len, batch))

    slow, taken = Slow(), 0
    appender = Appender(slow)

    async def feed() -> None:
        nonlocal taken
        for _ in range(64):
            await appender.add(bytes(MIB))
            taken += MIB

    feeding = asyncio.create_task(feed())
    await asyncio.sleep(0.05)
    assert BATCH_BYTES <= taken < 2 * BATCH_BYTES
    slow.gate.set()
    await feeding
    await appender.flush()
    assert slow.appended == 64 * MIB


# --- Only in the file system


def _files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file()]


async def test_only_a_local_store_has_paths_and_an_end(local_store, s3_store):
    await local_store.put("library/photo", b"bytes")
    assert local_store.local_path("library/photo").read_bytes() == b"bytes"
    assert local_store.free_bytes() > 0
    assert s3_store.local_path("library/photo") is None
    assert s3_store.free_bytes() is None


async def test_the_bytes_are_synced_and_then_their_name(local_store, tmp_path, monkeypatch):
    synced: list[Path] = []
    real_fsync = os.fsync

    def record(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink())
        real_fsync(descriptor)

    monkeypatch.setattr(os, "fsync", record)
    monkeypatch.setattr(os, "fdatasync", record)
    await local_store.put("library/photo", b"bytes")
    root = tmp_path / "objects"
    assert synced == [root / "library" / "photo", root / "library", root]


async def test_what_is_half_written_is_in_no_listing_but_goes_with_what_is_below_its_prefix(local_store, tmp_path):
    await local_store.put("work/a/1/scene", b"1")
    (tmp_path / "objects" / "work" / "a" / "1" / "face#1").write_bytes(b"half")
    assert await _keys(local_store) == ["work/a/1/scene"]
    await local_store.delete_below("work/a")
    assert not (tmp_path / "objects" / "work" / "a").exists()


async def test_what_a_killed_writer_left_is_deleted_once_it_is_old(local_store, tmp_path):
    killed = tmp_path / "objects" / "library" / "video#1"
    await local_store.put("library/photo", b"bytes")
    killed.write_bytes(b"half")
    now = datetime.now(UTC)
    assert await local_store.delete_abandoned(now - timedelta(hours=1)) == 0
    assert await local_store.delete_abandoned(now + timedelta(seconds=1)) == 1
    assert [path.name for path in _files(tmp_path)] == ["photo"]


async def test_a_store_that_cannot_be_written_says_so(local_store, tmp_path):
    (tmp_path / "objects").rmdir()
    with pytest.raises(UnavailableError, match="cannot be written"):
        await local_store.check()


@pytest.mark.parametrize("call", ["put", "put_stream", "append"])
async def test_a_full_disk_is_named_and_keeps_nothing(local_store, tmp_path, monkeypatch, call):
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fdatasync", full)
    calls = {
        "put": lambda: local_store.put("photo", b"bytes"),
        "put_stream": lambda: local_store.put_stream("photo", _chunks(b"bytes")),
        "append": lambda: _append(local_store, 0, b"bytes"),
    }
    with pytest.raises(ResourceExhaustedError, match="disk is full"):
        await calls[call]()
    await local_store.delete([PARTIAL])
    assert _files(tmp_path) == []


async def test_a_partial_file_that_is_shorter_than_its_offset_is_missing(local_store):
    await _append(local_store, 0, b"short")
    with pytest.raises(FileNotFoundError):
        await _append(local_store, 6, b"more")


# --- Only on S3


async def test_a_part_that_comes_in_late_takes_no_parts_place(s3_store):
    await _append(s3_store, 0, b"first", writer=1)
    await _append(s3_store, 5, b"new one", writer=3)
    await _append(s3_store, 5, b"old one", writer=2)
    await s3_store.publish(PARTIAL, "film", 12)
    assert await s3_store.get("film") == b"firstnew one"


async def test_a_server_that_is_away_is_unavailable():
    store = ObjectStore.from_url("s3://bucket/media", endpoint="http://127.0.0.1:9", keys=("test", "test"))
    with pytest.raises(UnavailableError):
        await store.put("photo", b"bytes")
