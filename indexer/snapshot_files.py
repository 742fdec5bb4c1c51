"""The files of one snapshot: written once, read with every byte checked.

`vectors.bin` (float32, little-endian) and `ids.bin` (16 bytes each) hold the collections one after the other.
`manifest.json` names the watermark and says which collections they are and how large. `SHA256SUMS` comes last and
holds the digests of the three, as `sha256sum --check` reads it.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, cast
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from indexer.collection import ID_BYTES, CollectionKey, CollectionView
from indexer.index import IndexImage
from whodex.v1.embedding_feed_service_pb2 import CollectionKind

_FORMAT = 1
_VECTORS = "vectors.bin"
_IDS = "ids.bin"
_MANIFEST = "manifest.json"
_CHECKSUMS = "SHA256SUMS"
_CHECKSUMS_PATTERN = re.compile(
    "".join(f"([0-9a-f]{{64}})  {re.escape(name)}\n" for name in (_VECTORS, _IDS, _MANIFEST))
)
# Dead rows are left out while writing, which copies so many rows at a time: 8 MiB of 512 values.
_BLOCK_ROWS = 4096


class SnapshotInvalidError(Exception):
    """The files are not what was written: damaged, cut off, of another format or of something else."""


class _CollectionEntry(BaseModel):
    model_config = ConfigDict(extra="forbid")

    library: UUID
    kind: int
    space: str
    dimension: int = Field(ge=1)
    count: int = Field(ge=1)


class _Manifest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    format: int = Field(ge=_FORMAT, le=_FORMAT)
    epoch: UUID
    sequence: int = Field(ge=0)
    collections: list[_CollectionEntry]


def write_snapshot(directory: Path, image: IndexImage) -> None:
    """Writes an image's live rows into an empty directory and returns when the files are durable.

    The directory's own entry is the caller's to make durable.
    """
    views = image.collections.values()
    checksums = (
        (_write(directory / _VECTORS, _blocks((view.vectors, view.live) for view in views)), _VECTORS),
        (_write(directory / _IDS, _blocks((view.ids, view.live) for view in views)), _IDS),
        (_write(directory / _MANIFEST, [_manifest(image).model_dump_json(indent=1).encode()]), _MANIFEST),
    )
    text = "".join(f"{digest}  {name}\n" for digest, name in checksums)
    _write(directory / _CHECKSUMS, [text.encode()])


def read_snapshot(directory: Path) -> IndexImage:
    """Reads what `write_snapshot` wrote.

    Raises:
        SnapshotInvalidError: a file is missing, or any byte of any file differs.
    """
    try:
        return _read(directory)
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:
        raise SnapshotInvalidError(f"{directory.name}: {error}") from error


def _read(directory: Path) -> IndexImage:
    checksums = _CHECKSUMS_PATTERN.fullmatch((directory / _CHECKSUMS).read_text("ascii"))
    if checksums is None:
        raise SnapshotInvalidError(f"{directory.name}: {_CHECKSUMS} is not one of ours")
    vectors_digest, ids_digest, manifest_digest = checksums.groups()
    manifest_json = (directory / _MANIFEST).read_bytes()
    if hashlib.sha256(manifest_json).hexdigest() != manifest_digest:
        raise SnapshotInvalidError(f"{directory.name}: {_MANIFEST} is damaged")
    # Only now are the sizes to be trusted.
    manifest = _Manifest.model_validate_json(manifest_json)
    entries = manifest.collections
    vectors = [np.empty((entry.count, entry.dimension), "<f4") for entry in entries]
    ids = [np.empty((entry.count, ID_BYTES), np.uint8) for entry in entries]
    _fill(directory / _VECTORS, vectors, vectors_digest)
    _fill(directory / _IDS, ids, ids_digest)
    views = map(_view, vectors, ids)
    return IndexImage(manifest.epoch, manifest.sequence, dict(zip(map(_key, entries), views, strict=True)))


def _manifest(image: IndexImage) -> _Manifest:
    return _Manifest(
        format=_FORMAT,
        epoch=image.epoch,
        sequence=image.sequence,
        collections=[
            _CollectionEntry(
                library=key.library, kind=key.kind, space=key.space, dimension=view.dimension, count=view.live_count
            )
            for key, view in image.collections.items()
        ],
    )


def _blocks(arrays: Iterable[tuple[NDArray[np.generic], NDArray[np.bool_]]]) -> Iterator[bytes]:
    for rows, live in arrays:
        for start in range(0, len(rows), _BLOCK_ROWS):
            block = slice(start, start + _BLOCK_ROWS)
            yield rows[block][live[block]].tobytes()


def _write(path: Path, blocks: Iterable[bytes]) -> str:
    """Writes a new file durably; returns its SHA-256 in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("xb") as file:
        for block in blocks:
            file.write(block)
            digest.update(block)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()


def _fill(path: Path, arrays: Iterable[NDArray[np.generic]], expected_digest: str) -> None:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for array in arrays:
            _read_exactly(file, array)
            digest.update(array.data)
        if file.read(1):
            raise SnapshotInvalidError(f"{path.parent.name}: {path.name} is too long")
    if digest.hexdigest() != expected_digest:
        raise SnapshotInvalidError(f"{path.parent.name}: {path.name} is damaged")


def _read_exactly(file: BinaryIO, array: NDArray[np.generic]) -> None:
    if file.readinto(array.data.cast("B")) != array.nbytes:  # type: ignore[attr-defined]
        raise SnapshotInvalidError(f"{Path(file.name).parent.name}: {Path(file.name).name} is cut off")


def _view(vectors: NDArray[np.float32], ids: NDArray[np.uint8]) -> CollectionView:
    return CollectionView(vectors, ids, np.ones(len(ids), np.bool_), len(ids))


def _key(entry: _CollectionEntry) -> CollectionKey:
    return CollectionKey(entry.library, cast("CollectionKind.ValueType", entry.kind), entry.space)
