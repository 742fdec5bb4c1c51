"""The indexer against the real api_server: its index is what Postgres holds."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import numpy as np
import pytest
from pydantic import SecretStr

from indexer.collection import CollectionView
from indexer.index import IndexImage, VectorIndex
from indexer.server import following
from indexer.settings import IndexerSettings
from whodex import Client
from whodex.demo.samples import pull_samples, sample
from whodex.runtime.channel import internal_channel
from whodex.runtime.embedding import to_proto
from whodex.runtime.server import running
from whodex.v1 import embedding_feed_service_pb2 as feed
from whodex.v1 import index_service_pb2 as pb
from whodex.v1.embedding_feed_service_pb2_grpc import EmbeddingFeedServiceStub
from whodex.v1.index_service_pb2_grpc import IndexServiceStub

if TYPE_CHECKING:
    from tests.integration.conftest import Stack


@pytest.fixture(scope="module")
def client(stack: Stack) -> Iterator[Client]:
    """Opens a library of this module's own."""
    with Client(state_dir=stack.state.root) as admin:
        library = admin.libraries.create("indexer").name
        key = admin.libraries.create_key(library, "tests").secret
        with Client(stack.address, library=library, api_key=key) as client:
            yield client
        admin.libraries.delete(library, force=True)


@pytest.fixture
async def index(stack: Stack) -> AsyncIterator[Any]:
    """The stack's own IndexService."""
    async with internal_channel(stack.part_address("indexer"), stack.secrets.internal_token) as channel:
        yield IndexServiceStub(channel)


def enrol(client: Client, name: str) -> str:
    pull_samples()
    person = client.people.create(name)
    photo = client.people.upload_photo(person.name, sample("obama.jpg"))
    client.people.wait_for_photo(photo.name, timeout_seconds=60)
    return person.name


async def held_by_postgres(stack: Stack, client: Client) -> IndexImage:
    """What the feed says from its start of the client's library; other tests' libraries go on changing."""
    async with internal_channel(stack.part_address("internal"), stack.secrets.internal_token) as channel:
        stream: Any = EmbeddingFeedServiceStub(channel).StreamChanges(feed.StreamChangesRequest())
        index = None
        async for message in stream:
            index = index or VectorIndex(UUID(message.watermark.epoch))
            index.apply(message)
            if message.watermark.sequence == message.newest_sequence:
                break
        stream.cancel()
    assert index is not None
    image, library = index.image(), UUID(client.library.rpartition("/")[2])
    own = {key: view for key, view in image.collections.items() if key.library == library}
    return IndexImage(image.epoch, image.sequence, own)


def vectors(view: CollectionView) -> dict[str, Any]:
    return {str(UUID(bytes=view.ids[row].tobytes())): view.vectors[row] for row in np.flatnonzero(view.live)}


async def assert_equals(index: Any, expected: IndexImage) -> None:
    """Each vector is found, with itself and as many others as there are."""
    watermark = feed.Watermark(epoch=str(expected.epoch), sequence=expected.sequence)
    for key, view in expected.collections.items():
        collection = feed.Collection(library=str(key.library), kind=key.kind, space=key.space)
        for id_, vector in vectors(view).items():
            query = pb.IndexQuery(embedding=to_proto(vector, key.space), min_similarity=-1)
            request = pb.SearchRequest(collection=collection, queries=[query], at_least=watermark)
            (found,) = (await index.Search(request)).results
            assert set(found.ids) == vectors(view).keys()
            assert dict(zip(found.ids, found.similarities, strict=True))[id_] == pytest.approx(1, abs=1e-5)


async def test_the_index_holds_what_postgres_holds(stack: Stack, client: Client, index: Any) -> None:
    names = [await asyncio.to_thread(enrol, client, f"Person {number}") for number in range(2)]
    expected = await held_by_postgres(stack, client)
    ids = {id_ for view in expected.collections.values() for id_ in vectors(view)}
    assert {name.rpartition("/")[2] for name in names} <= ids
    await assert_equals(index, expected)


async def test_a_deleted_person_is_gone_at_once(stack: Stack, client: Client, index: Any) -> None:
    name = await asyncio.to_thread(enrol, client, "Here and gone")
    before = await held_by_postgres(stack, client)
    await asyncio.to_thread(client.people.delete, name)
    after = await held_by_postgres(stack, client)
    gone = name.rpartition("/")[2]
    assert any(gone in vectors(view) for view in before.collections.values())
    assert not any(gone in vectors(view) for view in after.collections.values())
    await assert_equals(index, after)


async def test_a_rebuild_keeps_everything(stack: Stack, client: Client, index: Any) -> None:
    await asyncio.to_thread(enrol, client, "Rebuilt")
    expected = await held_by_postgres(stack, client)
    response = await index.Rebuild(pb.RebuildRequest())
    assert response.watermark.sequence >= expected.sequence
    await assert_equals(index, expected)


async def test_a_second_indexer_takes_over_from_a_snapshot(stack: Stack, client: Client, tmp_path: Path) -> None:
    await asyncio.to_thread(enrol, client, "Before")
    async with second_indexer(stack, tmp_path) as index:
        await assert_equals(index, await held_by_postgres(stack, client))
    await asyncio.to_thread(enrol, client, "After")
    assert (tmp_path / "snapshot-00000001").is_dir()
    async with second_indexer(stack, tmp_path) as index:
        await assert_equals(index, await held_by_postgres(stack, client))


@contextlib.asynccontextmanager
async def second_indexer(stack: Stack, directory: Path) -> AsyncIterator[Any]:
    """A replica of the stack's own, once it has caught up."""
    settings = IndexerSettings(
        indexer_listen="127.0.0.1:0",
        internal_address=stack.part_address("internal"),
        internal_token=SecretStr(stack.secrets.internal_token),
        index_dir=directory,
    )
    async with following(settings) as listener, running(listener) as port:
        (check,) = listener.services[0].checks
        async with asyncio.timeout(10):
            while not await passes(check):
                await asyncio.sleep(0.05)
        async with internal_channel(f"127.0.0.1:{port}", stack.secrets.internal_token) as channel:
            yield IndexServiceStub(channel)


async def passes(check: Any) -> bool:
    try:
        await check()
    except Exception:  # noqa: BLE001 - whatever a check raises means unhealthy
        return False
    return True
