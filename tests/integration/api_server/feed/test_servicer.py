"""EmbeddingFeedService over real gRPC."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import grpc
import numpy as np
import pytest
from pydantic import SecretStr

from api_server.database.notifications import NotificationHub
from api_server.database.schema import CollectionKind
from api_server.feed import Change, record_changes
from api_server.feed.servicer import EmbeddingFeedServicer
from whodex.errors import from_rpc_error
from whodex.runtime.channel import internal_channel
from whodex.runtime.credentials import internal_credential
from whodex.runtime.embedding import from_proto
from whodex.runtime.server import Listener, Service, running
from whodex.v1 import embedding_feed_service_pb2 as pb
from whodex.v1.embedding_feed_service_pb2_grpc import (
    EmbeddingFeedServiceStub,
    add_EmbeddingFeedServiceServicer_to_server,
)
from whodex.v1.error_reason_pb2 import ERROR_REASON_WATERMARK_TOO_OLD

TOKEN = "token-of-the-internal-services"  # noqa: S105


@pytest.fixture
async def feed(database, database_url):
    hub = NotificationHub(database_url)
    listening = asyncio.create_task(hub.run())
    servicer = EmbeddingFeedServicer(database, hub)
    service = Service("whodex.v1.EmbeddingFeedService", add_EmbeddingFeedServiceServicer_to_server, servicer)
    listener = Listener("127.0.0.1:0", [service], internal_credential(SecretStr(TOKEN)))
    async with running(listener) as port, internal_channel(f"127.0.0.1:{port}", TOKEN) as channel:
        stub: Any = EmbeddingFeedServiceStub(channel)
        yield stub
    listening.cancel()
    await asyncio.wait([listening])


async def test_a_change_and_a_deletion_arrive_as_messages(feed, database, samples):
    library, appearance, person = uuid4(), uuid4(), uuid4()
    async with database.transaction() as session:
        position = await record_changes(
            session,
            [
                Change(CollectionKind.APPEARANCES, appearance, library, samples.space, samples.vector(1, 2)),
                Change(CollectionKind.PEOPLE, person, library, samples.space, None),
            ],
        )

    call = feed.StreamChanges(pb.StreamChangesRequest())
    first, second = await call.read(), await call.read()
    call.cancel()

    watermark = pb.Watermark(epoch=str(position.epoch), sequence=2)
    assert (first.watermark, first.restart, first.newest_sequence) == (watermark, True, 2)
    added, deleted = first.changes
    assert (added.sequence, added.id) == (1, str(appearance))
    assert added.collection == pb.Collection(
        library=str(library), kind=pb.COLLECTION_KIND_APPEARANCES, space=samples.space
    )
    np.testing.assert_array_equal(from_proto(added.embedding), samples.vector(1, 2))
    assert (deleted.sequence, deleted.id, deleted.collection.kind) == (2, str(person), pb.COLLECTION_KIND_PEOPLE)
    assert not deleted.HasField("embedding")
    # The next message is a heartbeat.
    assert (second.watermark, second.restart, list(second.changes)) == (watermark, False, [])


async def test_a_watermark_before_the_horizon_is_answered_out_of_range(feed, database, samples, rows):
    change = Change(CollectionKind.PEOPLE, uuid4(), uuid4(), samples.space, None)
    async with database.transaction() as session:
        position = await record_changes(session, [change])
    await rows.do("UPDATE feed_state SET newest_sequence = 9, horizon_sequence = 5")

    after = pb.Watermark(epoch=str(position.epoch), sequence=position.sequence)
    with pytest.raises(grpc.RpcError) as caught:
        await feed.StreamChanges(pb.StreamChangesRequest(after=after)).read()

    assert from_rpc_error(caught.value).reason == ERROR_REASON_WATERMARK_TOO_OLD
