from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import grpc.aio
import numpy as np
import pytest

from indexer.index import read_vector
from whodex.errors import (
    DeadlineExceededError,
    InvalidArgumentError,
    UnavailableError,
    WhodexError,
    from_rpc_error,
)
from whodex.runtime.embedding import to_proto
from whodex.v1 import embedding_feed_service_pb2 as feed
from whodex.v1 import error_reason_pb2
from whodex.v1 import index_service_pb2 as pb


def request(history: Any, vector: Any, *, space: str | None = None, **limits: Any) -> pb.SearchRequest:
    embedding = to_proto(vector, space or history.space)
    limits = {"min_similarity": -1, **limits}
    return pb.SearchRequest(collection=history.collection, queries=[pb.IndexQuery(embedding=embedding, **limits)])


async def refusal(call: Any) -> WhodexError:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    return from_rpc_error(raised.value)


@pytest.fixture
def people(history: Any, unit_vectors: Any) -> dict[UUID, Any]:
    enrolled = dict(zip([uuid4() for _ in range(10)], unit_vectors(10), strict=True))
    for id_, vector in enrolled.items():
        history.put(id_, vector)
    return enrolled


@pytest.fixture
async def stub(people: dict[UUID, Any], indexer: Any) -> Any:  # noqa: ARG001 - people are there first
    await indexer.caught_up()
    return indexer.stub


async def test_search_answers_each_query_of_a_batch(stub: Any, history: Any, people: dict[UUID, Any]) -> None:
    batch = pb.SearchRequest(
        collection=history.collection,
        queries=[
            pb.IndexQuery(embedding=to_proto(vector, history.space), min_similarity=-1, max_neighbors=2)
            for vector in people.values()
        ],
    )
    response = await stub.Search(batch)
    assert [found.ids[0] for found in response.results] == [str(id_) for id_ in people]
    assert [len(found.ids) for found in response.results] == [2] * 10
    assert [found.similarities[0] for found in response.results] == pytest.approx([1] * 10, abs=1e-5)
    assert response.watermark == history.watermark


async def test_search_returns_all_above_the_threshold(stub: Any, history: Any, people: dict[UUID, Any]) -> None:
    query = next(iter(people.values()))
    response = await stub.Search(request(history, query, min_similarity=0.2))
    (found,) = response.results
    expected = {str(id_): float(vector @ query) for id_, vector in people.items() if vector @ query >= 0.2}
    assert dict(zip(found.ids, found.similarities, strict=True)) == pytest.approx(expected, abs=1e-5)
    assert list(found.similarities) == sorted(found.similarities, reverse=True)


async def test_search_in_a_collection_without_vectors_is_empty(
    stub: Any, history: Any, unit_vectors: Any, people: dict[UUID, Any]
) -> None:
    """Another library's people are not there, however similar."""
    history.library = uuid4()
    response = await stub.Search(request(history, next(iter(people.values()))))
    assert [list(found.ids) for found in response.results] == [[]]
    history.space = "space-without-vectors"
    response = await stub.Search(request(history, unit_vectors(1)[0]))
    assert [list(found.ids) for found in response.results] == [[]]


async def test_search_waits_for_what_the_caller_wrote(
    stub: Any, history: Any, unit_vectors: Any, people: dict[UUID, Any]
) -> None:
    gone = next(iter(people))
    for _ in range(20):
        history.remove(gone)
        history.put(gone, unit_vectors(1)[0])
        history.remove(gone)
        search = request(history, people[gone])
        search.at_least.CopyFrom(history.watermark)
        response = await stub.Search(search)
        assert str(gone) not in response.results[0].ids
        assert response.watermark.sequence >= search.at_least.sequence


async def test_a_wait_ends_with_the_deadline(stub: Any, history: Any, unit_vectors: Any) -> None:
    search = request(history, unit_vectors(1)[0])
    search.at_least.CopyFrom(feed.Watermark(epoch=str(history.epoch), sequence=history.sequence + 1))
    error = await refusal(stub.Search(search, timeout=0.2))
    assert isinstance(error, DeadlineExceededError)
    assert error.reason == error_reason_pb2.ERROR_REASON_DEADLINE_PASSED


async def test_a_watermark_of_another_database_is_refused(stub: Any, history: Any, unit_vectors: Any) -> None:
    search = request(history, unit_vectors(1)[0])
    search.at_least.CopyFrom(feed.Watermark(epoch=str(uuid4()), sequence=1))
    error = await refusal(stub.Search(search))
    assert isinstance(error, InvalidArgumentError)
    assert error.reason == error_reason_pb2.ERROR_REASON_CONSISTENCY_TOKEN_INVALID


