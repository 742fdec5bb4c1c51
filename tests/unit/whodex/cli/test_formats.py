from __future__ import annotations

import pytest
from google.protobuf.duration_pb2 import Duration

from whodex.cli.formats import offset, resource_id, size, state_of, threshold_line
from whodex.v1.embedding_pb2 import FalseMatchRate, Threshold
from whodex.v1.person_pb2 import Person


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00.0"), (9.96, "0:10.0"), (59.96, "1:00.0"), (62.5, "1:02.5"), (3662.5, "1:01:02.5")]
)
def test_an_offset_is_a_clock_time_to_a_tenth(seconds: float, text: str) -> None:
    duration = Duration()
    duration.FromMilliseconds(round(seconds * 1000))

    assert offset(duration) == text


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (5 * 2**40, "5120.0 GiB")]
)
def test_a_size_is_in_binary_units(count: int, text: str) -> None:
    assert size(count) == text


def test_a_state_loses_its_prefix() -> None:
    assert state_of(Person(state=Person.STATE_NEEDS_PHOTOS)) == "NEEDS_PHOTOS"


def test_an_id_is_the_last_part_of_a_name() -> None:
    assert resource_id("libraries/a/people/b") == "b"


def test_a_threshold_tells_when_its_rate_was_not_measured() -> None:
    threshold = Threshold(
        false_match_rate=FalseMatchRate.FALSE_MATCH_RATE_ONE_IN_100000, similarity=0.4, extrapolated=True
    )

    assert threshold_line(threshold) == (
        "A match is a similarity of at least 0.400 (false match rate 1e-5, extrapolated)."
    )
