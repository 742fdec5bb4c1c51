from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from typer.testing import Result

from whodex.v1.people_service_pb2 import GetPersonResponse, UpdatePersonResponse
from whodex.v1.person_pb2 import Consent, Person

if TYPE_CHECKING:
    from tests.unit.whodex.conftest import ScriptedApi

Whodex = Callable[..., Result]
ADA = Person(name=f"libraries/{uuid4()}/people/{uuid4()}", display_name="Ada")


@pytest.fixture(autouse=True)
def ada(api: ScriptedApi) -> None:
    api.answers["GetPerson"] = lambda _: GetPersonResponse(person=ADA)
    api.answers["UpdatePerson"] = lambda request: UpdatePersonResponse(
        person=Person(name=ADA.name, display_name="Ada", consent=request.person.consent)
        if request.person.HasField("consent")
        else ADA
    )


def test_a_consent_is_recorded_and_shown(api: ScriptedApi, whodex: Whodex) -> None:
    options = ("--basis", "consent", "--given-by", "Ada", "--expires", "2027-01-02", "--evidence", "folder 7")
    result = whodex("person", "consent", ADA.name, *options)

    (request,) = api.requests("UpdatePerson")
    assert list(request.update_mask.paths) == ["consent"]
    recorded = request.person.consent
    assert (recorded.basis, recorded.given_by, recorded.evidence) == (Consent.BASIS_CONSENT, "Ada", "folder 7")
    assert recorded.HasField("expire_time")
    assert not recorded.HasField("give_time")
    assert "folder 7" in result.stdout


def test_without_an_option_it_is_only_shown(api: ScriptedApi, whodex: Whodex) -> None:
    assert "Nothing is recorded for Ada." in whodex("person", "consent", ADA.name).stdout
    assert api.requests("UpdatePerson") == []


def test_a_consent_is_taken_away(api: ScriptedApi, whodex: Whodex) -> None:
    whodex("person", "consent", ADA.name, "--clear")

    (request,) = api.requests("UpdatePerson")
    assert not request.person.HasField("consent")


@pytest.mark.parametrize("options", [("--note", "no basis"), ("--clear", "--basis", "consent")])
def test_half_a_consent_is_refused_before_anything_is_sent(
    api: ScriptedApi, whodex: Whodex, options: tuple[str, ...]
) -> None:
    result = whodex("person", "consent", ADA.name, *options)

    assert result.exit_code == 1
    assert "replaced as a whole" in result.stderr
    assert api.requests("UpdatePerson") == []
