"""Every collection, and the watermark up to which they hold every change of the feed."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Self
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from indexer.collection import Collection, CollectionKey, CollectionView
from whodex.errors import InvalidArgumentError
from whodex.runtime import embedding
from whodex.v1 import embedding_feed_service_pb2 as feed
from whodex.v1 import embedding_pb2


class FeedContractError(Exception):
    """The feed sent what its contract rules out; an index that went on would no longer equal the database."""


@dataclass(frozen=True)
class IndexImage:
    """What an index held at one moment. Nobody changes it afterwards.

    Attributes:
        epoch: the history that the sequence belongs to.
        sequence: every change up to and including this one is in it.
        collections: those that hold vectors.
    """

    epoch: UUID
    sequence: int
    collections: Mapping[CollectionKey, CollectionView]


class _Change(NamedTuple):
    sequence: int
    key: CollectionKey
    id: UUID
    vector: NDArray[np.float32] | None


class VectorIndex:
    """The mutable index of one epoch, with one writer. Readers take views or an image.

    Args:
        epoch: the history that it follows, from sequence 0 on.
    """

    def __init__(self, epoch: UUID) -> None:
        self.epoch = epoch
        self.sequence = 0
        self._collections: dict[CollectionKey, Collection] = {}
        self._dimension_by_space: dict[str, int] = {}

    @classmethod
    def from_image(cls, image: IndexImage) -> Self:
        """Goes on from an image whose rows are all live; takes its arrays over."""
        index = cls(image.epoch)
        index.sequence = image.sequence
        for key, view in image.collections.items():
            index._collections[key] = Collection.from_rows(view.vectors, view.ids)
            index._dimension_by_space[key.space] = view.dimension
        return index

    def apply(self, message: feed.StreamChangesResponse) -> None:
        """Applies a message of the feed, all of it or nothing. Changes that are in already have no effect.

        Raises:
            FeedContractError: another epoch, changes out of order, or one that cannot be read.
        """
        if read_epoch(message) != self.epoch:
            raise FeedContractError(f"the feed went on with epoch {message.watermark.epoch} after {self.epoch}")
        _check_order(message)
        changes = [_read(change) for change in message.changes if change.sequence > self.sequence]
        self._dimension_by_space = _known_dimensions(self._dimension_by_space, changes)
        for change in changes:
            self._apply(change)
        self.sequence = max(self.sequence, message.watermark.sequence)

    def dimension(self, space: str) -> int | None:
        """The dimension of a space's vectors; None as long as there never was one."""
        return self._dimension_by_space.get(space)

    def view(self, key: CollectionKey) -> CollectionView | None:
        """What a collection holds now; None if it holds nothing."""
        collection = self._collections.get(key)
        return None if collection is None else collection.view()

    def image(self) -> IndexImage:
        """What the index holds now."""
        views = {key: collection.view() for key, collection in self._collections.items()}
        return IndexImage(self.epoch, self.sequence, views)

    def _apply(self, change: _Change) -> None:
        # An id has one vector: one in a new space ends the one in the old space, which the feed does not repeat.
        for space in self._dimension_by_space:
            if change.vector is None or space != change.key.space:
                self._delete(change.key._replace(space=space), change.id)
        if change.vector is not None:
            self._upsert(change.key, change.id, change.vector)

    def _upsert(self, key: CollectionKey, id_: UUID, vector: NDArray[np.float32]) -> None:
        if key not in self._collections:
            self._collections[key] = Collection(len(vector))
        self._collections[key].upsert(id_, vector)

    def _delete(self, key: CollectionKey, id_: UUID) -> None:
        collection = self._collections.get(key)
        if collection is None:
            return
        collection.delete(id_)
        if not len(collection):
            del self._collections[key]


def read_epoch(message: feed.StreamChangesResponse) -> UUID:
    """Reads the epoch of a message's watermark.

    Raises:
        FeedContractError: it is no UUID.
    """
    try:
        return UUID(message.watermark.epoch)
    except ValueError as error:
        raise FeedContractError(f"the epoch {message.watermark.epoch!r} is no UUID") from error


def collection_key(collection: feed.Collection) -> CollectionKey:
    """Reads the message.

    Raises:
        ValueError: the library is no UUID.
    """
    return CollectionKey(UUID(collection.library), collection.kind, collection.space)


def read_vector(message: embedding_pb2.Embedding) -> NDArray[np.float32]:
    """Reads an embedding into float32 (dimension,), normalised anew.

    The contract lets lengths differ from 1 by 1e-3, similarities by 1e-5 only.

    Raises:
        InvalidArgumentError: EMBEDDING_MISMATCH, see `whodex.runtime.embedding.from_proto`.
    """
    vector = embedding.from_proto(message)
    return (vector / np.linalg.norm(vector.astype(np.float64))).astype(np.float32)


def _check_order(message: feed.StreamChangesResponse) -> None:
    sequences = [change.sequence for change in message.changes]
    for earlier, later in itertools.pairwise([0, *sequences]):
        if later <= earlier:
            raise FeedContractError(f"change {later} came after change {earlier}")
    if sequences and sequences[-1] > message.watermark.sequence:
        raise FeedContractError(f"change {sequences[-1]} came before watermark {message.watermark.sequence}")


def _read(change: feed.EmbeddingChange) -> _Change:
    try:
        key = collection_key(change.collection)
        vector = read_vector(change.embedding) if change.HasField("embedding") else None
        read = _Change(change.sequence, key, UUID(change.id), vector)
    except (InvalidArgumentError, ValueError) as error:
        raise FeedContractError(f"change {change.sequence} cannot be read: {error}") from error
    if vector is not None and change.embedding.space != key.space:
        raise FeedContractError(
            f"change {change.sequence} puts a vector of {change.embedding.space!r} among those of {key.space!r}"
        )
    return read


def _known_dimensions(known: Mapping[str, int], changes: Iterable[_Change]) -> dict[str, int]:
    dimensions = dict(known)
    for change in changes:
        if change.vector is None:
            continue
        expected = dimensions.setdefault(change.key.space, len(change.vector))
        if len(change.vector) != expected:
            raise FeedContractError(
                f"change {change.sequence} has {len(change.vector)} values, "
                f"others of {change.key.space!r} have {expected}"
            )
    return dimensions
