"""Where searches run: short ones at once, long ones in threads, so that the event loop goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self

import faiss
import numpy as np
from numpy.typing import NDArray

from indexer.collection import CollectionView
from indexer.search import Neighbors, QueryLimits, search

# A thread costs 0.2 ms to wake; a search of so many multiplications takes 0.4 ms.
_INLINE_MULTIPLICATIONS = 2_000_000
# FAISS spreads queries over threads, so that fewer than these gain nothing from more than one.
_BATCH_QUERIES = 4


class SearchPool:
    """Sizes FAISS's threads and ours together.

    Small searches run side by side, one thread each, as many as there are cores. Batches run one after the other and
    take all cores. So at most twice as many threads compute as there are cores.

    Args:
        cores: how many the process may use.
    """

    def __init__(self, cores: int) -> None:
        # OpenMP keeps the number per thread that asks: this one is for searches on the event loop.
        faiss.omp_set_num_threads(1)
        self._single = _executor("search", workers=cores, threads_each=1)
        self._batch = _executor("search-batch", workers=1, threads_each=cores)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._single.shutdown()
        self._batch.shutdown()

    async def search(
        self, view: CollectionView, queries: NDArray[np.float32], limits: Sequence[QueryLimits]
    ) -> list[Neighbors]:
        """See `indexer.search.search`."""
        if queries.size * view.row_count <= _INLINE_MULTIPLICATIONS:
            return search(view, queries, limits)
        executor = self._single if len(queries) < _BATCH_QUERIES else self._batch
        return await asyncio.get_running_loop().run_in_executor(executor, search, view, queries, limits)


def _executor(name: str, *, workers: int, threads_each: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(
        workers, thread_name_prefix=name, initializer=faiss.omp_set_num_threads, initargs=(threads_each,)
    )
