from __future__ import annotations

import pytest

from whodex.errors import ResourceExhaustedError
from whodex.runtime.strangers import REMEMBERED, WRONG_BURST, Strangers

PEER = "ipv4:192.0.2.1:1234"


class _Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def _refused(strangers: Strangers, peer: str, credential: str = "some key") -> bool:
    try:
        strangers.check(peer, credential)
    except ResourceExhaustedError:
        return True
    return False


@pytest.fixture
def clock() -> _Clock:
    return _Clock()


@pytest.fixture
def tried(clock: _Clock) -> Strangers:
    """The address has just used up its wrong keys."""
    strangers = Strangers(clock)
    for number in range(WRONG_BURST):
        assert not _refused(strangers, PEER)
        strangers.wrong(PEER, f"wrong {number}")
    return strangers


def test_many_wrong_keys_close_an_address_for_a_while(tried: Strangers, clock: _Clock) -> None:
    with pytest.raises(ResourceExhaustedError) as caught:
        tried.check(PEER, "some key")
    assert caught.value.reason_name == "AUTHENTICATION_THROTTLED"
    assert caught.value.retry_after_seconds == pytest.approx(1)
    clock.now += 1
    assert not _refused(tried, PEER)


def test_another_port_is_the_same_address_and_another_address_is_not(tried: Strangers) -> None:
    assert _refused(tried, "ipv4:192.0.2.1:9999")
    assert not _refused(tried, "ipv4:192.0.2.2:1234")


def test_all_addresses_of_an_ipv6_network_are_one(clock: _Clock) -> None:
    strangers = Strangers(clock)
    for host in range(WRONG_BURST):
        strangers.wrong(f"ipv6:%5B2001:db8:0:1::{host:x}%5D:80", "wrong")
    assert _refused(strangers, "ipv6:%5B2001:db8:0:1::ffff%5D:80")
    assert not _refused(strangers, "ipv6:%5B2001:db8:0:2::1%5D:80")


def test_who_was_right_lately_does_not_notice(clock: _Clock) -> None:
    strangers = Strangers(clock)
    strangers.right("right", "somebody")
    for _ in range(WRONG_BURST):
        strangers.wrong(PEER, "wrong")
    assert not _refused(strangers, PEER, "right")
    # Until it is revoked.
    strangers.wrong(PEER, "right")
    assert strangers.last("right") is None
    assert _refused(strangers, PEER, "right")


def test_what_it_remembers_is_bounded(clock: _Clock) -> None:
    strangers = Strangers(clock)
    for number in range(REMEMBERED + 10):
        strangers.wrong(f"ipv4:host-{number}:1", "wrong")
        strangers.right(str(number), "somebody")
    assert (len(strangers._buckets), len(strangers._right)) == (REMEMBERED, REMEMBERED)


def test_whose_a_credential_was_is_remembered_for_a_second(clock: _Clock) -> None:
    strangers = Strangers(clock)
    strangers.right("right", "somebody")
    assert (strangers.last("right"), strangers.last("another")) == ("somebody", None)
    clock.now += 1
    assert strangers.last("right") is None
