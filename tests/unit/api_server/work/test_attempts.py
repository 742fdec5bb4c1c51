from __future__ import annotations

from datetime import timedelta

import pytest

from api_server.work.attempts import backoff
from whodex.runtime.tasks import declared_tasks

PHOTOS = declared_tasks()["whodex.analyze_reference_photo"]


@pytest.mark.parametrize(("attempt", "longest_s"), [(1, 2), (2, 4), (3, 8), (4, 16), (20, 300)])
def test_the_wait_doubles_up_to_the_cap(attempt, longest_s):
    waits = [backoff(PHOTOS, attempt) for _ in range(200)]

    assert timedelta(seconds=longest_s / 2) <= min(waits)
    assert max(waits) <= timedelta(seconds=longest_s)


def test_items_that_failed_together_do_not_come_back_together():
    assert len({backoff(PHOTOS, 1) for _ in range(20)}) > 10
