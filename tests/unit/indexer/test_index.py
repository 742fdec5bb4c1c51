from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import numpy as np
import pytest

from indexer.collection import CollectionView
from indexer.index import FeedContractError, IndexImage, VectorIndex, collection_key, read_vector
from whodex.runtime.embedding import to_proto
from whodex.v1 import embedding_feed_service_pb2 as feed


def contents(view: CollectionView | None) -> dict[UUID, list[float]]:
    if view is None:
        return {}
    return {UUID(bytes=view.ids[row].tobytes()): view.vectors[row].tolist() for row in np.flatnonzero(view.live)}


def everything(image: IndexImage) -> dict[Any, dict[UUID, list[float]]]:
    return {key: contents(view) for key, view in image.collections.items()}


def test_an_index_holds_what_the_feed_said(history: Any, unit_vectors: Any, index_of: Any) -> None:
    ids, vectors = [uuid4() for _ in range(10)], unit_vectors(10)
    for id_, vector in zip(ids, vectors, strict=True):
        history.put(id_, vector)
    history.remove(ids[3])
    history.put(ids[4], vectors[0])
    index = index_of(history)
    held = contents(index.view(collection_key(history.collection)))
    assert held.keys() == set(ids) - {ids[3]}
    assert held[ids[4]] == pytest.approx(vectors[0].tolist(), abs=1e-6)
    assert (index.epoch, index.sequence) == (history.epoch, 12)


def test_libraries_never_share_a_collection(history: Any, unit_vectors: Any, index_of: Any) -> None:
    libraries, ids = [history.library, uuid4()], [uuid4(), uuid4()]
    for history.library, id_, vector in zip(libraries, ids, unit_vectors(2), strict=True):
        history.put(id_, vector)
    index = index_of(history)
    for library, id_ in zip(libraries, ids, strict=True):
        history.library = library
        assert contents(index.view(collection_key(history.collection))).keys() == {id_}


def test_a_vector_in_a_new_space_ends_the_one_in_the_old_space(history: Any, unit_vectors: Any, index_of: Any) -> None:
    """A model upgrade replaces a person's vector; the feed has only the last change of each id."""
    id_, vectors = uuid4(), unit_vectors(2)
    history.put(id_, vectors[0])
    index, old_key = index_of(history), collection_key(history.collection)
    seen, history.space = history.sequence, "space-b"
    history.put(id_, vectors[1])
    index.apply(history.message(seen))
    assert index.view(old_key) is None
    assert contents(index.view(collection_key(history.collection))).keys() == {id_}
    history.remove(id_)
    index.apply(history.message(seen))
    assert index.image().collections == {}


def test_changes_that_are_in_already_have_no_effect(history: Any, unit_vectors: Any, index_of: Any) -> None:
    id_ = uuid4()
    history.put(id_, unit_vectors(1)[0])
    late = history.message(0)
    history.remove(id_)
    index = index_of(history)
    index.apply(late)
    assert index.view(collection_key(history.collection)) is None
    assert index.sequence == 2


def test_an_image_stays_as_it_was(history: Any, unit_vectors: Any, index_of: Any) -> None:
    ids, vectors = [uuid4() for _ in range(4)], unit_vectors(4)
    for id_, vector in zip(ids, vectors, strict=True):
        history.put(id_, vector)
    index = index_of(history)
    image = index.image()
    before = everything(image)
    seen = history.sequence
    history.remove(ids[0])
    history.put(ids[1], vectors[0])
    index.apply(history.message(seen))
    assert everything(image) == before
    assert everything(index.image()) != before
    assert (image.sequence, index.sequence) == (4, 6)


def test_a_vector_is_normalised_beyond_what_the_contract_asks_for() -> None:
    nearly = np.full(4, 0.5, np.float32) * np.float32(1.0009)
    assert np.linalg.norm(read_vector(to_proto(nearly, "space"))) == pytest.approx(1, abs=1e-7)


def _other_epoch(message: feed.StreamChangesResponse) -> None:
    message.watermark.epoch = str(uuid4())


def _no_epoch(message: feed.StreamChangesResponse) -> None:
    message.watermark.epoch = "today"


def _out_of_order(message: feed.StreamChangesResponse) -> None:
    message.changes[1].sequence = message.changes[0].sequence


def _beyond_the_watermark(message: feed.StreamChangesResponse) -> None:
    message.watermark.sequence = message.changes[-1].sequence - 1


def _id_is_no_uuid(message: feed.StreamChangesResponse) -> None:
    message.changes[1].id = "Ada"


def _library_is_no_uuid(message: feed.StreamChangesResponse) -> None:
    message.changes[1].collection.library = "home"


def _another_space(message: feed.StreamChangesResponse) -> None:
    message.changes[1].embedding.space = "space-z"


def _another_dimension(message: feed.StreamChangesResponse) -> None:
    message.changes[1].embedding.CopyFrom(to_proto(np.ones(1, np.float32), message.changes[1].embedding.space))


def _not_a_number(message: feed.StreamChangesResponse) -> None:
    message.changes[1].embedding.vector = np.full(8, np.nan, "<f4").tobytes()


@pytest.mark.parametrize(
    "breach",
    [
        _other_epoch,
        _no_epoch,
        _out_of_order,
        _beyond_the_watermark,
        _id_is_no_uuid,
        _library_is_no_uuid,
        _another_space,
        _another_dimension,
        _not_a_number,
    ],
)
def test_a_message_that_breaks_the_contract_is_not_applied_at_all(breach: Any, history: Any, unit_vectors: Any) -> None:
    for vector in unit_vectors(2):
        history.put(uuid4(), vector)
    index, message = VectorIndex(history.epoch), history.message(0)
    breach(message)
    with pytest.raises(FeedContractError):
        index.apply(message)
    assert (index.sequence, index.image().collections, index.dimension(history.space)) == (0, {}, None)
    index.apply(history.message(0))
    assert index.sequence == 2
