from __future__ import annotations

import asyncio

import pytest

from api_server.scheduler import leadership


class Scheduler:
    """One process that wants to lead."""

    def __init__(self, database_url: str) -> None:
        self.leads = asyncio.Event()
        self._task = asyncio.create_task(leadership.lead(database_url, self._duties))

    async def _duties(self):
        self.leads.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.leads.clear()

    async def wait_until_leading(self):
        await asyncio.wait_for(self.leads.wait(), 30)

    async def stop(self):
        self._task.cancel()
        await asyncio.wait([self._task])


@pytest.fixture
async def start(database_url):
    schedulers = []

    def start():
        schedulers.append(Scheduler(database_url))
        return schedulers[-1]

    yield start
    for scheduler in schedulers:
        await scheduler.stop()


async def test_one_leads_and_the_other_takes_over_when_it_stops(start):
    first = start()
    await first.wait_until_leading()
    second = start()
    await asyncio.sleep(3)
    assert not second.leads.is_set()

    await first.stop()

    await second.wait_until_leading()


async def test_a_leader_that_loses_its_connection_stops_and_leads_again(start, rows):
    scheduler = start()
    await scheduler.wait_until_leading()
    scheduler.leads.clear()

    await rows.all(
        "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' "
        "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )

    await scheduler.wait_until_leading()


async def test_what_the_duties_raise_ends_the_leadership(database_url):
    async def broken():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await leadership.lead(database_url, broken)