@pytest.mark.parametrize(
    ("vector", "space"),
    [
        (np.ones(1, np.float32), "space-a"),
        (np.full(8, 8**-0.5, np.float32), "space-b"),
        (np.full(8, np.nan, np.float32), "space-a"),
        (np.full(8, np.inf, np.float32), "space-a"),
        (np.zeros(8, np.float32), "space-a"),
        (np.ones(8, np.float32), "space-a"),
    ],
    ids=["dimension", "space", "nan", "infinity", "zero", "not normalised"],
)
async def test_an_embedding_that_does_not_fit_is_refused(stub: Any, history: Any, vector: Any, space: str) -> None:
    error = await refusal(stub.Search(request(history, vector, space=space)))
    assert isinstance(error, InvalidArgumentError)
    assert error.reason == error_reason_pb2.ERROR_REASON_EMBEDDING_MISMATCH


async def test_queries_of_different_dimensions_are_refused(stub: Any, history: Any) -> None:
    search = request(history, np.ones(1, np.float32))
    search.queries.append(pb.IndexQuery(embedding=to_proto(np.full(4, 0.5, np.float32), history.space)))
    error = await refusal(stub.Search(search))
    assert error.reason == error_reason_pb2.ERROR_REASON_EMBEDDING_MISMATCH
    assert [violation.field for violation in error.violations] == ["queries[1].embedding"]


@pytest.mark.parametrize("limits", [{"max_neighbors": -1}, {"max_neighbors": 1_000_001}, {"min_similarity": 1.1}])
async def test_limits_outside_the_contract_are_refused(
    limits: dict[str, Any], stub: Any, history: Any, unit_vectors: Any
) -> None:
    error = await refusal(stub.Search(request(history, unit_vectors(1)[0], **limits)))
    assert error.reason == error_reason_pb2.ERROR_REASON_INVALID_FIELD


async def test_an_index_that_has_not_caught_up_answers_an_error(
    history: Any, start_indexer: Any, unit_vectors: Any
) -> None:
    history.silent = True
    async with start_indexer() as indexer:
        for call in (
            indexer.stub.Search(request(history, unit_vectors(1)[0])),
            indexer.stub.Snapshot(pb.SnapshotRequest()),
        ):
            error = await refusal(call)
            assert isinstance(error, UnavailableError)
            assert error.reason == error_reason_pb2.ERROR_REASON_INDEX_UNAVAILABLE
        assert await indexer.stub.GetStatus(pb.GetStatusRequest()) == pb.GetStatusResponse()
        history.silent = False
        await indexer.caught_up()


async def test_status_names_each_collection(stub: Any, history: Any) -> None:
    status = await stub.GetStatus(pb.GetStatusRequest())
    assert status == pb.GetStatusResponse(
        watermark=history.watermark,
        collections=[pb.CollectionStatus(collection=history.collection, vector_count=10)],
    )


async def test_a_snapshot_is_durable_when_the_call_returns(stub: Any, history: Any, tmp_path: Path) -> None:
    response = await stub.Snapshot(pb.SnapshotRequest())
    assert response.watermark == history.watermark
    assert (tmp_path / "index" / "snapshot-00000001" / "SHA256SUMS").is_file()


async def test_a_purge_leaves_no_file_with_a_vector_that_was_deleted(
    stub: Any, history: Any, people: dict[UUID, Any], tmp_path: Path
) -> None:
    def files_with(vector: Any) -> list[str]:
        found = [path for path in (tmp_path / "index").rglob("*") if path.is_file()]
        return [path.name for path in found if vector.tobytes() in path.read_bytes()]

    for _ in range(2):
        await stub.Snapshot(pb.SnapshotRequest())
    indexed = {id_: read_vector(to_proto(vector, history.space)) for id_, vector in people.items()}
    deleted, kept = list(indexed)[:2]
    assert files_with(indexed[deleted]) == ["vectors.bin"] * 2

    history.remove(deleted)
    response = await stub.PurgeSnapshots(pb.PurgeSnapshotsRequest(at_least=history.watermark))

    assert response.watermark == history.watermark
    assert files_with(indexed[deleted]) == []
    assert files_with(indexed[kept]) == ["vectors.bin"]


async def test_searching_goes_on_when_a_snapshot_cannot_be_written(
    stub: Any, history: Any, unit_vectors: Any, tmp_path: Path
) -> None:
    shutil.rmtree(tmp_path / "index")
    error = await refusal(stub.Snapshot(pb.SnapshotRequest()))
    assert isinstance(error, UnavailableError)
    assert error.reason == error_reason_pb2.ERROR_REASON_STORAGE_UNAVAILABLE
    response = await stub.Search(request(history, unit_vectors(1)[0]))
    assert len(response.results[0].ids) == 10
    (tmp_path / "index").mkdir()


async def test_rebuild_returns_when_the_new_index_has_caught_up(stub: Any, history: Any, people: Any) -> None:
    searching = asyncio.create_task(_search_all_the_time(stub, history, next(iter(people.values()))))
    response = await stub.Rebuild(pb.RebuildRequest())
    assert response.watermark == history.watermark
    searching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await searching


async def _search_all_the_time(stub: Any, history: Any, vector: Any) -> None:
    while True:
        response = await stub.Search(request(history, vector))
        assert len(response.results[0].ids) == 10
