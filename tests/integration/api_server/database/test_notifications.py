"""The one connection that listens, and those who wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest

from api_server.database.notifications import Channel, NotificationHub


@pytest.fixture
async def hub(database_url: str) -> AsyncIterator[NotificationHub]:
    """A hub that listens."""
    hub = NotificationHub(database_url)
    listening = asyncio.create_task(hub.run())
    with hub.subscribe(Channel.FEED) as subscription:
        # Everybody is woken once the connection is there.
        assert await subscription.changed(timeout_seconds=10)
    yield hub
    listening.cancel()
    await asyncio.wait([listening])


async def test_a_change_wakes_those_who_wait_for_it_and_nobody_else(hub: NotificationHub, rows: Any) -> None:
    person = await rows.person(await rows.library())
    with hub.subscribe(Channel.RESOURCES, str(person)) as here, hub.subscribe(Channel.RESOURCES, str(uuid4())) as other:
        await rows.do("UPDATE people SET display_name = 'Eve'")
        assert await here.changed(timeout_seconds=5)
        assert not await other.changed(timeout_seconds=0.1)


async def test_changes_before_the_wait_are_folded_into_one_and_not_lost(hub: NotificationHub, rows: Any) -> None:
    person = await rows.person(await rows.library())
    with hub.subscribe(Channel.RESOURCES, str(person)) as subscription:
        for name in ("Eve", "Ada"):
            await rows.do("UPDATE people SET display_name = :name", name=name)
        await asyncio.sleep(0.3)
        assert await subscription.changed(timeout_seconds=5)
        assert not await subscription.changed(timeout_seconds=0.1)


async def test_a_lost_connection_wakes_everybody_and_is_made_again(hub: NotificationHub, rows: Any) -> None:
    person = await rows.person(await rows.library())
    with hub.subscribe(Channel.RESOURCES, str(person)) as subscription:
        await rows.do("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'")
        assert await subscription.changed(timeout_seconds=10)
        await rows.do("UPDATE people SET display_name = 'Eve'")
        assert await subscription.changed(timeout_seconds=5)
