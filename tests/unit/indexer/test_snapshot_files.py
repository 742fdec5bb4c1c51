from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest

from indexer.index import IndexImage, VectorIndex
from indexer.snapshot_files import SnapshotInvalidError, read_snapshot, write_snapshot

FILES = ("vectors.bin", "ids.bin", "manifest.json", "SHA256SUMS")


@pytest.fixture
def image(history: Any, unit_vectors: Any, index_of: Any) -> IndexImage:
    """Two libraries, with a row that is dead."""
    vectors, first = iter(unit_vectors(6)), uuid4()
    for id_ in (first, uuid4(), uuid4(), first):
        history.put(id_, next(vectors))
    history.library = uuid4()
    history.put(uuid4(), next(vectors))
    index: VectorIndex = index_of(history)
    return index.image()


@pytest.fixture
def written(image: IndexImage, tmp_path: Path) -> Path:
    directory = tmp_path / "snapshot"
    directory.mkdir()
    write_snapshot(directory, image)
    return directory


def rows(image: IndexImage) -> dict[Any, list[tuple[bytes, bytes]]]:
    return {
        key: sorted((view.ids[row].tobytes(), view.vectors[row].tobytes()) for row in np.flatnonzero(view.live))
        for key, view in image.collections.items()
    }


def test_what_is_read_is_what_was_written(image: IndexImage, written: Path) -> None:
    read = read_snapshot(written)
    assert (read.epoch, read.sequence) == (image.epoch, image.sequence)
    assert rows(read) == rows(image)
    assert all(view.live.all() for view in read.collections.values())


def test_an_empty_index_has_a_snapshot_too(tmp_path: Path) -> None:
    image = VectorIndex(uuid4()).image()
    write_snapshot(tmp_path, image)
    assert read_snapshot(tmp_path) == image


def test_a_deleted_vector_is_in_no_file(history: Any, unit_vectors: Any, index_of: Any, tmp_path: Path) -> None:
    ids, vectors = [uuid4(), uuid4()], unit_vectors(2)
    for id_, vector in zip(ids, vectors, strict=True):
        history.put(id_, vector)
    index, seen = index_of(history), history.sequence
    history.remove(ids[0])
    index.apply(history.message(seen))
    write_snapshot(tmp_path, index.image())
    everything = b"".join((tmp_path / name).read_bytes() for name in FILES)
    assert ids[1].bytes in everything
    assert ids[0].bytes not in everything
    assert vectors[0].tobytes() not in everything


def test_operators_can_check_a_snapshot_with_sha256sum(written: Path) -> None:
    subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=written, check=True, capture_output=True)  # noqa: S607


def _mutations(content: bytes) -> Iterator[bytes]:
    """Every byte with one bit flipped, every shorter length, and one byte more."""
    for position in range(len(content)):
        flipped = content[position] ^ (1 << position % 8)
        yield content[:position] + bytes([flipped]) + content[position + 1 :]
        yield content[:position]
    yield content + b"\n"


@pytest.mark.parametrize("name", FILES)
def test_every_damage_to_a_file_is_detected(name: str, written: Path) -> None:
    path = written / name
    content = path.read_bytes()
    for mutation in _mutations(content):
        path.write_bytes(mutation)
        with pytest.raises(SnapshotInvalidError):
            read_snapshot(written)
    path.write_bytes(content)
    read_snapshot(written)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_detected(name: str, written: Path) -> None:
    (written / name).unlink()
    with pytest.raises(SnapshotInvalidError):
        read_snapshot(written)


@pytest.mark.parametrize(
    "manifest",
    ['{"format": 2}', "[]", '{"format": 1, "epoch": "today", "sequence": 0, "collections": []}'],
)
def test_another_format_is_refused_although_its_checksums_are_right(manifest: str, written: Path) -> None:
    (written / "manifest.json").write_text(manifest)
    names = ("vectors.bin", "ids.bin", "manifest.json")
    digests = {name: hashlib.sha256((written / name).read_bytes()).hexdigest() for name in names}
    (written / "SHA256SUMS").write_text("".join(f"{digest}  {name}\n" for name, digest in digests.items()))
    with pytest.raises(SnapshotInvalidError):
        read_snapshot(written)


def test_files_of_another_snapshot_do_not_pass_for_this_ones(image: IndexImage, written: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    write_snapshot(other, IndexImage(image.epoch, image.sequence + 1, image.collections))
    shutil.copy(other / "manifest.json", written / "manifest.json")
    with pytest.raises(SnapshotInvalidError):
        read_snapshot(written)
