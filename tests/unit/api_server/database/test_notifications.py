"""Waits on notifications, apart from Postgres."""

from __future__ import annotations

import asyncio

import pytest

from api_server.database.notifications import Channel, NotificationHub
from whodex.errors import UnavailableError


@pytest.fixture
def hub() -> NotificationHub:
    return NotificationHub("postgresql+psycopg://nobody@127.0.0.1:1/none")


async def test_a_wait_without_a_change_ends_with_its_timeout(hub):
    with hub.subscribe(Channel.FEED) as subscription:
        assert await subscription.changed(0.01) is False


async def test_a_stopping_server_ends_the_waits_that_there_are(hub):
    with hub.subscribe(Channel.FEED) as subscription:
        waiting = asyncio.create_task(subscription.changed())
        await asyncio.sleep(0)
        hub.stop()
        with pytest.raises(UnavailableError) as caught:
            await waiting
    assert caught.value.reason_name == "SERVER_STOPPING"


async def test_and_those_that_come_afterwards(hub):
    hub.stop()
    with hub.subscribe(Channel.RESOURCES, "a") as subscription, pytest.raises(UnavailableError):
        await subscription.changed()
