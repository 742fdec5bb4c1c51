"""One LISTEN connection for the whole process, fanned out to all who wait for a change."""

from __future__ import annotations

import asyncio
import contextlib
import enum
from collections import defaultdict
from collections.abc import Iterator

import psycopg
from sqlalchemy import make_url

from whodex.errors import UnavailableError
from whodex.runtime.log import get_logger
from whodex.v1 import error_reason_pb2

RECONNECT_SECONDS = 1.0
_log = get_logger()


class Channel(enum.StrEnum):
    """What is notified."""

    # By the schema's triggers; the payload is the id of the person, the video or the key that changed.
    RESOURCES = "whodex_resources"
    # By the writers of the feed, of the outbox and of photos that are READY; no payload.
    FEED = "whodex_feed"
    OUTBOX = "whodex_outbox"
    READY_PHOTOS = "whodex_ready_photos"


class Subscription:
    """One waiter. A change between two calls of `changed` is not lost; several are folded into one."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self._stopping = False

    async def changed(self, timeout_seconds: float | None = None) -> bool:
        """Waits for a change since the last call; False if none came within the timeout.

        Raises:
            UnavailableError: SERVER_STOPPING, so that a stream that would wait for ever ends.
        """
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._event.wait()
        except TimeoutError:
            return False
        if self._stopping:
            raise UnavailableError(
                "The server is stopping. Call again in a moment.",
                reason=error_reason_pb2.ERROR_REASON_SERVER_STOPPING,
                retry_after_seconds=1,
            )
        self._event.clear()
        return True

    def wake(self) -> None:
        """Ends the wait."""
        self._event.set()

    def stop(self) -> None:
        """Ends this wait and every later one with an error."""
        self._stopping = True
        self._event.set()


class NotificationHub:
    """Listens while `run` runs. After a lost connection everybody is woken, since something may have been missed."""

    def __init__(self, database_url: str) -> None:
        # libpq knows no drivers.
        self._url = make_url(database_url).set(drivername="postgresql").render_as_string(hide_password=False)
        self._subscriptions: defaultdict[tuple[str, str], set[Subscription]] = defaultdict(set)
        self._stopping = False

    @contextlib.contextmanager
    def subscribe(self, channel: Channel, payload: str = "") -> Iterator[Subscription]:
        """Subscribes within the block. Subscribe first and read after it: then no change falls between the two."""
        key, subscription = (channel.value, payload), Subscription()
        self._subscriptions[key].add(subscription)
        if self._stopping:
            subscription.stop()
        try:
            yield subscription
        finally:
            self._subscriptions[key].discard(subscription)
            if not self._subscriptions[key]:
                del self._subscriptions[key]

    def stop(self) -> None:
        """Ends all waits, those to come included: the process is about to end."""
        self._stopping = True
        for subscriptions in self._subscriptions.values():
            for subscription in subscriptions:
                subscription.stop()

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
