"""The store over the file system."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from whodex.errors import UnavailableError
from whodex.runtime.store import ObjectStore


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return ObjectStore.from_url(f"file://{tmp_path}/objects")


def _files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file()]


async def test_what_is_put_comes_back(store):
    await store.put("library/photo", b"bytes")
    assert await store.get("library/photo") == b"bytes"
    assert await store.get_range("library/photo", 1, 2) == b"yt"
    assert await store.get_range("library/photo", 3, 99) == b"es"
    assert store.local_path("library/photo").read_bytes() == b"bytes"


async def test_a_missing_key_is_an_error_to_read_but_not_to_delete(store):
    with pytest.raises(FileNotFoundError):
        await store.get("nothing")
    await store.delete(["nothing"])


async def test_a_stream_is_stored_whole(store):
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(12):
            yield bytes(1024 * 1024)

    await store.put_stream("video", chunks())
    assert [(one.key, one.size_bytes) async for one in store.list()] == [("video", 12 * 1024 * 1024)]


async def test_a_stream_that_breaks_off_leaves_nothing(store, tmp_path):
    async def chunks() -> AsyncIterator[bytes]:
        yield bytes(12 * 1024 * 1024)
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await store.put_stream("video", chunks())
    assert _files(tmp_path) == []


async def test_a_listing_is_limited_to_its_prefix(store):
    await store.put("a/1", b"1")
    await store.put("b/1", b"1")
    assert [one.key async for one in store.list("a")] == ["a/1"]


async def test_deleted_bytes_are_gone_from_the_disk(store, tmp_path):
    await store.put("a/1", b"1")
    await store.delete(["a/1"])
    assert _files(tmp_path) == []


async def test_what_is_below_a_prefix_goes_with_what_is_half_written_there(store, tmp_path):
    for key in ("work/a/1/scene", "work/a/2/scene", "work/ab/1/scene"):
        await store.put(key, b"1")
    (tmp_path / "objects" / "work" / "a" / "2" / "face#1").write_bytes(b"half")
    await store.delete_below("work/a")
    await store.delete_below("work/nothing")
    assert [one.key async for one in store.list()] == ["work/ab/1/scene"]
    assert not (tmp_path / "objects" / "work" / "a").exists()


async def test_bytes_are_durable_before_their_name(store, tmp_path, monkeypatch):
    synced: list[Path] = []
    real_fsync = os.fsync

    def record(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink())
        real_fsync(descriptor)

    monkeypatch.setattr(os, "fsync", record)
    await store.put("library/photo", b"bytes")
    root = tmp_path / "objects"
    assert synced == [root / "library" / "photo", root / "library", root]


async def test_a_store_that_cannot_be_written_says_so(store, tmp_path):
    (tmp_path / "objects").rmdir()
    with pytest.raises(UnavailableError, match="cannot be written"):
        await store.check()


async def test_what_a_killed_writer_left_is_deleted_once_it_is_old(store, tmp_path):
    await store.put("library/photo", b"bytes")
    half = tmp_path / "objects" / "library" / "video#1"
    half.write_bytes(b"half")
    now = datetime.now(UTC)
    assert await store.delete_abandoned(now - timedelta(hours=1)) == 0
    assert await store.delete_abandoned(now + timedelta(seconds=1)) == 1
    assert [path.name for path in _files(tmp_path)] == ["photo"]
