"""The composition root of the scheduler."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Coroutine, Mapping
from datetime import timedelta
from typing import Any, NoReturn

import grpc.aio
from sqlalchemy.exc import OperationalError

from api_server.database import migration
from api_server.database.engine import Database
from api_server.database.notifications import NotificationHub
from api_server.database.roles import UnfitRoleError
from api_server.erasures.receipts import ReceiptSigner
from api_server.results.registry import UnappliedTaskError, effects_by_task
from api_server.scheduler.doorbell import Doorbell
from api_server.scheduler.duties import Duties
from api_server.scheduler.erasure import Eraser
from api_server.scheduler.leadership import lead
from api_server.scheduler.look_alikes import LookAlikes
from api_server.scheduler.settings import SchedulerSettings
from api_server.search.peers import Index
from whodex.runtime.channel import internal_channel
from whodex.runtime.credentials import invalid_credentials
from whodex.runtime.log import configure_logging
from whodex.runtime.server import Listener, Service, serve
from whodex.runtime.settings import live_secrets, load_settings
from whodex.v1.index_service_pb2_grpc import IndexServiceStub


def main() -> None:
    """Runs the scheduler until it is told to stop; a task or a database that does not fit ends it with one line."""
    configure_logging("scheduler")
    settings = load_settings(SchedulerSettings)
    try:
        effects_by_task()
        migration.check(settings.database_url.get_secret_value())
    except (UnappliedTaskError, migration.SchemaMismatchError, UnfitRoleError, OperationalError) as error:
        sys.exit(f"cannot start: {str(error).splitlines()[0]}")
    asyncio.run(run(settings))


async def run(settings: SchedulerSettings) -> None:
    """Leads, or waits to, until SIGTERM or SIGINT."""
    url = settings.database_url.get_secret_value()
    database = Database.from_url(url, application="whodex scheduler", pool_size=8)
    doorbell = Doorbell(settings.broker_url.get_secret_value())
    hub, store = NotificationHub(url), settings.open_store()
    token = live_secrets(settings.internal_token)[0]
    with contextlib.closing(doorbell):
        async with (
            contextlib.aclosing(database),
            internal_channel(settings.indexer_address, token, settings.mesh) as to_indexer,
        ):
            index = Index(IndexServiceStub(to_indexer))
            eraser = Eraser(
                database.system,
                url,
                store,
                index,
                ReceiptSigner.from_seed(settings.receipt_key.get_secret_value()),
                _days(settings.backup_retention_days),
            )
            look_alikes = LookAlikes(database.system, index)
            duties = Duties(database.system, hub, doorbell, store, eraser, look_alikes)
            await _until_one_ends(
                serve([_health_listener(settings, database, doorbell)]), hub.run(), lead(url, duties.run)
            )


async def _until_one_ends(*work: Coroutine[Any, Any, None]) -> None:
    """Runs everything until the server is told to stop. What else ends has failed, and that ends the process."""
    tasks = [asyncio.create_task(one) for one in work]
    try:
        ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in ended:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


def _health_listener(settings: SchedulerSettings, database: Database, doorbell: Doorbell) -> Listener:
    checks = [database.check, doorbell.check]
    return Listener(
        settings.scheduler_health_listen,
        [Service("scheduler", _no_methods, None, checks)],
        _nobody,
        tls=settings.mesh,
        allow_plaintext=settings.allow_plaintext,
    )


def _days(count: int | None) -> timedelta | None:
    return None if count is None else timedelta(days=count)


def _no_methods(servicer: None, server: grpc.aio.Server) -> None:
    """The scheduler answers health checks only."""


async def _nobody(method: str, metadata: Mapping[str, Any]) -> NoReturn:  # noqa: ARG001
    raise invalid_credentials()
