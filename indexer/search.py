"""Exact nearest neighbours by cosine similarity, with FAISS's brute-force kernels on a view's own arrays."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import faiss
import numpy as np
from numpy.typing import NDArray

from indexer.collection import CollectionView

# Below this many values in a batch of queries, FAISS takes dot products one by one; from it on it multiplies matrices,
# which pays from 4 queries of 512 values on (100,000 vectors, one thread: 4 queries 48 ms against 32 ms, 64 queries
# 756 ms against 110 ms). FAISS's own default would be 250 queries.
_BLAS_FROM_VALUES = 4 * 512
# Float32 dot products of unit vectors are true to about 1e-6 and depend on the kernel. Candidates are taken with this
# margin and decided upon by their rescored similarity.
_CANDIDATE_MARGIN = 1e-5
# So many more than asked for are candidates for the nearest, for near ties at the end and rows that are dead.
_NEAREST_SURPLUS = 16
# Rescoring gathers this many rows at a time: 8 MiB of 512 values.
_RESCORE_ROWS = 4096

faiss.cvar.distance_compute_blas_threshold = _BLAS_FROM_VALUES


class QueryLimits(NamedTuple):
    """What a query wants of its neighbours.

    Attributes:
        min_similarity: the lowest cosine similarity, inclusive, in [-1, 1].
        max_neighbors: the nearest this many; 0: all.
    """

    min_similarity: float
    max_neighbors: int


@dataclass(frozen=True, eq=False)
class Neighbors:
    """One query's neighbours, the most similar first, those of equal similarity in the order of their ids.

    Attributes:
        ids: uint8 (count, 16), their UUIDs.
        similarities: float32 (count,), cosine similarities in [-1, 1].
    """

    ids: NDArray[np.uint8]
    similarities: NDArray[np.float32]


class _Candidates(NamedTuple):
    """Pairs of a query and a row, those of one query together, in the queries' order: two int64 (count,) arrays."""

    queries: NDArray[np.int64]
    rows: NDArray[np.int64]


def search(view: CollectionView, queries: NDArray[np.float32], limits: Sequence[QueryLimits]) -> list[Neighbors]:
    """Finds each query's neighbours among the live rows of a view.

    Similarities are summed in float64, so that they do not depend on where a row lies or on which other queries are in
    the batch. They are true to 1e-5, and a neighbour is in the answer exactly if its similarity is not below the limit.

    Args:
        view: where to search.
        queries: float32 (count, dimension), contiguous, of unit length.
        limits: one per query.

    Returns:
        One per query, in their order.
    """
    results: dict[int, Neighbors] = {}
    for limit in set(limits):
        members = [number for number, one in enumerate(limits) if one == limit]
        found = _search_alike(view, np.ascontiguousarray(queries[members]), limit)
        results.update(zip(members, found, strict=True))
    return [results[number] for number in range(len(limits))]


def _search_alike(view: CollectionView, queries: NDArray[np.float32], limit: QueryLimits) -> list[Neighbors]:
    if view.live_count == 0:
        return [_ranked(view, np.empty(0, np.int64), np.empty(0, np.float32), limit)] * len(queries)
    if 0 < limit.max_neighbors < view.live_count:
        candidates = _nearest(view, queries, limit.max_neighbors)
    else:
        candidates = _all_above(view, queries, limit.min_similarity)
    similarities = _rescore(view, queries, candidates)
    bounds = np.searchsorted(candidates.queries, np.arange(len(queries) + 1))
    return [
        _ranked(view, candidates.rows[start:end], similarities[start:end], limit)
        for start, end in itertools.pairwise(bounds)
    ]


def _all_above(view: CollectionView, queries: NDArray[np.float32], min_similarity: float) -> _Candidates:
    found = faiss.RangeSearchResult(len(queries))
    faiss.range_search_inner_product(
        faiss.swig_ptr(queries),
        faiss.swig_ptr(view.vectors),
        view.dimension,
        len(queries),
        view.row_count,
        min_similarity - _CANDIDATE_MARGIN,
        found,
    )
    ends = faiss.rev_swig_ptr(found.lims, len(queries) + 1).astype(np.int64)
    rows = faiss.rev_swig_ptr(found.labels, int(ends[-1])).copy()
    owners = np.repeat(np.arange(len(queries)), np.diff(ends))
    live = view.live[rows]
    return _Candidates(owners[live], rows[live])


def _nearest(view: CollectionView, queries: NDArray[np.float32], count: int) -> _Candidates:
    """At least the `count` nearest live rows; FAISS does not know the dead ones, so it is asked for more."""
    fetched = min(count + _NEAREST_SURPLUS, view.row_count)
    rows = _nearest_rows(view, queries, fetched)
    while fetched < view.row_count and (view.live[rows].sum(axis=1) < count).any():
        fetched = min(2 * fetched, view.row_count)
        rows = _nearest_rows(view, queries, fetched)
    live = view.live[rows]
    owners = np.broadcast_to(np.arange(len(queries))[:, np.newaxis], rows.shape)
    return _Candidates(owners[live], rows[live])


def _nearest_rows(view: CollectionView, queries: NDArray[np.float32], count: int) -> NDArray[np.int64]:
    rows = np.empty((len(queries), count), np.int64)
    similarities = np.empty((len(queries), count), np.float32)
    faiss.knn_inner_product(
        faiss.swig_ptr(queries),
        faiss.swig_ptr(view.vectors),
        view.dimension,
        len(queries),
        view.row_count,
        count,
        faiss.swig_ptr(similarities),
        faiss.swig_ptr(rows),
    )
    return rows


def _rescore(view: CollectionView, queries: NDArray[np.float32], candidates: _Candidates) -> NDArray[np.float32]:
    similarities = np.empty(len(candidates.rows), np.float32)
    for start in range(0, len(similarities), _RESCORE_ROWS):
        block = slice(start, start + _RESCORE_ROWS)
        similarities[block] = np.einsum(
            "ij,ij->i", view.vectors[candidates.rows[block]], queries[candidates.queries[block]], dtype=np.float64
        )
    # Rounding can put the product of a unit vector with itself a little above 1.
    return np.clip(similarities, -1.0, 1.0)


def _ranked(
    view: CollectionView, rows: NDArray[np.int64], similarities: NDArray[np.float32], limit: QueryLimits
) -> Neighbors:
    similar = similarities >= np.float32(limit.min_similarity)
    rows, similarities = rows[similar], similarities[similar]
    ids = view.ids[rows]
    high, low = ids.view(">u8").reshape(-1, 2).T
    order = np.lexsort((low, high, -similarities))
    if limit.max_neighbors:
        order = order[: limit.max_neighbors]
    return Neighbors(ids[order], similarities[order])
