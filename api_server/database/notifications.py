"""One LISTEN connection for the whole process, fanned out to all who wait for a change."""

from __future__ import annotations

import asyncio
import contextlib
import enum
from collections import defaultdict
from collections.abc import Iterator

import psycopg
from sqlalchemy import make_url

from whodex.runtime.log import get_logger

RECONNECT_SECONDS = 1.0
_log = get_logger()


class Channel(enum.StrEnum):
    """What is notified."""

    # By the schema's triggers; the payload is the id of the person or the video that changed.
    RESOURCES = "whodex_resources"
    # By the writers of the feed and of the outbox; no payload.
    FEED = "whodex_feed"
    OUTBOX = "whodex_outbox"


class Subscription:
    """One waiter. A change between two calls of `changed` is not lost; several are folded into one."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    async def changed(self, timeout_seconds: float | None = None) -> bool:
        """Waits for a change since the last call; False if none came within the timeout."""
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._event.wait()
        except TimeoutError:
            return False
        self._event.clear()
        return True

    def wake(self) -> None:
        """Ends the wait."""
        self._event.set()


class NotificationHub:
    """Listens while `run` runs. After a lost connection everybody is woken, since something may have been missed."""

    def __init__(self, database_url: str) -> None:
        # libpq knows no drivers.
        self._url = make_url(database_url).set(drivername="postgresql").render_as_string(hide_password=False)
        self._subscriptions: defaultdict[tuple[str, str], set[Subscription]] = defaultdict(set)

    @contextlib.contextmanager
    def subscribe(self, channel: Channel, payload: str = "") -> Iterator[Subscription]:
        """Subscribes within the block. Subscribe first and read after it: then no change falls between the two."""
        key, subscription = (channel.value, payload), Subscription()
        self._subscriptions[key].add(subscription)
        try:
            yield subscription
        finally:
            self._subscriptions[key].discard(subscription)
            if not self._subscriptions[key]:
                del self._subscriptions[key]

    async def run(self) -> None:
        """Listens until cancelled, and connects again for as long as it takes."""
        while True:
            try:
                await self._listen()
            except psycopg.Error as error:
                _log.warning("no notifications", why=str(error), retry_seconds=RECONNECT_SECONDS)
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _listen(self) -> None:
        connection = await psycopg.AsyncConnection.connect(
            self._url,
            autocommit=True,
            connect_timeout=5,
            # A listener never sends: without keepalive it would not notice a host that is gone.
            keepalives_idle=10,
            keepalives_interval=5,
            keepalives_count=3,
        )
        async with connection:
            for channel in Channel:
                await connection.execute(f'LISTEN "{channel.value}"')
            self._wake_all()
            async for notification in connection.notifies():
                for subscription in self._subscriptions.get((notification.channel, notification.payload), ()):
                    subscription.wake()

    def _wake_all(self) -> None:
        for subscriptions in self._subscriptions.values():
            for subscription in subscriptions:
                subscription.wake()
