from __future__ import annotations

import pytest

from api_server.scheduler.doorbell import MAX_RINGS
from api_server.scheduler.relay import rings

PHOTOS = "whodex.analyze_reference_photo"


@pytest.mark.parametrize(("items", "expected"), [(1, 1), (8, 1), (9, 2), (16, 2), (8 * MAX_RINGS + 1, MAX_RINGS)])
def test_one_ring_is_for_as_many_items_as_a_worker_claims(items, expected):
    assert rings({PHOTOS: items}) == {PHOTOS: expected}


def test_a_task_of_another_release_is_left_out():
    assert rings({"whodex.of_another_release": 3}) == {}
