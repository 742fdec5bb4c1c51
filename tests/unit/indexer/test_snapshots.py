from __future__ import annotations

import contextlib
import resource
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from indexer.index import IndexImage
from indexer.snapshots import SnapshotDirectoryInUseError, SnapshotStore

ImageAt = Callable[[int], IndexImage]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SnapshotStore]:
    with SnapshotStore.opened(tmp_path / "index") as opened:
        yield opened


@pytest.fixture
def image_at(history: Any, unit_vectors: Any, index_of: Any) -> ImageAt:
    """Makes an image with this many vectors and that sequence."""

    def make(sequence: int) -> IndexImage:
        for vector in unit_vectors(sequence - history.sequence):
            history.put(uuid4(), vector)
        image: IndexImage = index_of(history).image()
        return image

    return make


def names(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "index").iterdir())


def newest_sequence(store: SnapshotStore) -> int | None:
    image = store.load_newest()
    return None if image is None else image.sequence


@contextlib.contextmanager
def full_disk() -> Iterator[None]:
    """The kernel refuses to let a file grow beyond 1000 bytes, as it does on a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_an_empty_directory_holds_no_snapshot(store: SnapshotStore) -> None:
    assert store.load_newest() is None


def test_the_newest_is_loaded_and_two_are_kept(store: SnapshotStore, image_at: ImageAt, tmp_path: Path) -> None:
    for sequence in (1, 2, 3):
        store.write(image_at(sequence))
    assert newest_sequence(store) == 3
    assert names(tmp_path) == ["lock", "snapshot-00000002", "snapshot-00000003"]


def test_a_purge_leaves_one_snapshot_and_no_damaged_one(
    store: SnapshotStore, image_at: ImageAt, tmp_path: Path
) -> None:
    store.write(image_at(1))
    store.write(image_at(2)).joinpath("vectors.bin").write_bytes(b"")
    store.load_newest()
    store.purge(image_at(3))
    assert newest_sequence(store) == 3
    assert names(tmp_path) == ["lock", "snapshot-00000003"]


def test_a_purge_writes_no_snapshot_where_there_is_none(
    store: SnapshotStore, image_at: ImageAt, tmp_path: Path
) -> None:
    store.purge(image_at(1))
    assert names(tmp_path) == ["lock"]


def test_a_purge_that_cannot_write_removes_what_there_is(
    store: SnapshotStore, image_at: ImageAt, tmp_path: Path
) -> None:
    store.write(image_at(1))
    image = image_at(50)
    with full_disk():
        store.purge(image)
    assert names(tmp_path) == ["lock"]


def test_a_corrupt_snapshot_is_set_aside_for_the_one_before(
    store: SnapshotStore, image_at: ImageAt, tmp_path: Path
) -> None:
    store.write(image_at(1))
    newest = store.write(image_at(2))
    (newest / "vectors.bin").write_bytes(b"")
    assert newest_sequence(store) == 1
    assert names(tmp_path) == ["lock", "snapshot-00000001", "snapshot-00000002.corrupt"]
    assert store.write(image_at(3)).name == "snapshot-00000003"


def test_only_the_last_corrupt_snapshot_is_kept(store: SnapshotStore, image_at: ImageAt, tmp_path: Path) -> None:
    for sequence in (1, 2):
        (store.write(image_at(sequence)) / "SHA256SUMS").unlink()
        assert store.load_newest() is None
    assert names(tmp_path) == ["lock", "snapshot-00000002.corrupt"]


def test_what_an_interrupted_write_left_is_cleared_away(image_at: ImageAt, tmp_path: Path) -> None:
    with SnapshotStore.opened(tmp_path / "index") as store:
        store.write(image_at(1))
    (tmp_path / "index" / "snapshot-00000002.unfinished").mkdir()
    (tmp_path / "index" / "snapshot-00000002.unfinished" / "vectors.bin").write_bytes(b"half")
    with SnapshotStore.opened(tmp_path / "index") as store:
        assert names(tmp_path) == ["lock", "snapshot-00000001"]
        assert newest_sequence(store) == 1


def test_a_full_disk_leaves_the_snapshots_before_as_they_are(
    store: SnapshotStore, image_at: ImageAt, tmp_path: Path
) -> None:
    store.write(image_at(1))
    image = image_at(50)
    with full_disk(), pytest.raises(OSError, match="File too large"):
        store.write(image)
    assert names(tmp_path) == ["lock", "snapshot-00000001"]
    assert newest_sequence(store) == 1


def test_two_processes_cannot_use_one_directory(store: SnapshotStore, tmp_path: Path) -> None:  # noqa: ARG001 - held open
    with pytest.raises(SnapshotDirectoryInUseError, match="another indexer"), SnapshotStore.opened(tmp_path / "index"):
        pass
