from __future__ import annotations

from uuid import UUID, uuid4

import numpy as np
import pytest

from indexer.collection import Collection, CollectionView


def vector(number: float) -> np.ndarray:
    return np.array([number, -number], np.float32)


def contents(view: CollectionView) -> dict[UUID, float]:
    rows = np.flatnonzero(view.live)
    return {UUID(bytes=view.ids[row].tobytes()): float(view.vectors[row, 0]) for row in rows}


def test_a_view_holds_what_was_upserted() -> None:
    collection = Collection(2)
    ids = [uuid4() for _ in range(100)]
    for number, id_ in enumerate(ids):
        collection.upsert(id_, vector(number))
    assert contents(collection.view()) == {id_: float(number) for number, id_ in enumerate(ids)}
    assert collection.view().live_count == len(collection) == 100


def test_an_upsert_of_a_known_id_replaces_its_vector() -> None:
    collection, id_ = Collection(2), uuid4()
    collection.upsert(id_, vector(1))
    collection.upsert(id_, vector(2))
    assert contents(collection.view()) == {id_: 2.0}
    assert len(collection) == 1


def test_a_deleted_id_is_gone_and_can_come_back() -> None:
    collection, id_ = Collection(2), uuid4()
    collection.upsert(id_, vector(1))
    collection.delete(id_)
    assert contents(collection.view()) == {}
    collection.upsert(id_, vector(3))
    assert contents(collection.view()) == {id_: 3.0}


def test_deleting_an_unknown_id_changes_nothing() -> None:
    collection = Collection(2)
    collection.delete(uuid4())
    assert collection.view().row_count == 0


@pytest.mark.parametrize("change_count", [1, 20, 500])
def test_a_view_keeps_what_it_held_whatever_comes_after(change_count: int) -> None:
    """20 changes outgrow the arrays, 500 compact them: neither may touch what a search is reading."""
    collection = Collection(2)
    ids = [uuid4() for _ in range(10)]
    for number, id_ in enumerate(ids):
        collection.upsert(id_, vector(number))
    view = collection.view()
    held = contents(view)
    for number in range(change_count):
        collection.upsert(ids[number % 10], vector(1000 + number))
    collection.delete(ids[0])
    assert contents(view) == held


def test_the_view_is_the_same_object_until_something_changes() -> None:
    collection, id_ = Collection(2), uuid4()
    collection.upsert(id_, vector(1))
    view = collection.view()
    assert collection.view() is view
    collection.delete(id_)
    assert collection.view() is not view


def test_dead_rows_are_compacted_away() -> None:
    collection, id_ = Collection(2), uuid4()
    for number in range(10_000):
        collection.upsert(id_, vector(number))
    assert collection.view().row_count < 200
    assert contents(collection.view()) == {id_: 9999.0}


def test_a_collection_from_rows_goes_on_from_them() -> None:
    ids = [uuid4() for _ in range(3)]
    rows = np.stack([vector(number) for number in range(3)])
    collection = Collection.from_rows(rows, np.stack([np.frombuffer(id_.bytes, np.uint8) for id_ in ids]))
    collection.delete(ids[0])
    collection.upsert(ids[1], vector(7))
    assert contents(collection.view()) == {ids[1]: 7.0, ids[2]: 2.0}
