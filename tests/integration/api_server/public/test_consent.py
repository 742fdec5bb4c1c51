"""On what ground a person is processed: recorded, shown, and over when it is over."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from whodex.v1.audit_pb2 import AUDIT_ACTION_UPDATE_PERSON
from whodex.v1.audit_service_pb2 import ListAuditEntriesRequest
from whodex.v1.people_service_pb2 import CreatePersonRequest, GetPersonRequest, UpdatePersonRequest
from whodex.v1.person_pb2 import Consent, Person
from whodex.v1.search_service_pb2 import SearchScenesRequest

NOW = datetime.now(UTC)


def _consent(**values: Any) -> Consent:
    return Consent(basis=Consent.BASIS_CONSENT, given_by="Ada herself", evidence="folder 7", **values)


async def _create(api: Any, consent: Consent | None) -> Person:
    request = CreatePersonRequest(parent=api.library, display_name="Ada", consent=consent)
    person: Person = (await api.caller.people.CreatePerson(request)).person
    return person


async def _update(api: Any, person: Person, consent: Consent | None) -> Person:
    request = UpdatePersonRequest(person=Person(name=person.name, consent=consent), update_mask={"paths": ["consent"]})
    updated: Person = (await api.caller.people.UpdatePerson(request)).person
    return updated


async def test_a_consent_comes_back_as_it_was_recorded(api: Any) -> None:
    consent = _consent(give_time=NOW, expire_time=NOW + timedelta(days=365), note="in writing")

    person = await _create(api, consent)

    assert person.consent == consent
    assert (await api.caller.people.GetPerson(GetPersonRequest(name=person.name))).person.consent == consent
    assert not (await _create(api, None)).HasField("consent")


async def test_a_consent_is_replaced_and_taken_away_and_the_log_says_so(api: Any) -> None:
    person = await _create(api, _consent())
    replaced = Consent(basis=Consent.BASIS_CONTRACT)

    assert (await _update(api, person, replaced)).consent == replaced
    assert not (await _update(api, person, None)).HasField("consent")

    request = ListAuditEntriesRequest(parent=api.library, resource=person.name, action=AUDIT_ACTION_UPDATE_PERSON)
    assert len((await api.caller.audit.ListAuditEntries(request)).audit_entries) == 2


@pytest.mark.parametrize(
    "consent", [Consent(given_by="nobody says why"), Consent(basis=Consent.BASIS_CONSENT, note="x" * 2001)]
)
async def test_a_consent_has_limits_when_it_is_made_and_when_it_is_changed(api: Any, consent: Consent) -> None:
    assert await api.refused(_create(api, consent)) == ("INVALID_ARGUMENT", "INVALID_FIELD")
    person = await _create(api, None)
    assert await api.refused(_update(api, person, consent)) == ("INVALID_ARGUMENT", "INVALID_FIELD")


async def test_nobody_is_searched_whose_consent_is_over(api: Any, rows: Any) -> None:
    await rows.space()
    person = await _create(api, _consent(expire_time=NOW - timedelta(seconds=1)))
    assert person.state == Person.STATE_CONSENT_EXPIRED
    search = SearchScenesRequest(parent=api.library, all_of=[person.name])
    assert await api.refused(api.caller.search.SearchScenes(search)) == ("FAILED_PRECONDITION", "CONSENT_EXPIRED")

    renewed = await _update(api, person, _consent(expire_time=NOW + timedelta(days=1)))

    assert renewed.state == Person.STATE_NEEDS_PHOTOS
    assert await api.refused(api.caller.search.SearchScenes(search)) == ("FAILED_PRECONDITION", "PERSON_NOT_READY")
