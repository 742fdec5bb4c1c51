"""What `make fuzz` begins with: a target that is broken itself would find that, and nothing else."""

from __future__ import annotations

import contextlib

import pytest

from tests.fuzz.targets import TARGETS


@pytest.mark.parametrize("name", TARGETS)
def test_a_parser_takes_what_is_right_and_refuses_what_is_cut_off(name: str) -> None:
    target = TARGETS[name]
    accepted = 0
    for seed in target.seeds():
        assert len(seed) <= target.max_bytes
        for data in (seed, seed[: len(seed) // 2], b""):
            with contextlib.suppress(*target.refuses):
                target.parse(data)
                accepted += data == seed
    assert accepted > 0
