from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from api_server.timestamps import to_duration, to_timestamp


@given(st.integers(0, 10**13))
def test_an_offset_keeps_its_microseconds(microseconds: int) -> None:
    assert to_duration(microseconds).ToMicroseconds() == microseconds


def test_a_moment_keeps_its_microseconds() -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    assert to_timestamp(moment).ToDatetime(tzinfo=UTC) == moment
