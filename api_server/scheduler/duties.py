"""The scheduler's loops."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NoReturn

from api_server.database.engine import Database
from api_server.database.notifications import Channel, NotificationHub, Subscription
from api_server.feed.horizon import forget_deletions
from api_server.results.registry import effects_by_task
from api_server.scheduler.doorbell import BrokerUnavailableError, Doorbell
from api_server.scheduler.erasure import Eraser
from api_server.scheduler.garbage import collect_garbage
from api_server.scheduler.look_alikes import LookAlikes
from api_server.scheduler.relay import relay
from api_server.scheduler.retention import apply_retention
from api_server.scheduler.sweep import ring_for_due_work
from api_server.work.attempts import expire_leases
from whodex.errors import TransientError
from whodex.runtime.log import get_logger
from whodex.runtime.store import ObjectStore

SWEEP_SECONDS = 5.0
# The first ring goes out at once; what is enqueued within this time after it goes out together.
RELAY_PAUSE_SECONDS = 0.1
RELAY_POLL_SECONDS = 1.0
HOUSEKEEPING_SECONDS = 3600.0
GARBAGE_AGE = timedelta(hours=1)
# An indexer that was away for longer builds its index anew, which takes minutes.
TOMBSTONE_AGE = timedelta(days=7)
# Tables that an erasure touches are locked for a moment each time; what is deleted meanwhile goes with the next round.
ERASURE_SECONDS = 5.0

_FIRST_BACKOFF_SECONDS = 0.5
_LAST_BACKOFF_SECONDS = 8.0
_log = get_logger()

Step = Callable[[], Awaitable[Any]]
Sleep = Callable[[float], Awaitable[None]]


@dataclass(frozen=True)
class Duties:
    """What the leading scheduler does."""

    database: Database
    hub: NotificationHub
    doorbell: Doorbell
    store: ObjectStore
    eraser: Eraser
    look_alikes: LookAlikes

    async def run(self) -> None:
        """Runs every loop until cancelled, or until one of them meets an error that waiting cannot mend."""
        effects = effects_by_task()
        with self.hub.subscribe(Channel.OUTBOX) as outbox, self.hub.subscribe(Channel.READY_PHOTOS) as photos:
            async with asyncio.TaskGroup() as loops:
                loops.create_task(
                    repeat("relay", lambda: relay(self.database, self.doorbell), lambda: _outbox_changed(outbox))
                )
                loops.create_task(
                    repeat("lease sweep", lambda: expire_leases(self.database, effects), _pause(SWEEP_SECONDS))
                )
                loops.create_task(
                    repeat(
                        "doorbell sweep",
                        lambda: ring_for_due_work(self.database, self.doorbell),
                        _pause(SWEEP_SECONDS),
                    )
                )
                loops.create_task(
                    repeat("look-alikes", self.look_alikes.check_due, lambda: photos.changed(SWEEP_SECONDS))
                )
                loops.create_task(repeat("erasures", self.eraser.complete_due, _pause(ERASURE_SECONDS)))
                loops.create_task(
                    repeat(
                        "garbage collection",
                        lambda: collect_garbage(self.database, self.store, GARBAGE_AGE),
                        _pause(HOUSEKEEPING_SECONDS),
                    )
                )
                loops.create_task(
                    repeat("retention", lambda: apply_retention(self.database), _pause(HOUSEKEEPING_SECONDS))
                )
                loops.create_task(
                    repeat(
                        "tombstones",
                        lambda: forget_deletions(self.database, TOMBSTONE_AGE),
                        _pause(HOUSEKEEPING_SECONDS),
                    )
                )


async def repeat(name: str, step: Step, pause: Step, *, sleep: Sleep = asyncio.sleep) -> NoReturn:
    """Runs a step for ever. While a dependency is away it waits longer each time, and says so once."""
    backoff_seconds = _FIRST_BACKOFF_SECONDS
    while True:
        try:
            await step()
        except (TransientError, BrokerUnavailableError) as error:
            if backoff_seconds == _FIRST_BACKOFF_SECONDS:
                _log.warning(f"{name} waits for a dependency", why=str(error))
            await sleep(backoff_seconds)
            backoff_seconds = min(2 * backoff_seconds, _LAST_BACKOFF_SECONDS)
            continue
        if backoff_seconds > _FIRST_BACKOFF_SECONDS:
            _log.info(f"{name} goes on")
            backoff_seconds = _FIRST_BACKOFF_SECONDS
        await pause()


async def _outbox_changed(outbox: Subscription) -> None:
    await asyncio.sleep(RELAY_PAUSE_SECONDS)
    await outbox.changed(RELAY_POLL_SECONDS)


def _pause(seconds: float) -> Step:
    return lambda: asyncio.sleep(seconds)
