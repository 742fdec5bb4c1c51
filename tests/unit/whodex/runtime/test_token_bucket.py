import pytest

from whodex.runtime.token_bucket import TokenBucket


def test_a_burst_passes_and_then_the_rate() -> None:
    bucket = TokenBucket(rate_per_second=2, burst=3, now=0)
    assert [bucket.take(0) for _ in range(4)] == [0, 0, 0, 0.5]
    assert bucket.take(0.5) == 0
    assert bucket.take(0.5) == pytest.approx(0.5)


def test_the_delay_that_it_names_is_long_enough() -> None:
    bucket = TokenBucket(rate_per_second=0.3, burst=1, now=0)
    bucket.take(0)
    assert bucket.take(bucket.take(1) + 1) == pytest.approx(0, abs=1e-9)


def test_it_never_holds_more_than_the_burst() -> None:
    bucket = TokenBucket(rate_per_second=100, burst=1, now=0)
    assert [bucket.take(1000) > 0 for _ in range(2)] == [False, True]
