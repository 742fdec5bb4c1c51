import socket

from whodex.stack.ports import BLOCK_STEP, FIRST_PORT, LOOPBACK, claimed_ports

NAMES = ("api", "internal")


def test_ports_are_consecutive() -> None:
    with claimed_ports(NAMES) as ports:
        assert ports["internal"] == ports["api"] + 1
        assert (ports["api"] - FIRST_PORT) % BLOCK_STEP == 0


def test_two_stacks_that_start_together_get_different_ports() -> None:
    with claimed_ports(NAMES) as one, claimed_ports(NAMES) as other:
        assert not set(one.values()) & set(other.values())


def test_a_block_is_free_again_afterwards() -> None:
    with claimed_ports(NAMES) as first:
        pass
    with claimed_ports(NAMES) as second:
        assert second == first


def test_a_block_with_a_taken_port_is_passed_over() -> None:
    with claimed_ports(NAMES) as free:
        pass
    with socket.create_server((LOOPBACK, free["internal"])), claimed_ports(NAMES) as ports:
        assert ports["api"] > free["internal"]
