from __future__ import annotations

from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_server.feed.position import FeedPosition, make_consistency_token, parse_consistency_token
from whodex.errors import InvalidArgumentError
from whodex.v1 import error_reason_pb2

EPOCH = uuid4()
TOKEN = make_consistency_token(FeedPosition(EPOCH, 42))


@given(st.integers(0, 2**63 - 1))
def test_a_token_stands_for_its_position(sequence):
    position = FeedPosition(EPOCH, sequence)

    assert parse_consistency_token(make_consistency_token(position), epoch=EPOCH) == position


@given(st.integers(0, len(TOKEN) - 1), st.sampled_from("Aa0_-.ä"))
def test_no_damaged_token_stands_for_a_position(place, character):
    damaged = TOKEN[:place] + character + TOKEN[place + 1 :]
    # The last character carries bits that belong to no byte.
    if damaged == TOKEN or place == len(TOKEN) - 1:
        return

    with pytest.raises(InvalidArgumentError) as caught:
        parse_consistency_token(damaged, epoch=EPOCH)
    assert caught.value.reason == error_reason_pb2.ERROR_REASON_CONSISTENCY_TOKEN_INVALID


@pytest.mark.parametrize("token", ["", "x", TOKEN[:-2], TOKEN + "AAAA", "\x00", "=" * 38])
def test_nonsense_is_refused(token):
    with pytest.raises(InvalidArgumentError, match="damaged"):
        parse_consistency_token(token, epoch=EPOCH)


def test_a_token_of_another_database_is_refused():
    with pytest.raises(InvalidArgumentError, match="another database"):
        parse_consistency_token(TOKEN, epoch=uuid4())


def test_a_token_fits_into_the_contracts_limit():
    assert len(TOKEN) < 256
