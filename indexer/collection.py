"""The vectors of one collection: appended, never overwritten, so that a search needs no lock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from whodex.v1.embedding_feed_service_pb2 import CollectionKind

ID_BYTES = 16
_INITIAL_CAPACITY = 16
# Dead rows cost memory and search time. A quarter bounds both, and the constant spares small collections, where one
# person changes often, a copy per change.
_DEAD_FRACTION = 0.25
_DEAD_MINIMUM = 64


class CollectionKey(NamedTuple):
    """One library's vectors of one kind in one embedding space."""

    library: UUID
    kind: CollectionKind.ValueType
    space: str


@dataclass(frozen=True, eq=False)
class CollectionView:
    """What a collection held at one moment. Nobody changes its arrays afterwards.

    Attributes:
        vectors: float32 (rows, dimension), contiguous, of unit length.
        ids: uint8 (rows, 16), the UUID of each row.
        live: bool (rows,), False for a row that was deleted or replaced.
        live_count: how many rows are live.
    """

    vectors: NDArray[np.float32]
    ids: NDArray[np.uint8]
    live: NDArray[np.bool_]
    live_count: int

    @property
    def row_count(self) -> int:
        """How many rows there are, live and dead."""
        return len(self.vectors)

    @property
    def dimension(self) -> int:
        """The number of values of each vector."""
        return int(self.vectors.shape[1])


class Collection:
    """A mutable collection with one writer; readers take views.

    A row is written once, before any view covers it. A replaced or deleted row is only marked dead, in an array that
    each view copies. When the arrays are full, or too many rows are dead, the live rows move to new arrays and older
    views keep the old ones.

    Args:
        dimension: the number of values of each vector.
    """

    def __init__(self, dimension: int) -> None:
        self._vectors = np.empty((0, dimension), np.float32)
        self._ids = np.empty((0, ID_BYTES), np.uint8)
        self._live = np.empty(0, np.bool_)
        self._row_count = 0
        self._row_by_id: dict[bytes, int] = {}
        self._view: CollectionView | None = None

    @classmethod
    def from_rows(cls, vectors: NDArray[np.float32], ids: NDArray[np.uint8]) -> Collection:
        """Takes over a snapshot's rows without copying them; the caller gives the arrays away.

        Args:
            vectors: float32 (rows, dimension), contiguous, of unit length.
            ids: uint8 (rows, 16), each once.
        """
        collection = cls(vectors.shape[1])
        collection._vectors = vectors
        collection._ids = ids
        collection._live = np.ones(len(ids), np.bool_)
        collection._row_count = len(ids)
        collection._row_by_id = _rows_by_id(ids)
        return collection

    def __len__(self) -> int:
        return len(self._row_by_id)

    @property
    def dimension(self) -> int:
        """The number of values of each vector."""
        return int(self._vectors.shape[1])

    def upsert(self, id_: UUID, vector: NDArray[np.float32]) -> None:
        """Adds or replaces a vector; the next view holds it.

        Args:
            id_: whose vector it is.
            vector: float32 (dimension,), of unit length; copied.
        """
        self._bury(id_.bytes)
        if self._row_count == len(self._vectors):
            self._compact(capacity=max(_INITIAL_CAPACITY, 2 * len(self)))
        row = self._row_count
        self._vectors[row] = vector
        self._ids[row] = np.frombuffer(id_.bytes, np.uint8)
        self._row_by_id[id_.bytes] = row
        self._row_count += 1
        self._view = None

    def delete(self, id_: UUID) -> None:
        """Removes a vector if it is there; the next view does not hold it."""
        self._bury(id_.bytes)

    def view(self) -> CollectionView:
        """What the collection holds now; the same object until something changes."""
        if self._view is None:
            rows = self._row_count
            self._view = CollectionView(
                self._vectors[:rows], self._ids[:rows], self._live[:rows].copy(), len(self._row_by_id)
            )
        return self._view

    def _bury(self, id_bytes: bytes) -> None:
        row = self._row_by_id.pop(id_bytes, None)
        if row is None:
            return
        self._live[row] = False
        self._view = None
        dead_count = self._row_count - len(self)
        if dead_count > _DEAD_MINIMUM + _DEAD_FRACTION * self._row_count:
            self._compact(capacity=len(self) + _INITIAL_CAPACITY)

    def _compact(self, capacity: int) -> None:
        """Moves the live rows to new arrays; of unused capacity the kernel backs with memory only what is written."""
        live_rows = np.flatnonzero(self._live[: self._row_count])
        count = len(live_rows)
        vectors = np.empty((capacity, self.dimension), np.float32)
        ids = np.empty((capacity, ID_BYTES), np.uint8)
        # The rows are in range; any mode but the default writes straight into `out`.
        np.take(self._vectors, live_rows, axis=0, out=vectors[:count], mode="clip")
        np.take(self._ids, live_rows, axis=0, out=ids[:count], mode="clip")
        self._vectors, self._ids = vectors, ids
        self._live = np.ones(capacity, np.bool_)
        self._row_count = count
        self._row_by_id = _rows_by_id(ids[:count])


def _rows_by_id(ids: NDArray[np.uint8]) -> dict[bytes, int]:
    packed = ids.tobytes()
    return {packed[ID_BYTES * row : ID_BYTES * (row + 1)]: row for row in range(len(ids))}
