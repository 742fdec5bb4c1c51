from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from api_server.scheduler import duties
from api_server.scheduler.doorbell import BrokerUnavailableError


class Enough(Exception):  # noqa: N818 - no error: the test has seen enough
    pass


async def run(*outcomes: Exception | None):
    """Lets a step have these outcomes in turn; returns the log and the time that each wait took."""
    left = list(outcomes)
    waits = []

    async def step():
        if not left:
            raise Enough
        outcome = left.pop(0)
        if outcome is not None:
            raise outcome

    async def sleep(seconds):
        waits.append(seconds)

    with capture_logs() as log, pytest.raises(Enough):
        await duties.repeat("relay", step, lambda: asyncio.sleep(0), sleep=sleep)
    return [line["event"] for line in log], waits


async def test_an_outage_is_one_line_however_long_and_one_when_it_is_over():
    away = [BrokerUnavailableError("away")] * 8

    log, waits = await run(None, *away, None, None)

    assert log == ["relay waits for a dependency", "relay goes on"]
    assert waits == [0.5, 1, 2, 4, 8, 8, 8, 8]


async def test_each_outage_is_told():
    away = BrokerUnavailableError("away")

    log, _ = await run(away, None, away, None)

    assert log == ["relay waits for a dependency", "relay goes on"] * 2


async def test_an_error_that_waiting_cannot_mend_ends_the_loop():
    async def broken():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await duties.repeat("relay", broken, lambda: asyncio.sleep(0))
