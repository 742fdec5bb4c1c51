from __future__ import annotations

import pytest

from api_server.people.conversion import derive_state
from whodex.v1.person_pb2 import Person


@pytest.mark.parametrize(
    ("searchable", "pending", "state"),
    [
        (False, 0, Person.STATE_NEEDS_PHOTOS),
        (False, 2, Person.STATE_PROCESSING),
        (True, 0, Person.STATE_READY),
        (True, 2, Person.STATE_READY),
    ],
)
def test_the_state_is_derived(searchable: bool, pending: int, state: Person.State.ValueType) -> None:  # noqa: FBT001
    assert derive_state(searchable=searchable, pending_count=pending, consent_expired=False) == state


def test_without_a_consent_nobody_is_ready() -> None:
    state = derive_state(searchable=True, pending_count=0, consent_expired=True)

    assert state == Person.STATE_CONSENT_EXPIRED
