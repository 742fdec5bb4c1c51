from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from uuid import uuid4

import pytest

from api_server.access.caller import Caller
from api_server.limits.callers import LimitedCallers
from api_server.limits.limits import Limits
from whodex.errors import QuotaViolation, ResourceExhaustedError

LIMITS = Limits(
    stored_bytes=0, people=0, requests_per_second=2, request_burst=4, concurrent_calls=2, concurrent_streams=1
)


class _Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> _Clock:
    return _Clock()


@pytest.fixture
def limited(clock: _Clock) -> LimitedCallers:
    return LimitedCallers(clock)


@pytest.fixture
def who() -> Caller:
    return Caller(uuid4(), limits=LIMITS)


def _call(limited: LimitedCallers, who: Caller, *, streaming: bool = False) -> None:
    limited.check(who, streaming=streaming)
    with limited.admitted(who, streaming=streaming):
        pass


def test_a_burst_passes_and_then_the_rate(limited: LimitedCallers, who: Caller, clock: _Clock) -> None:
    for _ in range(4):
        _call(limited, who)
    with pytest.raises(ResourceExhaustedError) as caught:
        _call(limited, who)
    assert caught.value.reason_name == "TOO_MANY_REQUESTS"
    assert caught.value.retry_after_seconds == pytest.approx(0.5)
    assert caught.value.quota == QuotaViolation(f"libraries/{who.library_id}", "requests per second", 2)
    clock.now += 0.5
    _call(limited, who)


@pytest.mark.parametrize(("streaming", "most", "reason"), [(False, 2, "TOO_MANY_CALLS"), (True, 1, "TOO_MANY_STREAMS")])
def test_calls_and_streams_at_once_are_counted_apart(
    limited: LimitedCallers, who: Caller, *, streaming: bool, most: int, reason: str
) -> None:
    with ExitStack() as running:
        for _ in range(most):
            running.enter_context(limited.admitted(who, streaming=streaming))
        with pytest.raises(ResourceExhaustedError) as caught:
            _call(limited, who, streaming=streaming)
        assert caught.value.reason_name == reason
        _call(limited, who, streaming=not streaming)
    _call(limited, who, streaming=streaming)


def test_a_call_that_fails_gives_its_place_back(limited: LimitedCallers, who: Caller) -> None:
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), limited.admitted(who, streaming=True):
            raise ZeroDivisionError
    _call(limited, who, streaming=True)


def test_another_library_does_not_notice(limited: LimitedCallers, who: Caller) -> None:
    for _ in range(4):
        _call(limited, who)
    _call(limited, Caller(uuid4(), limits=LIMITS))


def test_new_limits_hold_from_the_next_call_on_and_what_runs_still_counts(limited: LimitedCallers, who: Caller) -> None:
    with limited.admitted(who, streaming=True):
        wider = Caller(who.library_id, limits=replace(LIMITS, concurrent_streams=2))
        with limited.admitted(wider, streaming=True), pytest.raises(ResourceExhaustedError):
            _call(limited, wider, streaming=True)


def test_the_admin_is_not_limited(limited: LimitedCallers) -> None:
    for _ in range(100):
        _call(limited, Caller(library_id=None), streaming=True)


def test_to_check_takes_nothing(limited: LimitedCallers, who: Caller) -> None:
    for _ in range(100):
        limited.check(who, streaming=False)
    _call(limited, who)


def test_what_would_be_refused_is_refused_by_the_check_too(limited: LimitedCallers, who: Caller) -> None:
    for _ in range(4):
        _call(limited, who)
    with pytest.raises(ResourceExhaustedError) as caught:
        limited.check(who, streaming=False)
    assert caught.value.reason_name == "TOO_MANY_REQUESTS"
