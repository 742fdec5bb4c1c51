from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import numpy as np
import pytest

from indexer.collection import Collection, CollectionView
from indexer.search import QueryLimits, search
from indexer.search_pool import SearchPool

LIMIT = QueryLimits(-1, 5)


def view_of(row_count: int) -> CollectionView:
    generator = np.random.default_rng(0)
    vectors = generator.standard_normal((row_count, 512)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    collection = Collection(512)
    for vector in vectors:
        collection.upsert(uuid4(), vector)
    return collection.view()


@pytest.mark.parametrize(("row_count", "query_count"), [(10, 1), (10_000, 1), (10_000, 16)])
async def test_a_search_answers_the_same_wherever_it_runs(row_count: int, query_count: int) -> None:
    view = view_of(row_count)
    queries = view.vectors[:query_count].copy()
    limits = [LIMIT] * query_count
    async with SearchPool(cores=2) as pool:
        answers = await asyncio.gather(*(pool.search(view, queries, limits) for _ in range(4)))
    for answer in answers:
        for found, expected in zip(answer, search(view, queries, limits), strict=True):
            assert np.array_equal(found.ids, expected.ids)
            assert np.array_equal(found.similarities, expected.similarities)


async def test_the_event_loop_goes_on_during_a_long_search() -> None:
    view = view_of(20_000)
    queries = np.repeat(view.vectors[:128], 4, axis=0)
    turns = 0

    async def count_turns() -> Any:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with SearchPool(cores=2) as pool:
        counting = asyncio.create_task(count_turns())
        await pool.search(view, queries, [LIMIT] * len(queries))
        counting.cancel()
    assert turns > 100
