from __future__ import annotations

from uuid import UUID, uuid4

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from indexer.collection import Collection
from indexer.search import Neighbors, QueryLimits, search

DIMENSION = 512
ALL = 0


def normalised(vectors: NDArray[np.float64]) -> NDArray[np.float32]:
    unit: NDArray[np.float32] = (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)
    return unit


def faces(people: int, photos_each: int, seed: int = 0) -> NDArray[np.float32]:
    """Embeddings like those of faces: some 0.7 similar within a person, near 0 between people."""
    generator = np.random.default_rng(seed)
    centres = normalised(generator.standard_normal((people, 1, DIMENSION)))
    noise = normalised(generator.standard_normal((people, photos_each, DIMENSION)))
    return normalised(centres + 0.65 * noise).reshape(-1, DIMENSION)


def collection_of(vectors: NDArray[np.float32]) -> tuple[Collection, list[UUID]]:
    collection, ids = Collection(vectors.shape[1]), [uuid4() for _ in vectors]
    for id_, vector in zip(ids, vectors, strict=True):
        collection.upsert(id_, vector)
    return collection, ids


def as_pairs(found: Neighbors) -> list[tuple[UUID, float]]:
    ids = [UUID(bytes=row.tobytes()) for row in found.ids]
    return list(zip(ids, found.similarities.tolist(), strict=True))


@pytest.mark.parametrize("query_count", [1, 3, 4, 40])
def test_a_threshold_search_finds_all_above_it_and_nothing_else(query_count: int) -> None:
    """FAISS has one kernel for few queries and another for many."""
    vectors = faces(people=100, photos_each=5)
    collection, ids = collection_of(vectors)
    queries = vectors[:query_count].copy()
    for query, found in zip(
        queries, search(collection.view(), queries, [QueryLimits(0.5, ALL)] * query_count), strict=True
    ):
        similarities = vectors.astype(np.float64) @ query.astype(np.float64)
        expected = {id_: similarity for id_, similarity in zip(ids, similarities, strict=True) if similarity >= 0.5}
        assert len(expected) >= 5
        assert dict(as_pairs(found)) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("query_count", [1, 4, 40])
def test_a_search_for_the_nearest_ranks_them(query_count: int) -> None:
    vectors = faces(people=100, photos_each=5)
    collection, ids = collection_of(vectors)
    queries = vectors[:query_count].copy()
    for query, found in zip(
        queries, search(collection.view(), queries, [QueryLimits(-1, 7)] * query_count), strict=True
    ):
        similarities = vectors.astype(np.float64) @ query.astype(np.float64)
        order = np.argsort(-similarities)[:7]
        assert [id_ for id_, _ in as_pairs(found)] == [ids[row] for row in order]
        assert found.similarities == pytest.approx(similarities[order], abs=1e-6)


def test_the_nearest_are_found_behind_many_dead_rows() -> None:
    vectors = faces(people=2, photos_each=200)
    collection, ids = collection_of(vectors)
    for id_ in ids[:90]:
        collection.delete(id_)
    assert collection.view().row_count == 400
    (found,) = search(collection.view(), vectors[:1].copy(), [QueryLimits(-1, 5)])
    similarities = vectors[90:].astype(np.float64) @ vectors[0].astype(np.float64)
    assert [id_ for id_, _ in as_pairs(found)] == [ids[90 + row] for row in np.argsort(-similarities)[:5]]


def test_each_query_of_a_batch_has_its_own_limits() -> None:
    vectors = faces(people=10, photos_each=4)
    collection, _ = collection_of(vectors)
    limits = [QueryLimits(-1, 1), QueryLimits(0.4, ALL), QueryLimits(-1, ALL), QueryLimits(0.4, 2)]
    queries = vectors[:4].copy()
    together = search(collection.view(), queries, limits)
    assert [len(found.ids) for found in together] == [1, 4, 40, 2]
    for number, found in enumerate(together):
        (alone,) = search(collection.view(), queries[number : number + 1].copy(), [limits[number]])
        assert as_pairs(alone) == as_pairs(found)


def test_a_similarity_equal_to_the_threshold_is_a_neighbour() -> None:
    vectors = faces(people=1, photos_each=20)
    collection, _ = collection_of(vectors)
    (everything,) = search(collection.view(), vectors[:1].copy(), [QueryLimits(-1, ALL)])
    for id_, similarity in as_pairs(everything):
        (found,) = search(collection.view(), vectors[:1].copy(), [QueryLimits(similarity, ALL)])
        assert id_ in dict(as_pairs(found))
        above = float(np.nextafter(np.float32(similarity), np.float32(2)))
        (found,) = search(collection.view(), vectors[:1].copy(), [QueryLimits(above, ALL)])
        assert id_ not in dict(as_pairs(found))


def test_equal_similarities_are_in_the_order_of_ids() -> None:
    (vector,) = faces(people=1, photos_each=1)
    collection, ids = collection_of(np.tile(vector, (50, 1)))
    (found,) = search(collection.view(), vector[np.newaxis], [QueryLimits(-1, ALL)])
    assert [id_ for id_, _ in as_pairs(found)] == sorted(ids)


def test_a_similarity_never_leaves_its_range() -> None:
    vectors = faces(people=300, photos_each=1)
    collection, _ = collection_of(np.concatenate([vectors, -vectors]))
    found = search(collection.view(), vectors, [QueryLimits(-1, ALL)] * len(vectors))
    assert max(one.similarities.max() for one in found) == 1.0
    assert min(one.similarities.min() for one in found) == -1.0


def test_an_emptied_collection_answers_nothing() -> None:
    collection, (id_,) = collection_of(faces(people=1, photos_each=1))
    collection.delete(id_)
    query = faces(people=1, photos_each=1, seed=1)
    assert [as_pairs(found) for found in search(collection.view(), query, [QueryLimits(-1, 3)])] == [[]]


@settings(max_examples=150, deadline=None)
@given(
    operations=st.lists(st.tuples(st.integers(0, 15), st.integers(0, 40) | st.none()), max_size=200),
    query=st.integers(0, 40),
    min_similarity=st.floats(-1, 1, width=32),
    max_neighbors=st.integers(0, 20),
)
def test_a_search_answers_as_a_dictionary_would(
    operations: list[tuple[int, int | None]], query: int, min_similarity: float, max_neighbors: int
) -> None:
    """Upserts and deletes in any order; an operation is an id and the number of its new vector."""
    vectors = normalised(np.random.default_rng(2).standard_normal((41, 6)))
    ids = [UUID(int=number) for number in range(16)]
    collection = Collection(6)
    model: dict[UUID, NDArray[np.float32]] = {}
    for number, new in operations:
        if new is None:
            collection.delete(ids[number])
            model.pop(ids[number], None)
        else:
            collection.upsert(ids[number], vectors[new])
            model[ids[number]] = vectors[new]
    (found,) = search(
        collection.view(), vectors[query : query + 1].copy(), [QueryLimits(min_similarity, max_neighbors)]
    )
    ranked = sorted(
        (-np.float32(min(1.0, vector.astype(np.float64) @ vectors[query].astype(np.float64))), id_)
        for id_, vector in model.items()
    )
    above = [(id_, float(-negative)) for negative, id_ in ranked if -negative >= np.float32(min_similarity)]
    assert as_pairs(found) == above[: max_neighbors or None]
