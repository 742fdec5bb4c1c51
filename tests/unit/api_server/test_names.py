from __future__ import annotations

from uuid import UUID

import pytest

from api_server import names
from whodex.errors import InvalidArgumentError
from whodex.v1 import error_reason_pb2

LIBRARY_ID = UUID("01890000-0000-7000-8000-000000000001")
PERSON_ID = UUID("01890000-0000-7000-8000-000000000002")


def test_a_name_is_parsed_back_into_the_ids_that_made_it() -> None:
    name = names.name(names.PERSON, LIBRARY_ID, PERSON_ID)
    assert name == f"libraries/{LIBRARY_ID}/people/{PERSON_ID}"
    assert names.parse(name, names.PERSON) == (LIBRARY_ID, PERSON_ID)


@pytest.mark.parametrize(
    "malformed",
    [
        "",
        "libraries",
        f"libraries/{LIBRARY_ID}",
        f"libraries/{LIBRARY_ID}/videos/{PERSON_ID}",
        f"libraries/{LIBRARY_ID}/people/{PERSON_ID}/",
        f"libraries/{LIBRARY_ID}/people/me",
        f"libraries/{LIBRARY_ID}/people/{PERSON_ID}/photos/{PERSON_ID}",
    ],
)
def test_a_name_of_another_kind_is_an_invalid_field(malformed: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        names.parse(malformed, names.PERSON)
    assert caught.value.reason == error_reason_pb2.ERROR_REASON_INVALID_FIELD
    assert caught.value.violations


def test_an_unknown_name_is_named_in_the_error() -> None:
    assert "libraries/1" in names.not_found("libraries/1").message
