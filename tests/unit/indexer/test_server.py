from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from indexer.snapshots import SnapshotStore
from whodex.runtime.channel import internal_channel
from whodex.runtime.embedding import to_proto
from whodex.v1 import index_service_pb2 as pb
from whodex.v1.index_service_pb2_grpc import IndexServiceStub

TOKEN = "internal-token-of-the-tests"  # noqa: S105 - it opens nothing but this test's servers


async def answers(stub: Any, history: Any, vectors: Any) -> pb.SearchResponse:
    queries = [pb.IndexQuery(embedding=to_proto(vector, history.space), min_similarity=-1) for vector in vectors]
    response: pb.SearchResponse = await stub.Search(pb.SearchRequest(collection=history.collection, queries=queries))
    return response


@pytest.fixture
def people(history: Any, unit_vectors: Any) -> list[UUID]:
    """Enrolled, changed and deleted people."""
    ids = [uuid4() for _ in range(30)]
    for id_, vector in zip([*ids, *ids[5:15]], unit_vectors(40), strict=True):
        history.put(id_, vector)
    for id_ in ids[:8]:
        history.remove(id_)
    return ids


async def test_a_restarted_index_answers_exactly_as_one_built_from_nothing(
    start_indexer: Any, history: Any, people: list[UUID], unit_vectors: Any, tmp_path: Path
) -> None:
    queries = unit_vectors(10)
    async with start_indexer() as first:
        await first.caught_up()
    assert (tmp_path / "index" / "snapshot-00000001").is_dir()
    history.remove(people[20])
    history.put(people[0], unit_vectors(1)[0])
    async with start_indexer() as restarted:
        await restarted.caught_up()
        after_restart = await answers(restarted.stub, history, queries)
        await restarted.stub.Rebuild(pb.RebuildRequest())
        after_rebuild = await answers(restarted.stub, history, queries)
    assert [request.after.sequence for request in history.requests] == [0, 48, 0]
    assert after_restart == after_rebuild
    assert {len(found.ids) for found in after_restart.results} == {22}


async def test_a_corrupt_snapshot_means_reading_the_feed_from_its_start(
    start_indexer: Any, history: Any, people: list[UUID], tmp_path: Path
) -> None:
    async with start_indexer() as first:
        await first.caught_up()
    (tmp_path / "index" / "snapshot-00000001" / "ids.bin").write_bytes(b"")
    async with start_indexer() as restarted:
        await restarted.caught_up()
        status = await restarted.stub.GetStatus(pb.GetStatusRequest())
    assert history.requests[-1].after.sequence == 0
    assert status.collections[0].vector_count == len(people) - 8
    assert (tmp_path / "index" / "snapshot-00000001.corrupt").is_dir()


async def test_a_call_without_the_internal_credential_is_refused(
    start_indexer: Any, history: Any, unit_vectors: Any
) -> None:
    async with start_indexer() as indexer, internal_channel(indexer.address, "not-the-token") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await answers(IndexServiceStub(channel), history, unit_vectors(1))
    assert raised.value.code() is grpc.StatusCode.UNAUTHENTICATED


@contextlib.asynccontextmanager
async def process(environment: dict[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    """Runs `python -m indexer`; it is gone afterwards whatever happens."""
    started = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "indexer", env={**os.environ, **environment}, stderr=asyncio.subprocess.PIPE
    )
    try:
        yield started
    finally:
        if started.returncode is None:
            started.kill()
        await started.wait()


async def logged(started: asyncio.subprocess.Process, event: str) -> dict[str, Any]:
    """Reads the log up to an event."""
    assert started.stderr is not None
    async with asyncio.timeout(30):
        while line := await started.stderr.readline():
            entry: dict[str, Any] = json.loads(line)
            if entry["event"] == event:
                return entry
    raise AssertionError(f"the process never logged {event!r}")


@pytest.fixture
def environment(feed_address: str, tmp_path: Path) -> dict[str, str]:
    return {
        "WHODEX_INDEXER_LISTEN": "127.0.0.1:0",
        "WHODEX_INTERNAL_ADDRESS": feed_address,
        "WHODEX_INTERNAL_TOKEN": TOKEN,
        "WHODEX_INDEX_DIR": str(tmp_path / "index"),
    }


@pytest.mark.usefixtures("people")
async def test_the_process_serves_and_leaves_a_snapshot_when_it_is_stopped(
    environment: dict[str, str], history: Any, unit_vectors: Any, tmp_path: Path
) -> None:
    async with process(environment) as started:
        port = (await logged(started, "serving"))["port"]
        async with internal_channel(f"127.0.0.1:{port}", TOKEN) as channel:
            await serves(channel)
            response = await answers(IndexServiceStub(channel), history, unit_vectors(1))
            assert len(response.results[0].ids) == 22
        started.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(started.wait(), 15) == 0
    with SnapshotStore.opened(tmp_path / "index") as snapshots:
        image = snapshots.load_newest()
    assert image is not None
    assert (image.epoch, image.sequence) == (history.epoch, history.sequence)


async def serves(channel: Any) -> None:
    """Waits until the health service says so."""
    request = health_pb2.HealthCheckRequest(service="whodex.v1.IndexService")
    stub: Any = health_pb2_grpc.HealthStub(channel)
    async with asyncio.timeout(15):
        async for response in stub.Watch(request):
            if response.status == health_pb2.HealthCheckResponse.SERVING:
                return


async def test_a_second_process_on_the_same_directory_says_so_in_one_line(
    environment: dict[str, str], tmp_path: Path
) -> None:
    with SnapshotStore.opened(tmp_path / "index"):
        async with process(environment) as started:
            assert started.stderr is not None
            said = await asyncio.wait_for(started.stderr.read(), 30)
            assert await started.wait() == 1
    assert said.decode().splitlines() == [f"cannot start: another indexer uses {tmp_path / 'index'}"]


async def test_a_missing_setting_is_named_in_one_line(environment: dict[str, str]) -> None:
    del environment["WHODEX_INDEX_DIR"]
    async with process(environment) as started:
        assert started.stderr is not None
        said = await asyncio.wait_for(started.stderr.read(), 30)
        assert await started.wait() == 1
    assert said.decode().splitlines() == ["cannot start: WHODEX_INDEX_DIR: Field required"]
